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
#include "miscadmin.h"

#include "kafka/config.h"
#include "kafka/security.h"
#include "options.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_kafka_validator);

static void
check_server(List *options)
{
	kafka_check_options(KAFKA_SERVER, options, GetUserId());
	kafka_security_check(kafka_server_options(options), GetUserId());
}

/* All IPv4 addresses are hashed in minutes: whoever reads the digests can have the values back. */
static void
warn_of_plain_digest(List *options)
{
	if (strcmp(options_get(options, "protect", ""), "sha256") == 0)
		ereport(WARNING, (errmsg("sha256 without a key does not protect what can be guessed"),
						  errdetail("Addresses, telephone numbers and the like are found again by "
									"trying them all."),
						  errhint("Use protect 'hmac' with a protect_key.")));
}

static void
check_all(const OptionSpec *specs, List *options)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst(cell);

		options_check(specs, option->defname, defGetString(option));
	}
}

/* streamagg.kafka_validator(options, catalog): of ALTER, all options that result. */
Datum
streamagg_kafka_validator(PG_FUNCTION_ARGS)
{
	List *options = untransformRelOptions(PG_GETARG_DATUM(0));

	streamagg_require_preload();
	switch (PG_GETARG_OID(1))
	{
		case ForeignServerRelationId:
			check_server(options);
			break;
		case UserMappingRelationId:
			kafka_check_options(KAFKA_MAPPING, options, GetUserId());
			break;
		case ForeignTableRelationId:
			check_all(table_options, options);
			break;
		case AttributeRelationId:
			check_all(column_options, options);
			warn_of_plain_digest(options);
			break;
		default:
			if (options != NIL)
				options_raise_unknown(linitial_node(DefElem, options)->defname, NULL, 0);
	}
	PG_RETURN_VOID();
}
