/*
 * archive.h - the accepted rows of a stream, kept.
 */
#ifndef STREAMAGG_ARCHIVE_H
#define STREAMAGG_ARCHIVE_H

/* The archive of a stream, InvalidOid where it has none. */
extern Oid archive_of(Oid stream);

#endif
