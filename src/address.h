/*
 * address.h - IP addresses as people write them, one spelling for each host.
 */
#ifndef STREAMAGG_ADDRESS_H
#define STREAMAGG_ADDRESS_H

#define ADDRESS_TEXT_LENGTH 48

typedef struct Address
{
	int length;		 /* 4 or 16 bytes */
	uint8 bytes[16]; /* in network order */
} Address;

/*
 * Reads a host, blanks around it and a mask behind it left off.  False for anything else: 300.1.1.1,
 * 1.2.3, names, zones (%eth0), and 010.1.1.1, which is one host for some readers and another for
 * others.
 */
extern bool address_parse(const char *text, size_t length, Address *address);

/* ::ffff:1.2.3.4 becomes 1.2.3.4. */
extern void address_unmap(Address *address);

/* Keeps the first bits, clears the others. */
extern void address_truncate(Address *address, int bits);

/* The one text of an address (RFC 5952, groups of hex digits only); returns its length. */
extern size_t address_print(const Address *address, char text[ADDRESS_TEXT_LENGTH]);

#endif
