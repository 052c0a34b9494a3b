/*
 * json_walk.h: what json.cc (paths, memory) and json_walk.cc (the walk over the tokens)
 * share; for nobody else.
 */
#ifndef STREAMAGG_JSON_WALK_H
#define STREAMAGG_JSON_WALK_H

#include "json_verdict.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

constexpr int32_t JSON_NOT_WANTED = -1;

/* The bytes of a key that one load compares. */
using JsonHead = uint64_t;

struct JsonMembers;

/* A key that is wanted, or whose value has something wanted inside. */
struct JsonField
{
	std::string key;
	JsonHead head = 0;		/* the key's first bytes, zero behind its end */
	JsonHead head_mask = 0; /* ones where the head has bytes of the key */
	int32_t value = JSON_NOT_WANTED;
	std::unique_ptr<JsonMembers> inside;
	const JsonField *next = nullptr; /* in a ring with its neighbours */
};

/* The keys of one object that matter, at least one. */
struct JsonMembers
{
	std::vector<JsonField> fields;
	uint64_t key_bits = 0;				 /* json_key_bit of each */
	const JsonField *expected = nullptr; /* where to look first for the next key */
	bool left_rest = false;				 /* the document has something that no path holds */
};

/* One bit of 64, by which most keys that are not wanted can be told. */
inline uint64_t
json_key_bit(std::string_view key)
{
	auto first = static_cast<unsigned char>(key.empty() ? 0 : key.front());
	auto last = static_cast<unsigned char>(key.empty() ? 0 : key.back());

	return uint64_t{1} << ((first + 2 * last + 4 * key.size()) % 64);
}

/*
 * A document, its tokens, and where the values go.  The text is followed by one blank and
 * by at least seven bytes more: a token past the last one reads as the blank, a scan for
 * a token's end stops there, and the load of a JsonHead may run over.  The list of the
 * tokens' offsets ends with the text's length.  The spare buffer, with as many bytes
 * behind it, has room for the whole text.
 */
struct JsonTokens
{
	const char *text;
	size_t length;
	const uint32_t *offsets;
	char *spare;
};

/* False: something in the document is not as it should be; some values may be filled. */
extern bool json_walk(const JsonTokens &tokens, const JsonField &root, JsonValue *values);

#endif
