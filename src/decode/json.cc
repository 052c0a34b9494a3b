/*
 * json.cc: the fast reader of JSON messages, the only includer of simdjson.
 *
 * simdjson's first stage checks the encoding and lists the offsets of all tokens; the
 * walk (json_walk.cc) checks the tokens.  simdjson's own parsers are not used: On-Demand
 * checks only what it visits, the DOM refuses numbers that jsonb takes, and neither gives
 * jsonb's reasons.  Why a message is refused is found by json_verdict.c, off the fast path.
 *
 * No PostgreSQL here, and no exception leaves.  Called by the decoder of rows.
 */
#include "json.h"
#include "json_walk.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <simdjson.h>

#ifdef USE_VALGRIND
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(from, length) ((void) 0)
#endif

namespace
{

/* The buffers start here, double, and go back from above "kept" for "small" messages. */
constexpr size_t FIRST_CAPACITY = 4096;
constexpr size_t KEPT_CAPACITY = 1024 * 1024;
constexpr size_t SMALL_LENGTH = 64 * 1024;
constexpr size_t MAX_LENGTH = INT32_MAX;

} /* namespace */

struct JsonReader
{
	JsonField root; /* of an empty key: the document */
	int npaths = 0;
	size_t capacity = 0;
	std::unique_ptr<char[]> text;
	std::unique_ptr<char[]> spare;
	std::unique_ptr<simdjson::internal::dom_parser_implementation> indexer;
};

namespace
{

bool
resize_indexer(JsonReader &reader, size_t capacity)
{
	if (reader.indexer)
		return reader.indexer->set_capacity(capacity) == simdjson::SUCCESS;
	/* The depth is that of simdjson's second stage, which is never run. */
	return simdjson::get_active_implementation()->create_dom_parser_implementation(
			   capacity, 1, reader.indexer) == simdjson::SUCCESS;
}

/*
 * Makes the buffers larger than the message.  After a huge one they shrink again: its
 * memory, six to twelve times its length, must not be held for ever.
 */
bool
reserve_capacity(JsonReader &reader, size_t length)
{
	size_t capacity = FIRST_CAPACITY;

	if (length < reader.capacity && (reader.capacity <= KEPT_CAPACITY || length > SMALL_LENGTH))
		return true;
	while (capacity <= length)
		capacity *= 2;
	reader.capacity = 0;
	reader.text.reset(new (std::nothrow) char[capacity + simdjson::SIMDJSON_PADDING]);
	reader.spare.reset(new (std::nothrow) char[capacity + simdjson::SIMDJSON_PADDING]);
	if (!reader.text || !reader.spare || !resize_indexer(reader, capacity))
		return false;
	reader.capacity = capacity;
	return true;
}

/*
 * simdjson's first stage over the padded copy; its list is ended here, as json_walk asks.
 * False: not UTF-8, a control character in a string, a string left open, or only blanks.
 */
bool
list_tokens(JsonReader &reader, size_t length)
{
	auto text = reinterpret_cast<const uint8_t *>(reader.text.get());
	auto &indexer = *reader.indexer;

	if (indexer.stage1(text, length, simdjson::stage1_mode::regular) != simdjson::SUCCESS)
		return false;
	indexer.structural_indexes[indexer.n_structural_indexes] = static_cast<uint32_t>(length);
	return true;
}

bool
walk_message(JsonReader &reader, const char *data, size_t length, JsonValue *values)
{
	char *text = reader.text.get();

	/* The rest of an earlier message behind this one: valgrind tells if it is read. */
	VALGRIND_MAKE_MEM_UNDEFINED(text, reader.capacity + simdjson::SIMDJSON_PADDING);
	VALGRIND_MAKE_MEM_UNDEFINED(reader.spare.get(), reader.capacity + simdjson::SIMDJSON_PADDING);
	memcpy(text, data, length);
	text[length] = ' ';
	if (!list_tokens(reader, length))
		return false;
	return json_walk({text, length, reader.indexer->structural_indexes.get(), reader.spare.get()},
					 reader.root, values);
}

/* Whether some object had a member that no path holds; forgotten for the next document. */
bool
take_left_rest(const JsonField &field)
{
	bool left = field.inside && field.inside->left_rest;

	if (!field.inside)
		return false;
	field.inside->left_rest = false;
	for (const JsonField &inner : field.inside->fields)
		left = take_left_rest(inner) || left;
	return left;
}

bool
has_byte_order_mark(const char *data, size_t length)
{
	return length >= JSON_BOM_LENGTH && memcmp(data, JSON_BOM, JSON_BOM_LENGTH) == 0;
}

void
clear_values(const JsonReader &reader, JsonValue *values)
{
	for (int i = 0; i < reader.npaths; i++)
		values[i] = {JSON_MISSING, 0, nullptr};
}

/* Throws std::bad_alloc; moves the fields, so that their ring is tied anew. */
void
append_field(JsonMembers &members, const char *key)
{
	std::vector<JsonField> &fields = members.fields;
	JsonField field;

	field.key = key;
	memcpy(&field.head, key, std::min(field.key.size(), sizeof(JsonHead)));
	memset(&field.head_mask, 0xFF, std::min(field.key.size(), sizeof(JsonHead)));
	members.key_bits |= json_key_bit(field.key);
	fields.push_back(std::move(field));
	for (size_t i = 0; i < fields.size(); i++)
		fields[i].next = &fields[(i + 1) % fields.size()];
	members.expected = &fields.front();
}

/* The field of this key in the parent, made if need be; throws std::bad_alloc. */
JsonField *
demand_field(JsonField *parent, const char *key)
{
	if (!parent->inside)
	{
		auto members = std::make_unique<JsonMembers>();

		append_field(*members, key);
		parent->inside = std::move(members);
		return &parent->inside->fields.back();
	}
	for (JsonField &known : parent->inside->fields)
		if (known.key == key)
			return &known;
	append_field(*parent->inside, key);
	return &parent->inside->fields.back();
}

} /* namespace */

const char *
json_library_version(void)
{
	return SIMDJSON_STRINGIFY(SIMDJSON_VERSION);
}

JsonReader *
json_reader_create(void)
{
	return new (std::nothrow) JsonReader;
}

void
json_reader_free(JsonReader *reader)
{
	delete reader;
}

int
json_reader_add_path(JsonReader *reader, const char *const *steps, int nsteps)
{
	JsonField *field = &reader->root;

	try
	{
		for (int i = 0; i < nsteps; i++)
			field = demand_field(field, steps[i]);
	}
	catch (...)
	{
		return -1;
	}
	if (field->value == JSON_NOT_WANTED)
		field->value = reader->npaths++;
	return field->value;
}

/*
 * A message that the walk refuses is judged anew.  Should the judge find nothing wrong
 * (the tests hold that it always does), the message is refused nevertheless: a record in
 * quarantine can be looked at, values read by half could not.
 */
JsonVerdict
json_read(JsonReader *reader, const char *data, size_t length, JsonValue *values)
{
	size_t mark = has_byte_order_mark(data, length) ? JSON_BOM_LENGTH : 0;
	JsonVerdict verdict;

	clear_values(*reader, values);
	if (length > MAX_LENGTH || !reserve_capacity(*reader, length))
		return JSON_NO_MEMORY;
	if (walk_message(*reader, data + mark, length - mark, values))
		return JSON_OK;
	clear_values(*reader, values);
	verdict = json_verdict(data, length);
	return verdict == JSON_OK ? JSON_BAD_SYNTAX : verdict;
}

bool
json_take_rest(JsonReader *reader)
{
	return take_left_rest(reader->root);
}
