/*
 * catalog.h - statements over the extension's internal tables, run as the extension's owner.
 */
#ifndef STREAMAGG_CATALOG_H
#define STREAMAGG_CATALOG_H

#include "datatype/timestamp.h"
#include "executor/spi.h"

#define CATALOG_MAX_ARGS 20

/*
 * A fixed statement; its plan is made at the first use and kept for the session.  unnest() of
 * several arrays must not be qualified: it is a form of the grammar, not a function.
 */
typedef struct CatalogStatement
{
	const char *sql;
	int nargs;
	Oid types[CATALOG_MAX_ARGS];
	SPIPlanPtr plan;
} CatalogStatement;

typedef struct CatalogScope
{
	Oid user;
	int security;
	int guc_level;
} CatalogScope;

/* Until the GUC level ends: names mean PostgreSQL's own objects. */
extern void catalog_pin_search_path(void);

/*
 * Between enter and leave the session is the extension's owner with a pinned search_path and is
 * connected to SPI: only fixed statements may run.  An error ends the scope with the
 * (sub)transaction.
 */
extern void catalog_enter(CatalogScope *scope);
extern void catalog_leave(const CatalogScope *scope);

/*
 * Runs a statement inside a scope; nulls as in SPI, NULL for none.  Returns the rows processed;
 * results are in SPI_tuptable until catalog_leave.
 */
extern uint64 catalog_run(CatalogStatement *statement, const Datum *values, const char *nulls);

/* The same in the caller's snapshot: for functions that views call. */
extern uint64 catalog_read(CatalogStatement *statement, const Datum *values);

/* The same with the scope around it: for statements without a result. */
extern uint64 catalog_execute(CatalogStatement *statement, const Datum *values, const char *nulls);

/* With the scope around it: the first column of the first row, InvalidOid without one. */
extern Oid catalog_find_oid(CatalogStatement *statement, const Datum *values);
/* The first column of all rows as a list of Oids, in the current context. */
extern List *catalog_list_oids(CatalogStatement *statement, const Datum *values);

/* A column (from 1) of a result row; strings are palloc'd in SPI's context. */
extern Datum catalog_value(uint64 row, int column, bool *isnull);
extern char *catalog_string(uint64 row, int column);
/* A copy in the current context; NULL for NULL. */
extern Interval *catalog_interval(uint64 row, int column);

/* A text array of a result row as a list of C strings in a context. */
extern List *catalog_text_list(uint64 row, int column, MemoryContext context);

/* A datum array of a length as one array datum. */
extern Datum catalog_array(const Datum *values, const bool *isnull, int length, Oid element);

/* True when the extension is installed in this database. */
extern bool catalog_is_installed(void);
extern Oid catalog_extension_owner(void);
/* The script's version, palloc'd. */
extern const char *catalog_extension_version(void);

/* Words that name both when the script in the database is of another version; NULL: it is not. */
extern const char *catalog_version_problem(void);
/* Raises 55000 with them. */
extern void catalog_check_version(void);

#endif
