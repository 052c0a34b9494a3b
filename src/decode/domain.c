/*
 * domain.c - judges a value by the constraints of its domain, those of the domains below included.
 *
 * Without an error for a value that breaks one: only the expressions themselves can raise any.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "utils/typcache.h"

#include "domain.h"

struct Domain
{
	DomainConstraintRef constraints;
	ExprContext *econtext;
};

Domain *
domain_create(Oid type)
{
	Domain *domain = palloc0(sizeof(Domain));

	InitDomainConstraintRef(type, &domain->constraints, CurrentMemoryContext, true);
	domain->econtext = CreateStandaloneExprContext();
	return domain;
}

bool
domain_has_constraints(Domain *domain)
{
	UpdateDomainConstraintRef(&domain->constraints);
	return domain->constraints.constraints != NIL;
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

	/* what an expression that raised an error left behind goes, too */
	ResetExprContext(econtext);
	econtext->domainValue_datum = value;
	econtext->domainValue_isNull = isnull;
	foreach (cell, domain->constraints.constraints)
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
