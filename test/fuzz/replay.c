/*
 * replay.c: a corpus through a fuzz target without a fuzzer.  Prints TAP.
 *
 * A corpus is text: an input a line, in which %XX is the byte XX; lines that begin with # are for
 * people.  A fault ends the process: the line behind the last that is ok has it.
 */
#include <string.h>

#include "fuzz.h"

#define MAX_LINE (1024 * 1024)

/* Decodes the line in place; its length, less the line's end. */
static size_t
decode_line(char *line)
{
	char *out = line;

	for (const char *at = line; *at != '\0' && *at != '\n'; at++)
	{
		if (*at == '%')
		{
			char digits[3] = {at[1], at[1] ? at[2] : '\0', '\0'};

			*out++ = (char) strtol(digits, NULL, 16);
			at += strlen(digits);
		}
		else
			*out++ = *at;
	}
	return (size_t) (out - line);
}

/* "number" inputs were before this file; returns those with its own. */
static int
replay_file(const char *path, int number)
{
	static char line[MAX_LINE];
	FILE *file = fopen(path, "r");

	REQUIRE(file != NULL);
	for (int at = 1; fgets(line, MAX_LINE, file) != NULL; at++)
	{
		size_t size;

		if (line[0] == '#')
			continue;
		size = decode_line(line);
		LLVMFuzzerTestOneInput((const uint8_t *) line, size);
		printf("ok %d - %s, line %d\n", ++number, path, at);
		fflush(stdout);
	}
	fclose(file);
	return number;
}

int
main(int argc, char **argv)
{
	int number = 0;

	for (int i = 1; i < argc; i++)
		number = replay_file(argv[i], number);
	printf("1..%d\n", number);
	return number > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
