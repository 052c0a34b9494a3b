#!/usr/bin/env python3
"""All names of configuration that the installed librdkafka knows, global and of topics.

librdkafka_names.py            a line each: name, tab, default value (empty: none)
librdkafka_names.py --load SO  sets plugin.library.paths to SO, as somebody would who is not stopped

Names come from its dumps of a default configuration, from the table that it prints, and from every
text in the library file that it takes for a name: callbacks, aliases and hidden ones.
"""
import ctypes
import os
import re
import sys
import tempfile

UNKNOWN = -2
lib = ctypes.CDLL("librdkafka.so.1")
pointers = ctypes.POINTER(ctypes.c_char_p)


def function(name, result, *arguments):
    found = getattr(lib, name)
    found.restype, found.argtypes = result, arguments
    return found


pointer, size = ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)
conf = function("rd_kafka_conf_new", pointer)()
topic = function("rd_kafka_topic_conf_new", pointer)()


def dumped(name, of):
    count = ctypes.c_size_t()
    texts = function(name, pointers, pointer, size)(of, count)
    return {texts[i].decode(): texts[i + 1].decode() for i in range(0, count.value, 2)}


def printed():
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = pointer
    with tempfile.TemporaryFile() as file:
        stream = pointer(libc.fdopen(os.dup(file.fileno()), b"w"))
        function("rd_kafka_conf_properties_show", None, pointer)(stream)
        libc.fclose(stream)
        file.seek(0)
        rows = [line.split("|")[0].strip() for line in file.read().decode().splitlines()
                if line.count("|") >= 4]
    return [row for row in rows if row != "Property" and not row.startswith("--")]


def is_known(name):
    length = ctypes.c_size_t()
    return any(function(get, ctypes.c_int, pointer, ctypes.c_char_p, pointer, size)(
                   of, name, None, length) != UNKNOWN
               for get, of in (("rd_kafka_conf_get", conf), ("rd_kafka_topic_conf_get", topic)))


def library_path():
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return next(line.split()[-1] for line in maps if "librdkafka.so" in line)


def in_file():
    with open(library_path(), "rb") as file:
        texts = set(re.findall(rb"(?<![^\0])[a-zA-Z][a-zA-Z0-9._]+(?=\0)", file.read()))
    return [text.decode() for text in texts if is_known(text)]


def main():
    if len(sys.argv) > 2:
        error = ctypes.create_string_buffer(512)
        lib.rd_kafka_conf_set(pointer(conf), b"plugin.library.paths", sys.argv[2].encode(), error, 512)
        return
    defaults = {**dumped("rd_kafka_topic_conf_dump", topic), **dumped("rd_kafka_conf_dump", conf)}
    for name in sorted({*defaults, *printed(), *in_file()}):
        print(f"{name}\t{defaults.get(name, '')}")


main()
