/*
 * integer.h - integers of any size, and what is stored as one: dates and times.
 */
#ifndef STREAMAGG_INTEGER_H
#define STREAMAGG_INTEGER_H

/* A Datum by value, of a type of 2, 4 or 8 bytes (typlen). */
static inline int64
integer_of(Datum value, int16 length)
{
	switch (length)
	{
		case sizeof(int16):
			return DatumGetInt16(value);
		case sizeof(int32):
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

#endif
