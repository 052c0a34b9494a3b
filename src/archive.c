/*
 * archive.c - where the accepted rows of a stream are kept.
 *
 * The archive of stream s.x is s.x_archive: the stream's columns under their names, rest,
 * _partition, _offset, _watermark (what lateness was judged with) and _received_at.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"

#include "archive.h"
#include "streamagg.h"

#define SUFFIX "_archive"

/* Found by its name, and by the columns that make it one. */
Oid
archive_of(Oid stream)
{
	const char *name = get_rel_name(stream);
	Oid found;

	if (name == NULL)
		return InvalidOid;
	found = get_relname_relid(
		psprintf("%.*s" SUFFIX,
				 pg_mbcliplen(name, strlen(name), NAMEDATALEN - 1 - (int) strlen(SUFFIX)), name),
		get_rel_namespace(stream));
	if (!OidIsValid(found) || get_attnum(found, "_watermark") == InvalidAttrNumber)
		return InvalidOid;
	return found;
}
