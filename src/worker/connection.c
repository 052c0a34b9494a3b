/*
 * connection.c - sees in the invalidation messages that the server or a user mapping was altered.
 */
#include "postgres.h"

#include "utils/inval.h"
#include "utils/syscache.h"

#include "connection.h"

static bool changed = false;
static uint32 server_hash;		 /* of the catalogue rows that the properties are in */
static uint32 mapping_hashes[2]; /* the user's and PUBLIC's */

/* hash 0: everything may have changed, which is no reason to think that this has */
static void
on_change(Datum argument, int cache, uint32 hash)
{
	if (cache == FOREIGNSERVEROID)
		changed = changed || hash == server_hash;
	else
		changed = changed || hash == mapping_hashes[0] || hash == mapping_hashes[1];
}

void
connection_watch(Oid server, Oid user)
{
	Datum key = ObjectIdGetDatum(server);

	server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID, key);
	mapping_hashes[0] = GetSysCacheHashValue2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(user), key);
	mapping_hashes[1] =
		GetSysCacheHashValue2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid), key);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, on_change, 0);
	CacheRegisterSyscacheCallback(USERMAPPINGUSERSERVER, on_change, 0);
}

bool
connection_changed(void)
{
	return changed;
}
