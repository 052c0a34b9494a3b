/*
 * value.h - a value of a column as JSON, or as text.
 */
#ifndef STREAMAGG_ENCODE_VALUE_H
#define STREAMAGG_ENCODE_VALUE_H

#include "fmgr.h"
#include "lib/stringinfo.h"

#include "decode/encoding.h"

typedef struct ValueWriter ValueWriter;

/* Appends the value's text; true when that is JSON by itself, false when JSON has it in quotes. */
typedef bool (*ValueWrite)(ValueWriter *writer, Datum value, StringInfo text);

struct ValueWriter
{
	ValueWrite write;
	Oid type;	  /* no domain */
	int16 length; /* of it */
	ConvertEncoding encoding;
	FmgrInfo output; /* of the type, or to_jsonb */
};

/* What it needs is kept in the current context. */
extern void value_writer_init(ValueWriter *writer, Oid type, ConvertEncoding encoding);

/*
 * Appends what the conversion of the column (decode/convert.h) reads back as the same value, in the
 * current context and under neutral settings.  Errors: 22008 an infinite time as epoch, and those of
 * output functions.
 */
extern void value_write_json(ValueWriter *writer, Datum value, StringInfo json);
/* The same as bytes without quotes: keys and headers. */
extern void value_write_text(ValueWriter *writer, Datum value, StringInfo text);

#endif
