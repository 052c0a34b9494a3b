/*
 * target.c - refuses to write where somebody else decides what becomes of it.
 *
 * Workers write as the stream's owner.  A table that was given to another role, or that rules turn
 * into something else, is not the state that the aggregate was made with.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "partition.h"
#include "stream.h"
#include "streamagg.h"
#include "target.h"

/* Whoever owns a table may give it triggers, which run as the stream's owner; a partition, too. */
static void
require_own(Oid table, const char *aggregate)
{
	Oid owner = stream_owner(table);

	if (owner != GetUserId())
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("state table \"%s\" of aggregate \"%s\" belongs to role \"%s\"",
					get_rel_name(table), aggregate, GetUserNameFromId(owner, true)),
			 errdetail("The stream belongs to role \"%s\".", GetUserNameFromId(GetUserId(), true)),
			 errhint("Stream, views and state tables need one owner: ALTER … OWNER TO, or "
					 "REASSIGN OWNED.")));
}

static void
refuse_shape(const Relation rel, const char *aggregate)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("state table \"%s\" of aggregate \"%s\" is not a plain table any more",
						   RelationGetRelationName(rel), aggregate),
					errhint("Drop its rules, or make the aggregate anew.")));
}

/* Joined tables may have it: their rows are those that the owner may see. */
static void
refuse_row_security(const Relation rel, const char *aggregate)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("state table \"%s\" of aggregate \"%s\" has row-level security",
						   RelationGetRelationName(rel), aggregate),
					errhint("ALTER TABLE … NO FORCE ROW LEVEL SECURITY.")));
}

void
target_check(Oid state, const char *aggregate)
{
	Relation rel = relation_open(state, RowExclusiveLock); /* held: what was judged is written */
	ListCell *cell;

	if ((rel->rd_rel->relkind != RELKIND_RELATION &&
		 rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE) ||
		rel->rd_rules != NULL)
		refuse_shape(rel, aggregate);
	require_own(state, aggregate);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		foreach (cell, partition_before(state, DT_NOEND))
			require_own(lfirst_oid(cell), aggregate);
	if (check_enable_rls(state, GetUserId(), true) == RLS_ENABLED)
		refuse_row_security(rel, aggregate);
	relation_close(rel, NoLock);
}
