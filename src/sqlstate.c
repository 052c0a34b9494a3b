/*
 * sqlstate.c - the classes of errors, in one place.
 */
#include "postgres.h"

#include "sqlstate.h"

static const struct
{
	int code;
	SqlstateClass class;
} categories[] = {
	{ERRCODE_DATA_EXCEPTION, SQLSTATE_DATA},
	{ERRCODE_CARDINALITY_VIOLATION, SQLSTATE_DATA},
	{ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION, SQLSTATE_DATA},
	{ERRCODE_TRIGGERED_ACTION_EXCEPTION, SQLSTATE_DATA},
	{ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION, SQLSTATE_DATA},
	{ERRCODE_SQL_ROUTINE_EXCEPTION, SQLSTATE_DATA},
	{ERRCODE_EXTERNAL_ROUTINE_EXCEPTION, SQLSTATE_DATA},
	{ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION, SQLSTATE_DATA},
	{ERRCODE_WITH_CHECK_OPTION_VIOLATION, SQLSTATE_DATA},
	{ERRCODE_PROGRAM_LIMIT_EXCEEDED, SQLSTATE_DATA},
	{ERRCODE_PLPGSQL_ERROR, SQLSTATE_DATA},
	{ERRCODE_CONNECTION_EXCEPTION, SQLSTATE_TRANSIENT},
	{ERRCODE_TRANSACTION_ROLLBACK, SQLSTATE_TRANSIENT},
	{ERRCODE_INSUFFICIENT_RESOURCES, SQLSTATE_TRANSIENT},
	{ERRCODE_OPERATOR_INTERVENTION, SQLSTATE_TRANSIENT},
	{ERRCODE_IO_ERROR, SQLSTATE_TRANSIENT},
	{ERRCODE_INTERNAL_ERROR, SQLSTATE_UNKNOWN},
};

SqlstateClass
sqlstate_class(int code)
{
	if (code == ERRCODE_LOCK_NOT_AVAILABLE)
		return SQLSTATE_TRANSIENT;
	for (size_t i = 0; i < lengthof(categories); i++)
		if (ERRCODE_TO_CATEGORY(code) == ERRCODE_TO_CATEGORY(categories[i].code))
			return categories[i].class;
	return SQLSTATE_CONFIGURATION;
}

bool
sqlstate_is_curable(int code)
{
	static const int curable[] = {ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION,
								  ERRCODE_INVALID_CATALOG_NAME,
								  ERRCODE_INVALID_SCHEMA_NAME,
								  ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
								  ERRCODE_FEATURE_NOT_SUPPORTED,
								  ERRCODE_FDW_ERROR,
								  ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
								  ERRCODE_CONFIG_FILE_ERROR};

	if (sqlstate_class(code) != SQLSTATE_CONFIGURATION)
		return false;
	for (size_t i = 0; i < lengthof(curable); i++)
		if (ERRCODE_TO_CATEGORY(code) == ERRCODE_TO_CATEGORY(curable[i]))
			return true;
	return false;
}

bool
sqlstate_text_is_curable(const char *code)
{
	return strlen(code) == 5 &&
		   sqlstate_is_curable(MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4]));
}

bool
sqlstate_is_authentication(int code)
{
	return ERRCODE_TO_CATEGORY(code) ==
		   ERRCODE_TO_CATEGORY(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION);
}

bool
sqlstate_is_data(int code)
{
	return sqlstate_class(code) == SQLSTATE_DATA;
}

bool
sqlstate_is_no_server_trouble(int code)
{
	SqlstateClass class = sqlstate_class(code);

	/* what an input function finds no code for: hstore's, for one */
	if (code == ERRCODE_INTERNAL_ERROR)
		return true;
	return class != SQLSTATE_TRANSIENT && class != SQLSTATE_UNKNOWN;
}
