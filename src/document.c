/*
 * document.c - PostgreSQL's own jsonb of a message, off the fast path: for rest and for quarantine.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "document.h"
#include "guard.h"
#include "sqlstate.h"

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

typedef struct ParseStep
{
	char *text;
	Jsonb *document;
} ParseStep;

static void
parse(void *argument)
{
	ParseStep *step = argument;

	step->document = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(step->text)));
}

int
document_parse(const char *text, size_t length, Jsonb **document)
{
	size_t mark = strlen(BYTE_ORDER_MARK);
	ParseStep step;
	int code;

	if (length < mark || memcmp(text, BYTE_ORDER_MARK, mark) != 0)
		mark = 0;
	step.text = pnstrdup(text + mark, length - mark);
	code = guard_try(parse, &step, sqlstate_is_no_server_trouble);
	*document = step.document;
	return code;
}

bool
document_is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

bool
document_key_is(const JsonbValue *key, const char *name)
{
	return strlen(name) == (size_t) key->val.string.len &&
		   memcmp(name, key->val.string.val, key->val.string.len) == 0;
}
