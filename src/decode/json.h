/*
 * json.h: reads one message as a JSON document with exactly jsonb's verdicts, and
 * hands out the values at a fixed set of paths.
 *
 * Knows nothing of PostgreSQL, so that it can be tested and fuzzed by itself; no
 * function raises an error or lets a C++ exception out.  A reader belongs to one
 * thread and holds memory of its own: whoever creates it frees it.
 */
#ifndef STREAMAGG_JSON_H
#define STREAMAGG_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
{
#endif

	typedef enum JsonKind
	{
		JSON_MISSING,
		JSON_NULL,
		JSON_TRUE,
		JSON_FALSE,
		JSON_NUMBER,
		JSON_STRING,
		JSON_OBJECT,
		JSON_ARRAY
	} JsonKind;

	/*
 * The text, not NUL-terminated: of a string its UTF-8 without quotes and escapes; of a
 * number or word what was written; of an object or array its raw JSON from bracket to
 * bracket; of null and missing none (NULL).  It lives until the reader's next json_read.
 */
	typedef struct JsonValue
	{
		JsonKind kind;
		uint32_t length;
		const char *text;
	} JsonValue;

	/* The verdicts, beside each the SQLSTATE that jsonb gives. */
	typedef enum JsonVerdict
	{
		JSON_OK,
		JSON_BAD_SYNTAX,   /* 22P02, a surrogate without its other half included */
		JSON_BAD_ENCODING, /* 22021: not UTF-8, or a raw NUL, anywhere in the message */
		JSON_NUL_ESCAPE,   /* 22P05: \u0000 in any string or key */
		JSON_TOO_DEEP,	   /* 54001: deeper than 512 levels */
		JSON_NOT_OBJECT,   /* 22023: valid, but an array, scalar or null */
		JSON_NO_MEMORY	   /* 53200; also a message of 2 GB or more */
	} JsonVerdict;

	typedef struct JsonReader JsonReader;

	/* The version of the library behind this face. */
	extern const char *json_library_version(void);

	/* NULL when out of memory. */
	extern JsonReader *json_reader_create(void);
	extern void json_reader_free(JsonReader *reader);

	/*
 * Ask for the value under these keys, outermost first; no step at all is the document
 * itself.  Returns its index in json_read's values (the same path has the same index),
 * or -1 when out of memory.
 */
	extern int json_reader_add_path(JsonReader *reader, const char *const *steps, int nsteps);

	/*
 * Judge the whole message and fill one value for each path; of duplicate keys the last
 * counts.  All values are JSON_MISSING when the verdict is not JSON_OK.  data is never
 * NULL (that is a tombstone, no document), and is not needed afterwards.
 */
	extern JsonVerdict
	json_read(JsonReader *reader, const char *data, size_t length, JsonValue *values);

	/*
 * Whether documents read since the last call had anything that no path holds; of a reader without
 * paths it knows nothing: false.  Part of a document under a path counts as held.
 */
	extern bool json_take_rest(JsonReader *reader);

#ifdef __cplusplus
}
#endif

#endif
