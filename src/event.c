/*
 * event.c - writes streamagg.event_log.  Details hold names and settings, never values of records.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/builtins.h"

#include "catalog.h"
#include "event.h"

static CatalogStatement insert_event = {
	"INSERT INTO streamagg.event_log (stream, actor, event, detail) SELECT $1, $2, $3, $4",
	4,
	{REGCLASSOID, TEXTOID, TEXTOID, TEXTOID},
	NULL};

void
event_log(Oid stream, const char *event, const char *detail)
{
	const char *actor =
		MyBgworkerEntry ? MyBgworkerEntry->bgw_type : GetUserNameFromId(GetUserId(), false);
	Datum values[4] = {ObjectIdGetDatum(stream), CStringGetTextDatum(actor),
					   CStringGetTextDatum(event),
					   detail ? CStringGetTextDatum(detail) : (Datum) 0};
	char nulls[5] = {OidIsValid(stream) ? ' ' : 'n', ' ', ' ', detail ? ' ' : 'n', '\0'};

	catalog_execute(&insert_event, values, nulls);
}
