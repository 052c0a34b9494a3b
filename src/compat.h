/*
 * compat.h - every difference between the PostgreSQL versions we build for (15 to 18).
 */
#ifndef STREAMAGG_COMPAT_H
#define STREAMAGG_COMPAT_H

#include "catalog/pg_class.h"
#include "commands/explain.h"
#include "fmgr.h"
#include "utils/acl.h"

#if PG_VERSION_NUM < 160000
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_database.h"
#define compat_owns_relation(relid, role) pg_class_ownercheck(relid, role)
#define compat_owns_function(function, role) pg_proc_ownercheck(function, role)
#define compat_owns_database(dbid, role) pg_database_ownercheck(dbid, role)
#define compat_owns_extension(extid, role) pg_extension_ownercheck(extid, role)
#define compat_server_aclcheck(server, role, mode) pg_foreign_server_aclcheck(server, role, mode)
#define compat_database_aclcheck(dbid, role, mode) pg_database_aclcheck(dbid, role, mode)
#else
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#define compat_owns_relation(relid, role) object_ownercheck(RelationRelationId, relid, role)
#define compat_owns_function(function, role) object_ownercheck(ProcedureRelationId, function, role)
#define compat_owns_database(dbid, role) object_ownercheck(DatabaseRelationId, dbid, role)
#define compat_owns_extension(extid, role) object_ownercheck(ExtensionRelationId, extid, role)
#define compat_server_aclcheck(server, role, mode)                                                 \
	object_aclcheck(ForeignServerRelationId, server, role, mode)
#define compat_database_aclcheck(dbid, role, mode)                                                 \
	object_aclcheck(DatabaseRelationId, dbid, role, mode)
#endif

/* EXPLAIN has headers more from 18 on. */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/* create_foreignscan_path has an argument more from 17 on. */
#if PG_VERSION_NUM < 170000
#define COMPAT_NO_RESTRICTINFO
#else
#define COMPAT_NO_RESTRICTINFO NIL,
#endif

/* Scans of indexes may count for EXPLAIN from 18 on. */
#if PG_VERSION_NUM < 180000
#define compat_index_beginscan(table, index, snapshot, nkeys)                                      \
	index_beginscan(table, index, snapshot, nkeys, 0)
#else
#define compat_index_beginscan(table, index, snapshot, nkeys)                                      \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#endif

/* A wait event set belongs to a resource owner from 17 on; NULL: the process. */
#if PG_VERSION_NUM < 170000
#define compat_create_wait_event_set(context, count) CreateWaitEventSet(context, count)
#else
#define compat_create_wait_event_set(context, count) CreateWaitEventSet(NULL, count)
#endif

/* From 16 on it may be told of a planner, which there is none of. */
#if PG_VERSION_NUM < 160000
#define compat_flatten_join_alias_vars(query, node) flatten_join_alias_vars(query, node)
#else
#define compat_flatten_join_alias_vars(query, node) flatten_join_alias_vars(NULL, query, node)
#endif

/* Who writes into a result relation: the view's owner where it is written to through a view. */
#if PG_VERSION_NUM < 160000
#include "executor/executor.h"
#include "miscadmin.h"
static inline Oid
compat_result_user(ResultRelInfo *result, EState *estate)
{
	const ResultRelInfo *root = result->ri_RangeTableIndex ? result : result->ri_RootResultRelInfo;
	Oid user = exec_rt_fetch(root->ri_RangeTableIndex, estate)->checkAsUser;

	return OidIsValid(user) ? user : GetUserId();
}
#else
#include "executor/executor.h"
#include "miscadmin.h"
static inline Oid
compat_result_user(ResultRelInfo *result, EState *estate)
{
	Oid user = ExecGetResultRelCheckAsUser(result, estate);

	return OidIsValid(user) ? user : GetUserId();
}
#endif

/* SET_VARSIZE and its like left postgres.h with 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Whose rights a scan has: those of the view's owner that it stands in, or of the caller. */
#if PG_VERSION_NUM < 160000
#define compat_scan_check_as(node)                                                                 \
	(exec_rt_fetch(((Scan *) (node)->ss.ps.plan)->scanrelid, (node)->ss.ps.state)->checkAsUser)
#else
#define compat_scan_check_as(node) (((ForeignScan *) (node)->ss.ps.plan)->checkAsUser)
#endif
#define compat_scan_user(node)                                                                     \
	(OidIsValid(compat_scan_check_as(node)) ? compat_scan_check_as(node) : GetUserId())

/*
 * Calls a type's input function: 0, or the SQLSTATE that it reported without raising an error, which
 * from 16 on most do.
 */
#if PG_VERSION_NUM < 160000
static inline int
compat_input(FmgrInfo *function, char *text, Oid param, int32 typmod, Datum *result)
{
	*result = InputFunctionCall(function, text, param, typmod);
	return 0;
}
#else
#include "nodes/miscnodes.h"
static inline int
compat_input(FmgrInfo *function, char *text, Oid param, int32 typmod, Datum *result)
{
	ErrorSaveContext context = {.type = T_ErrorSaveContext, .details_wanted = true};

	if (InputFunctionCallSafe(function, text, param, typmod, (Node *) &context, result))
		return 0;
	return context.error_data->sqlerrcode;
}
#endif

#endif
