#!/usr/bin/python3
"""Looks for needles in files, however they may be written there. A line of output is a find.

search.py --needle NEEDLE … PATH …      directories with all that is in them

A needle is text, number:DIGITS or address:IPV6. All are looked for in upper, lower and mixed case,
as hexadecimal, base64 and UTF-16; numbers also as PostgreSQL stores numeric, addresses as bytes.
Output: PATH, NEEDLE, FORM and what stands around, with tabs between.
"""
import argparse
import base64
import ipaddress
import os
import struct
import sys

AROUND = 40
SHOWN = 20          # finds of a needle in a form and a file


def base64_forms(raw):
    """The middle of its base64 text, wherever in a longer one it begins."""
    for shift in range(3):
        head = (8 * shift + 5) // 6
        tail = (len(raw) + shift) * 8 // 6
        yield f"base64+{shift}", base64.b64encode(b"\0" * shift + raw)[head:tail]


def numeric_forms(digits):
    """Digits of base 10000, wherever the groups of four begin."""
    for shift in range(4):
        groups = [int(digits[i:i + 4]) for i in range(shift, len(digits) - 3, 4)]
        yield f"numeric+{shift}", struct.pack(f"={len(groups)}h", *groups)


def text_forms(text):
    yield "text", text.encode()
    yield "UTF-16", text.encode("utf-16-le")[:-1]       # the big endian one holds this, too
    for case in {text, text.lower(), text.upper()}:
        yield f"hex of {case}", case.encode().hex().encode()
        yield from base64_forms(case.encode())


def forms(needle):
    kind, _, value = needle.partition(":")
    if kind == "number":
        yield from text_forms(value)
        yield from numeric_forms(value)
    elif kind == "address":
        packed = ipaddress.ip_address(value).packed
        # /48 of it may be shown
        yield from text_forms(value.split(":", 3)[3])
        yield "bytes", packed[6:]
        yield "hex of bytes", packed[6:].hex().encode()
    else:
        yield from text_forms(needle)


def files_under(path):
    if not os.path.isdir(path):
        yield path
    for directory, _, names in os.walk(path):
        for name in names:
            found = os.path.join(directory, name)
            if os.path.isfile(found):
                yield found


def printable(raw):
    return "".join(chr(b) if 32 <= b < 127 else "." for b in raw)


def search(path, patterns):
    try:
        with open(path, "rb") as f:
            content = f.read().lower()
    except FileNotFoundError:           # a server at work removes files
        return
    for needle, form, pattern in patterns:
        at, count = content.find(pattern), 0
        while at >= 0 and count < SHOWN:
            around = content[max(at - AROUND, 0):at + len(pattern) + AROUND]
            print(path, needle, form, printable(around), sep="\t")
            at, count = content.find(pattern, at + 1), count + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--needle", action="append", required=True)
    parser.add_argument("path", nargs="+")
    args = parser.parse_args()
    patterns = [(needle, form, pattern.lower()) for needle in args.needle
                for form, pattern in forms(needle)]
    for path in args.path:
        if not os.path.exists(path):
            sys.exit(f"search.py: there is no {path}")
        for name in files_under(path):
            search(name, patterns)


if __name__ == "__main__":
    main()
