/*
 * validator.c - names and values of options, at CREATE and ALTER.
 *
 * The list is closed: what is not named here or in kafka/config.c is refused.  What needs the table
 * itself is checked by the event trigger and again when the stream is loaded.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"

#include "kafka/config.h"
#include "options.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_kafka_validator);

/* All IPv4 addresses are hashed in minutes: whoever reads the digests can have the values back. */
static void
warn_of_plain_digest(const char *name, const char *value)
{
	if (strcmp(name, "protect") == 0 && strcmp(value, "sha256") == 0)
		ereport(WARNING, (errmsg("sha256 without a key does not protect what can be guessed"),
						  errdetail("Addresses, telephone numbers and the like are found again by "
									"trying them all."),
						  errhint("Use protect 'hmac' with a protect_key.")));
}

static void
check_option(Oid catalog, const char *name, const char *value)
{
	switch (catalog)
	{
		case ForeignServerRelationId:
			kafka_check_option(KAFKA_SERVER, name, value);
			break;
		case UserMappingRelationId:
			kafka_check_option(KAFKA_MAPPING, name, value);
			break;
		case ForeignTableRelationId:
			options_check(table_options, name, value);
			break;
		case AttributeRelationId:
			options_check(column_options, name, value);
			warn_of_plain_digest(name, value);
			break;
		default:
			options_raise_unknown(name, NULL, 0);
	}
}

/* streamagg.kafka_validator(options, catalog) */
Datum
streamagg_kafka_validator(PG_FUNCTION_ARGS)
{
	List *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid catalog = PG_GETARG_OID(1);
	ListCell *cell;

	streamagg_require_preload();
	foreach (cell, options)
	{
		DefElem *option = lfirst(cell);

		check_option(catalog, option->defname, defGetString(option));
	}
	PG_RETURN_VOID();
}
