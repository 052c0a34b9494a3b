/*
 * archive_guard.c - an archive is only added to: what keeps its owner, too, from changing rows.
 *
 * A statement trigger, of the archive and of each day, refuses UPDATE, DELETE and TRUNCATE.  The event
 * triggers refuse to drop or disable it, and to drop the archive of a stream that goes on filling it.
 * Superusers may do all of that: a restore with --clean does.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

#include "aggregate/define.h"
#include "archive.h"
#include "catalog.h"
#include "streamagg.h"

PG_FUNCTION_INFO_V1(streamagg_refuse_archive_change);

#define TRIGGER_NAME "streamagg_append_only"

static CatalogStatement dropped_triggers = {
	"SELECT DISTINCT pg_catalog.format('%I.%I', address_names[1], "
	"address_names[2])::pg_catalog.regclass"
	" FROM pg_catalog.pg_event_trigger_dropped_objects() d"
	" WHERE classid = 'pg_catalog.pg_trigger'::regclass AND pg_catalog.to_regclass("
	"pg_catalog.format('%I.%I', address_names[1], address_names[2])) IS NOT NULL",
	0,
	{InvalidOid},
	NULL};

static CatalogStatement is_archive = {
	"SELECT FROM streamagg.archive_catalog a WHERE a.archive = $1 OR EXISTS (SELECT"
	" FROM pg_catalog.pg_inherits i WHERE i.inhrelid = $1 AND i.inhparent = a.archive)",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement forget_archive = {
	"WITH e AS (DELETE FROM streamagg.expired_partitions WHERE parent = $1)"
	" DELETE FROM streamagg.archive_catalog WHERE archive = $1 RETURNING stream",
	1,
	{REGCLASSOID},
	NULL};

static CatalogStatement forget_stream = {
	"DELETE FROM streamagg.archive_catalog WHERE stream = $1 RETURNING archive",
	1,
	{REGCLASSOID},
	NULL};

/* ---------------------------------------------------------------- the trigger */

/* streamagg.refuse_archive_change() */
Datum
streamagg_refuse_archive_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("this function must be called as a trigger")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("rows of archive \"%s\" are not changed",
					RelationGetRelationName(data->tg_relation)),
			 errhint("The stream's option archive_keep says how long they stay: ALTER FOREIGN "
					 "TABLE … OPTIONS (ADD archive_keep '90 days').")));
	return (Datum) 0;
}

static Oid
trigger_function(void)
{
	List *name = list_make2(makeString(STREAMAGG_NAME), makeString("refuse_archive_change"));

	return LookupFuncName(name, 0, NULL, false);
}

/* Ours on the relation; NULL: none. */
static const Trigger *
find_trigger(Relation rel)
{
	Oid function;

	if (rel->trigdesc == NULL)
		return NULL;
	function = trigger_function();
	for (int i = 0; i < rel->trigdesc->numtriggers; i++)
		if (rel->trigdesc->triggers[i].tgfoid == function)
			return &rel->trigdesc->triggers[i];
	return NULL;
}

bool
archive_is_day(Oid relation)
{
	Relation rel = try_relation_open(relation, AccessShareLock);
	bool found = rel && find_trigger(rel);

	if (rel)
		relation_close(rel, AccessShareLock);
	return found;
}

void
archive_add_trigger(Oid relation)
{
	char *name = stream_name(relation);

	if (archive_is_day(relation))
		return;
	define_run(psprintf("CREATE TRIGGER " TRIGGER_NAME " BEFORE UPDATE OR DELETE OR TRUNCATE "
						"ON %s FOR EACH STATEMENT EXECUTE FUNCTION "
						"streamagg.refuse_archive_change()",
						name));
	define_run(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER " TRIGGER_NAME, name));
}

/* ---------------------------------------------------------------- event triggers */

static void
refuse_trigger(Oid relation, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("cannot %s trigger \"%s\" of archive \"%s\"", what, TRIGGER_NAME,
						   get_rel_name(relation)),
					errdetail("It keeps the rows as they were accepted."),
					errhint("The stream's option archive_keep says how long rows stay.")));
}

void
archive_check_triggers(Oid relation)
{
	Relation rel;
	const Trigger *trigger;
	bool weak;

	if (superuser() || !(get_rel_relkind(relation) == RELKIND_PARTITIONED_TABLE ||
						 get_rel_relkind(relation) == RELKIND_RELATION))
		return;
	rel = relation_open(relation, AccessShareLock);
	trigger = find_trigger(rel);
	weak = trigger && trigger->tgenabled != TRIGGER_FIRES_ALWAYS;
	relation_close(rel, NoLock);
	if (weak)
		refuse_trigger(relation, "disable");
}

/* Of relations that are still there. */
void
archive_check_dropped(void)
{
	CatalogScope scope;
	List *relations;
	ListCell *cell;

	if (superuser())
		return;
	relations = catalog_list_oids(&dropped_triggers, NULL);
	catalog_enter(&scope);
	foreach (cell, relations)
	{
		Datum value = ObjectIdGetDatum(lfirst_oid(cell));

		if (catalog_run(&is_archive, &value, NULL) > 0 && !archive_is_day(lfirst_oid(cell)))
			refuse_trigger(lfirst_oid(cell), "drop");
	}
	catalog_leave(&scope);
}

/* ---------------------------------------------------------------- after DROP */

/* The stream that it was the archive of, if any; its rows of the catalogue go. */
static Oid
forget(CatalogStatement *statement, Oid relid)
{
	Datum value = ObjectIdGetDatum(relid);

	return catalog_find_oid(statement, &value);
}

void
archive_forget_stream(Oid stream)
{
	Oid archive = forget(&forget_stream, stream);

	if (get_rel_name(archive))
		ereport(NOTICE, (errmsg("archive %s stays as it is now: its stream was dropped",
								stream_name(archive))));
}

void
archive_forget(Oid archive, bool restoring)
{
	Oid stream = forget(&forget_archive, archive);

	if (restoring && superuser())
		return;
	if (get_rel_relkind(stream) == RELKIND_FOREIGN_TABLE && archive_is_on(stream))
		ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						errmsg("cannot drop the archive of stream \"%s\"", get_rel_name(stream)),
						errdetail("The stream goes on filling it."),
						errhint("ALTER FOREIGN TABLE %s OPTIONS (SET archive 'off').",
								stream_name(stream))));
}
