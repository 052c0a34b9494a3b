/*
 * find_window.c - the time window of a query: a function in FROM, or date_bin and date_trunc as a key.
 * Called by analyze.c.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "definition_parts.h"
#include "stream.h"
#include "streamagg.h"
#include "window_run.h"

static void
refuse_window(const char *reason, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s", reason),
					hint ? errhint("%s", hint) : 0));
}

static bool
is_event_time(const Definition *definition, Node *node)
{
	RangeTblEntry *entry = rt_fetch(definition->stream_index, definition->query->rtable);
	const char *column = stream_option(entry->relid, "event_time", "");

	return IsA(node, Var) && ((Var *) node)->varno == (int) definition->stream_index &&
		   ((Var *) node)->varattno == get_attnum(entry->relid, column);
}

static Datum
constant_argument(Node *node)
{
	if (!IsA(node, Const) || ((Const *) node)->constisnull)
		refuse_window("the arguments of a window must be constants",
					  "Make an aggregate for each size.");
	return ((Const *) node)->constvalue;
}

/* The call with its arguments in order, defaults added and constants folded. */
static FuncExpr *
folded_call(Node *call)
{
	Node *folded = eval_const_expressions(NULL, copyObject(call));

	return IsA(folded, FuncExpr) ? (FuncExpr *) folded : NULL;
}

static WindowKind
kind_of(Oid function)
{
	const char *name = get_func_name(function);

	if (get_func_namespace(function) != get_namespace_oid(STREAMAGG_NAME, false))
		return WINDOW_NONE;
	if (strcmp(name, "tumble") == 0)
		return WINDOW_TUMBLE;
	if (strcmp(name, "hop") == 0)
		return WINDOW_HOP;
	if (strcmp(name, "cumulate") == 0)
		return WINDOW_CUMULATE;
	return strcmp(name, "session") == 0 ? WINDOW_SESSION : WINDOW_NONE;
}

static void
set_fixed_window(Definition *definition, Datum size, Datum origin)
{
	definition->window.kind = WINDOW_TUMBLE;
	definition->window.size = window_size(DatumGetIntervalP(size));
	definition->window.origin = DatumGetTimestampTz(origin);
	window_check_origin(definition->window.origin);
}

/* hop and cumulate: (ts, slide, size, origin) */
static void
set_sliding_window(Definition *definition, WindowKind kind, const List *arguments)
{
	set_fixed_window(definition, constant_argument(lthird(arguments)),
					 constant_argument(lfourth(arguments)));
	definition->window.kind = kind;
	definition->window.slide =
		window_size(DatumGetIntervalP(constant_argument(lsecond(arguments))));
	window_check_slide(&definition->window);
}

/* The rows of the query are those of a function that can be called: each a session by itself. */
static void
set_session(Definition *definition, FuncExpr *written, Datum gap)
{
	Oid arguments[] = {TIMESTAMPTZOID, INTERVALOID};
	List *name = list_make2(makeString(STREAMAGG_NAME), makeString("session_alone"));

	definition->window.kind = WINDOW_SESSION;
	definition->window.size = window_size(DatumGetIntervalP(gap));
	written->funcid = LookupFuncName(name, lengthof(arguments), arguments, false);
}

static void
require_event_time(const Definition *definition, Node *node)
{
	if (!is_event_time(definition, node))
		refuse_window("a window must be over the stream's event_time column",
					  "Group by the expression itself: any other key is never late.");
}

static void
load_window_function(Definition *definition, Index index, RangeTblEntry *entry)
{
	RangeTblFunction *function = linitial_node(RangeTblFunction, entry->functions);
	FuncExpr *call = folded_call(function->funcexpr);
	WindowKind kind = call ? kind_of(call->funcid) : WINDOW_NONE;

	if (kind == WINDOW_NONE)
		refuse_window("only window functions can be called in the FROM clause",
					  "Call other functions in the SELECT list or in WHERE.");
	if (definition->window_index)
		refuse_window("a continuous aggregate cannot have two windows",
					  "Make an aggregate for each.");
	require_event_time(definition, linitial(call->args));
	switch (kind)
	{
		case WINDOW_TUMBLE:
			set_fixed_window(definition, constant_argument(lsecond(call->args)),
							 constant_argument(lthird(call->args)));
			break;
		case WINDOW_SESSION:
			set_session(definition, castNode(FuncExpr, function->funcexpr),
						constant_argument(lsecond(call->args)));
			break;
		default:
			set_sliding_window(definition, kind, call->args);
	}
	definition->window_index = index;
	/* of others the end is computed */
	definition->nwindow = kind == WINDOW_CUMULATE || kind == WINDOW_SESSION ? 2 : 1;
	for (int i = 0; i < definition->nwindow; i++)
		definition->window_keys[i] =
			(Node *) makeVar(index, i + 1, TIMESTAMPTZOID, -1, InvalidOid, 0);
}

void
definition_find_window(Definition *definition)
{
	Index index = 0;
	ListCell *cell;

	foreach (cell, definition->query->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

		index++;
		if (entry->rtekind == RTE_FUNCTION)
			load_window_function(definition, index, entry);
	}
}

/* Start or end of the window function in FROM: both stand for the window. */
bool
definition_is_window_column(const Definition *definition, Node *key)
{
	return definition->window_index && IsA(key, Var) &&
		   ((Var *) key)->varno == (int) definition->window_index;
}

/* date_bin and date_trunc in a zone, of the event time, as a key by itself. */
bool
definition_load_window_key(Definition *definition, Node *key)
{
	FuncExpr *call = IsA(key, FuncExpr) ? folded_call(key) : NULL;

	if (call == NULL)
		return false;
	if (call->funcid == F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ &&
		is_event_time(definition, lsecond(call->args)))
		set_fixed_window(definition, constant_argument(linitial(call->args)),
						 constant_argument(lthird(call->args)));
	else if (call->funcid == F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT &&
			 is_event_time(definition, lsecond(call->args)))
	{
		definition->window.kind = WINDOW_DATE_TRUNC;
		definition->window.unit = TextDatumGetCString(constant_argument(linitial(call->args)));
		definition->window.zone = TextDatumGetCString(constant_argument(lthird(call->args)));
		window_check_unit(definition->window.unit, definition->window.zone);
	}
	else
		return false;
	if (definition->nwindow > 0)
		refuse_window("a continuous aggregate cannot have two windows",
					  "Make an aggregate for each.");
	definition->window_keys[definition->nwindow++] = key;
	return true;
}
