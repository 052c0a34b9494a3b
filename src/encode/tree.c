/*
 * tree.c - a row's document.
 *
 * Most streams have columns whose paths meet nowhere: their document is written in one go, along a
 * tree of keys.  Where paths meet ($, a path that leads to another, the same one twice, rest), each
 * value is made a document of its own, and those are merged as jsonb.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "document.h"
#include "encode/tree.h"
#include "streamagg.h"

typedef struct TreeNode
{
	const char *key;
	StringInfoData prefix; /* the key in quotes, and a colon */
	int column;			   /* whose value stands here, or -1 */
	List *children;		   /* TreeNodes */
} TreeNode;

struct Tree
{
	const Stream *stream;
	ValueWriter *writers;
	TreeNode *root;
	bool merges;
	int *order; /* the columns as they are merged */
	int count;
};

/* ---------------------------------------------------------------- building */

static TreeNode *
make_node(const char *key)
{
	TreeNode *node = palloc0(sizeof(TreeNode));

	node->key = key;
	node->column = -1;
	initStringInfo(&node->prefix);
	escape_json(&node->prefix, key);
	appendStringInfoChar(&node->prefix, ':');
	return node;
}

static TreeNode *
child_of(TreeNode *node, const char *key)
{
	ListCell *cell;

	foreach (cell, node->children)
	{
		TreeNode *child = lfirst(cell);

		if (strcmp(child->key, key) == 0)
			return child;
	}
	node->children = lappend(node->children, make_node(key));
	return llast(node->children);
}

/* False: another column has this place, one above or one below it. */
static bool
add_column(TreeNode *node, const List *path, int column)
{
	ListCell *cell;

	foreach (cell, path)
	{
		if (node->column >= 0)
			return false;
		node = child_of(node, lfirst(cell));
	}
	if (node->column >= 0 || node->children != NIL)
		return false;
	node->column = column;
	return true;
}

/* Where a column is merged: those of the document from the outermost on, then rest. */
static int
rank(const StreamColumn *column)
{
	return column->source == SOURCE_REST ? PG_INT32_MAX : list_length(column->path);
}

static void
insert_ordered(Tree *tree, int column)
{
	const StreamColumn *columns = tree->stream->columns;
	int at = tree->count++;

	for (; at > 0 && rank(&columns[tree->order[at - 1]]) > rank(&columns[column]); at--)
		tree->order[at] = tree->order[at - 1];
	tree->order[at] = column;
}

Tree *
tree_create(const Stream *stream, ValueWriter *writers)
{
	Tree *tree = palloc0(sizeof(Tree));

	tree->stream = stream;
	tree->writers = writers;
	tree->root = make_node("");
	tree->order = palloc(sizeof(int) * Max(stream->natts, 1));
	for (int i = 0; i < stream->natts; i++)
	{
		const StreamColumn *column = &stream->columns[i];

		if (column->source != SOURCE_PATH && column->source != SOURCE_REST)
			continue;
		insert_ordered(tree, i);
		if (column->source == SOURCE_REST || column->path == NIL ||
			!add_column(tree->root, column->path, i))
			tree->merges = true;
	}
	return tree;
}

/* ---------------------------------------------------------------- in one go */

static void write_object(Tree *tree, const TreeNode *node, const Datum *values, const bool *isnull,
						 StringInfo json);

/* An object in which all is NULL is left out, too. */
static void
write_member(Tree *tree, const TreeNode *node, const Datum *values, const bool *isnull,
			 StringInfo json)
{
	int before = json->len;
	int start;

	if (node->column >= 0 && isnull[node->column])
		return;
	if (json->data[json->len - 1] != '{')
		appendStringInfoChar(json, ',');
	appendBinaryStringInfo(json, node->prefix.data, node->prefix.len);
	start = json->len;
	if (node->column >= 0)
		value_write_json(&tree->writers[node->column], values[node->column], json);
	else
		write_object(tree, node, values, isnull, json);
	if (node->column < 0 && json->len == start + (int) strlen("{}"))
		json->len = before;
}

static void
write_object(Tree *tree, const TreeNode *node, const Datum *values, const bool *isnull,
			 StringInfo json)
{
	ListCell *cell;

	check_stack_depth();
	appendStringInfoChar(json, '{');
	foreach (cell, node->children)
		write_member(tree, lfirst(cell), values, isnull, json);
	appendStringInfoChar(json, '}');
}

/* ---------------------------------------------------------------- by merging */

static void
push_member(JsonbParseState **state, JsonbValue *key, JsonbValue *value)
{
	(void) pushJsonbValue(state, WJB_KEY, key);
	(void) pushJsonbValue(state, WJB_VALUE, value);
}

/* The first object with the second's members put over it. */
static JsonbValue *
merge(JsonbParseState **state, JsonbContainer *below, JsonbContainer *above)
{
	JsonbIterator *iterator = JsonbIteratorInit(below);
	JsonbValue key;
	JsonbValue value;

	check_stack_depth();
	(void) JsonbIteratorNext(&iterator, &key, true);
	(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		JsonbValue *found = findJsonbValueFromContainer(above, JB_FOBJECT, &key);

		(void) JsonbIteratorNext(&iterator, &value, true);
		if (found && document_is_object(found) && document_is_object(&value))
		{
			(void) pushJsonbValue(state, WJB_KEY, &key);
			(void) merge(state, value.val.binary.data, found->val.binary.data);
		}
		else
			push_member(state, &key, found ? found : &value);
	}
	iterator = JsonbIteratorInit(above);
	(void) JsonbIteratorNext(&iterator, &key, true);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &value, true);
		if (findJsonbValueFromContainer(below, JB_FOBJECT, &key) == NULL)
			push_member(state, &key, &value);
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* The value as a document: inside the objects that its path names. */
static Jsonb *
document_of(Tree *tree, int number, Datum value)
{
	const StreamColumn *column = &tree->stream->columns[number];
	StringInfoData json;
	Jsonb *document;
	ListCell *cell;

	initStringInfo(&json);
	foreach (cell, column->path)
	{
		appendStringInfoChar(&json, '{');
		escape_json(&json, lfirst(cell));
		appendStringInfoChar(&json, ':');
	}
	value_write_json(&tree->writers[number], value, &json);
	for (int i = 0; i < list_length(column->path); i++)
		appendStringInfoChar(&json, '}');
	document = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
	if (!JB_ROOT_IS_OBJECT(document))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the value of column \"%s\" must be a JSON object", column->name),
						errdetail("It is merged into the message.")));
	return document;
}

static void
write_merged(Tree *tree, const Datum *values, const bool *isnull, StringInfo json)
{
	Jsonb *merged = NULL;

	for (int i = 0; i < tree->count; i++)
	{
		int column = tree->order[i];
		JsonbParseState *state = NULL;
		Jsonb *document;

		if (isnull[column])
			continue;
		document = document_of(tree, column, values[column]);
		merged =
			merged ? JsonbValueToJsonb(merge(&state, &merged->root, &document->root)) : document;
	}
	if (merged)
		(void) JsonbToCString(json, &merged->root, VARSIZE(merged));
	else
		appendStringInfoString(json, "{}");
}

void
tree_write(Tree *tree, const Datum *values, const bool *isnull, StringInfo json)
{
	if (tree->merges)
		write_merged(tree, values, isnull, json);
	else
		write_object(tree, tree->root, values, isnull, json);
}
