/*
 * reason.c - why a record was refused, in words made of the fault's code and names only: no value of
 * a record, and no other error's text.
 */
#include "postgres.h"

#include "record.h"

static const char *
document_reason(int code)
{
	switch (code)
	{
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			return "the message is longer than max_message_bytes";
		case ERRCODE_CHARACTER_NOT_IN_REPERTOIRE:
			return "the message is not valid UTF-8";
		case ERRCODE_UNTRANSLATABLE_CHARACTER:
			return "a string of the message contains \\u0000";
		case ERRCODE_STATEMENT_TOO_COMPLEX:
			return "the message is nested deeper than 512 levels";
		case ERRCODE_INVALID_PARAMETER_VALUE:
			return "the message is not a JSON object";
		default:
			return "the message is not valid JSON";
	}
}

static const char *
value_reason(int code)
{
	switch (code)
	{
		case ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE:
			return "the number is out of range or would be rounded";
		case ERRCODE_DATETIME_FIELD_OVERFLOW:
			return "the time is out of range or would be rounded";
		case ERRCODE_INVALID_DATETIME_FORMAT:
			return "the value is not a time";
		case ERRCODE_STRING_DATA_RIGHT_TRUNCATION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			return "the value is too long";
		case ERRCODE_NOT_NULL_VIOLATION:
			return "it is missing or null, or a part of it is";
		case ERRCODE_CHECK_VIOLATION:
			return "the value breaks a constraint of its domain";
		case ERRCODE_CHARACTER_NOT_IN_REPERTOIRE:
			return "the value is not valid UTF-8";
		default:
			return "the value does not have the form of its type";
	}
}

static char *
check_reason(const RecordFault *fault)
{
	if (fault->code == ERRCODE_NOT_NULL_VIOLATION)
		return psprintf("column \"%s\" is missing or null", fault->column);
	if (fault->code == ERRCODE_CHECK_VIOLATION)
		return psprintf("the row breaks check constraint \"%s\"", fault->rule);
	if (fault->rule && strcmp(fault->rule, "max_future") != 0)
		return psprintf("check constraint \"%s\" fails on the row", fault->rule);
	if (fault->rule)
		return pstrdup("the event time is further than max_future ahead of the record's time");
	return pstrdup("the event time is infinite");
}

char *
record_fault_reason(const RecordFault *fault)
{
	if (strcmp(fault->stage, "decode") == 0)
		return pstrdup(document_reason(fault->code));
	if (strcmp(fault->stage, "check") == 0)
		return check_reason(fault);
	if (fault->aggregate)
		return psprintf("aggregate \"%s\" fails on the row: its query, a table it joins, or a "
						"trigger or constraint of its state table",
						fault->aggregate);
	if (strcmp(fault->stage, "protect") == 0)
		return psprintf("column \"%s\": the value is not an IP address", fault->column);
	return psprintf("column \"%s\": %s", fault->column, value_reason(fault->code));
}
