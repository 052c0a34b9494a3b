/*
 * group_steps.h - what grouping.c does with a row: its keys, and a step for each aggregate call.
 */
#ifndef STREAMAGG_GROUP_STEPS_H
#define STREAMAGG_GROUP_STEPS_H

#include "fmgr.h"

#include "definition.h"

typedef struct ValueType
{
	Oid type;
	int16 length; /* -1: varlena */
	bool by_value;
} ValueType;

typedef enum StepKind
{
	STEP_COUNT, /* rows, or values */
	STEP_SUM,	/* of integers that an int64 cannot run over by */
	STEP_LEAST, /* of numbers by value */
	STEP_GREATEST,
	STEP_STRICT /* the aggregate's own strict function: the first value is the state */
} StepKind;

/* What one aggregate call does with a row. */
typedef struct Step
{
	StepKind kind;
	int argument; /* column of the inner SELECT; -1: none */
	int filter;	  /* -1: none */
	Oid collation;
	ValueType input;  /* of the argument, where there is one */
	ValueType result; /* of the state, too */
	FmgrInfo function;
} Step;

/* Whether equal texts under the key's collation are equal bytes. */
extern bool group_steps_texts_are_bytes(const Node *key);

/*
 * Fills an array of the definition's keys and one of its calls.  False when PostgreSQL's own
 * aggregation has to do it.
 */
extern bool group_steps_prepare(const Definition *definition, ValueType *keys, Step *steps);

#endif
