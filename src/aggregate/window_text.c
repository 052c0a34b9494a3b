/*
 * window_text.c - a window as text of the catalogue: what the rows of a rollup are judged by.
 *
 * "tumble SIZE ORIGIN", both in microseconds, or "date_trunc UNIT ZONE".
 */
#include "postgres.h"

#include "streamagg.h"
#include "window.h"

char *
window_to_text(const Window *window)
{
	if (window->kind == WINDOW_TUMBLE)
		return psprintf("tumble " INT64_FORMAT " " INT64_FORMAT, window->size, window->origin);
	return psprintf("date_trunc %s %s", window->unit, window->zone);
}

void
window_from_text(const char *text, Window *window)
{
	const char *zone;

	memset(window, 0, sizeof(Window));
	if (sscanf(text, "tumble " INT64_FORMAT " " INT64_FORMAT, &window->size, &window->origin) == 2)
	{
		window->kind = WINDOW_TUMBLE;
		return;
	}
	if (strncmp(text, "date_trunc ", strlen("date_trunc ")) != 0)
		elog(ERROR, "\"%s\" is no window", text);
	window->kind = WINDOW_DATE_TRUNC;
	text += strlen("date_trunc ");
	zone = strchr(text, ' ');
	if (zone == NULL)
		elog(ERROR, "the window has no zone");
	window->unit = pnstrdup(text, zone - text);
	window->zone = pstrdup(zone + 1);
}
