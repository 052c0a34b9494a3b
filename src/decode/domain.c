/*
 * domain.c - judges a value by the constraints of its domain, those of the domains below included.
 *
 * Without an error for a value that breaks one: only the expressions themselves can raise any.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "domain.h"

struct Domain
{
	MemoryContext context; /* of what follows */
	Oid type;
	DomainConstraintRef *constraints;
	ExprContext *econtext;
};

static void
fill(Domain *domain)
{
	MemoryContext old = MemoryContextSwitchTo(domain->context);

	domain->constraints = palloc0(sizeof(DomainConstraintRef));
	InitDomainConstraintRef(domain->type, domain->constraints, domain->context, true);
	domain->econtext = CreateStandaloneExprContext();
	MemoryContextSwitchTo(old);
}

Domain *
domain_create(Oid type)
{
	Domain *domain = palloc0(sizeof(Domain));

	domain->context =
		AllocSetContextCreate(CurrentMemoryContext, "streamagg domain", ALLOCSET_SMALL_SIZES);
	domain->type = type;
	fill(domain);
	return domain;
}

void
domain_renew(Domain *domain)
{
	MemoryContextReset(domain->context);
	fill(domain);
}

bool
domain_has_constraints(Domain *domain)
{
	UpdateDomainConstraintRef(domain->constraints);
	return domain->constraints->constraints != NIL;
}

static bool
holds(const DomainConstraintState *constraint, ExprContext *econtext)
{
	if (constraint->constrainttype == DOM_CONSTRAINT_NOTNULL)
		return !econtext->domainValue_isNull;
	return ExecCheck(constraint->check_exprstate, econtext);
}

int
domain_judge(Domain *domain, Datum value, bool isnull)
{
	ExprContext *econtext = domain->econtext;
	ListCell *cell;
	int fault = 0;

	econtext->domainValue_datum = value;
	econtext->domainValue_isNull = isnull;
	foreach (cell, domain->constraints->constraints)
	{
		const DomainConstraintState *constraint = lfirst(cell);

		if (holds(constraint, econtext))
			continue;
		fault = constraint->constrainttype == DOM_CONSTRAINT_NOTNULL ? ERRCODE_NOT_NULL_VIOLATION
																	 : ERRCODE_CHECK_VIOLATION;
		break;
	}
	ResetExprContext(econtext);
	return fault;
}
