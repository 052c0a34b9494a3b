#!/usr/bin/env python3
"""A Kafka broker that does what it is told: faults that a real one cannot be made to show.

scripted_broker.py NODES       prints the nodes' ports on 127.0.0.1, then obeys, a line of JSON each,
                               and answers each with `ok`

{"do": "create", "topic": T, "partitions": N}     {"do": "delete", "topic": T}
{"do": "append", "topic": T, "partition": P, "values": ["…", …]}    one batch; more keys of it:
     "base": OFFSET     where it stands, also among what is there already
     "offsets": [N, …]  one for each record, from base on; repeated ones, too
     "last": OFFSET     the last that the batch stands for: what compaction left a hole of
     "fault": "crc"     its checksum is wrong      "codec"  it cannot be decompressed
     "producer": ID     of a transaction; its end: "control": "commit" or "abort" instead of values
{"do": "truncate", "topic": T, "partition": P, "end": OFFSET}       batches from there on are gone
{"do": "expire", "topic": T, "partition": P, "first": OFFSET}       batches before it are gone
{"do": "leader", "topic": T, "partition": P, "node": N}             -1: none
{"do": "error", "topic": T, "partition": P, "code": N}              what Fetch answers; 0: all is well
{"do": "disconnect"}                                                ends all connections

It keeps batches as bytes (record batches version 2), speaks the few requests that a consumer needs,
and knows read_committed: the last stable offset and the aborted transactions.
"""
import contextlib
import json
import socket
import socketserver
import struct
import sys
import threading
import time

FETCH, LIST_OFFSETS, METADATA, API_VERSIONS = 1, 2, 3, 18
VERSIONS = ((0, 0, 3), (FETCH, 0, 4), (LIST_OFFSETS, 0, 2), (METADATA, 0, 4), (API_VERSIONS, 0, 0))
OUT_OF_RANGE, UNKNOWN_TOPIC, NO_LEADER, NOT_LEADER, UNSUPPORTED_VERSION = 1, 3, 5, 6, 35
GZIP, TRANSACTIONAL, CONTROL = 1, 16, 32
START_MS = 1700000000000

changed = threading.Condition()
topics = {}
connections = set()
ports = []


def crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


TABLE = tuple(crc_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def varint(number):
    number = number << 1 ^ number >> 63
    out = b""
    while number & ~127:
        out, number = out + bytes((number & 127 | 128,)), number >> 7
    return out + bytes((number,))


def record(delta, key, value):
    body = b"\0" + varint(0) + varint(delta)
    for field in (key, value):
        body += varint(-1) if field is None else varint(len(field)) + field
    body += varint(0)
    return varint(len(body)) + body


class Batch:
    def __init__(self, base, records, last, attributes=0, producer=-1, fault=None, control=None):
        self.base, self.last, self.producer, self.control = base, last, producer, control
        payload = b"".join(record(offset - base, key, value) for offset, key, value in records)
        if fault == "codec":
            attributes, payload = attributes | GZIP, b"no gzip" + payload
        body = struct.pack(">hiqqqhii", attributes, last - base, START_MS, START_MS, producer, 0, -1,
                           len(records)) + payload
        crc = crc32c(body) ^ (fault == "crc")
        body = struct.pack(">ibI", 0, 2, crc) + body
        self.data = struct.pack(">qi", base, len(body)) + body


class Partition:
    def __init__(self):
        self.batches, self.first, self.end, self.leader, self.error = [], 0, 0, 0, 0

    def append(self, values=(), base=None, offsets=None, last=None, fault=None, producer=None,
               control=None):
        base = self.end if base is None else base
        if control:
            records = [(base, struct.pack(">hh", 0, control == "commit"), struct.pack(">hi", 0, 0))]
        else:
            offsets = offsets or range(base, base + len(values))
            records = [(o, None, v if v is None else v.encode())
                       for o, v in zip(offsets, values, strict=True)]
        last = last or max(r[0] for r in records)
        attributes = (TRANSACTIONAL if producer is not None else 0) | (CONTROL if control else 0)
        self.batches.append(Batch(base, records, last, attributes,
                                  -1 if producer is None else producer, fault, control))
        self.end = max(self.end, last + 1)

    def truncate(self, end):
        self.batches = [b for b in self.batches if b.base < end]
        if any(b.last >= end for b in self.batches):
            raise ValueError(f"offset {end} is no batch's first")
        self.end = end

    def expire(self, first):
        self.batches = [b for b in self.batches if b.last >= first]
        self.first = first

    def transactions(self):
        """(open ones' first offsets, aborted ones as (producer, first offset, offset of the marker))."""
        open_ones, aborted = {}, []
        for batch in self.batches:
            if batch.control:
                first = open_ones.pop(batch.producer, batch.base)
                if batch.control == "abort":
                    aborted.append((batch.producer, first, batch.base))
            elif batch.producer >= 0:
                open_ones.setdefault(batch.producer, batch.base)
        return open_ones.values(), aborted

    def stable(self):
        return min([self.end, *self.transactions()[0]])

    def read(self, offset, most, committed):
        limit = self.stable() if committed else self.end
        data = b""
        for batch in self.batches:
            if batch.last >= offset and batch.base < limit and (not data or len(data) < most):
                data += batch.data
        return data


# ---------------------------------------------------------------- the protocol

def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class Request:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values if len(values) > 1 else values[0]

    def string(self):
        length = self.take("h")
        self.at += max(length, 0)
        return self.data[self.at - max(length, 0):self.at].decode()

    def array(self, element):
        count = self.take("i")
        return None if count < 0 else [element() for _ in range(count)]


def api_versions(_request, version, _node):
    return struct.pack(">hi", UNSUPPORTED_VERSION if version else 0, len(VERSIONS)) + \
        b"".join(struct.pack(">hhh", *one) for one in VERSIONS)


def metadata(request, version, _node):
    names = request.array(request.string)
    if names is None or (version == 0 and not names):
        names = list(topics)
    rack = struct.pack(">h", -1) if version >= 1 else b""
    reply = struct.pack(">i", 0) if version >= 3 else b""
    reply += array([struct.pack(">i", n) + string("127.0.0.1") + struct.pack(">i", port) + rack
                    for n, port in enumerate(ports)])
    reply += string("scripted") if version >= 2 else b""
    reply += struct.pack(">i", 0) if version >= 1 else b""
    return reply + array([metadata_topic(name, version) for name in names])


def metadata_topic(name, version):
    internal = b"\0" if version >= 1 else b""
    if name not in topics:
        return struct.pack(">h", UNKNOWN_TOPIC) + string(name) + internal + array([])
    nodes = array([struct.pack(">i", n) for n in range(len(ports))])
    return struct.pack(">h", 0) + string(name) + internal + array([
        struct.pack(">hii", NO_LEADER if p.leader < 0 else 0, n, p.leader) + nodes + nodes
        for n, p in enumerate(topics[name])])


def find(topic, number, node):
    """(partition, error)"""
    if topic not in topics or number >= len(topics[topic]):
        return None, UNKNOWN_TOPIC
    partition = topics[topic][number]
    return partition, 0 if partition.leader == node else NOT_LEADER


def list_offsets(request, version, node):
    request.take("i")
    committed = version >= 2 and request.take("b") == 1

    def partition(topic):
        number, at = request.take("iq")
        most = request.take("i") if version == 0 else 1
        found, error = find(topic, number, node)
        offset = -1
        if not error:
            offset = found.first if at == -2 else found.stable() if committed else found.end
            if at >= 0:
                offset = found.first if at <= START_MS else -1
        if version == 0:
            return struct.pack(">ih", number, error) + array([struct.pack(">q", offset)][:most])
        return struct.pack(">ihqq", number, error, -1, offset)

    def topic():
        name = request.string()
        return string(name) + array(request.array(lambda: partition(name)))

    return (struct.pack(">i", 0) if version >= 2 else b"") + array(request.array(topic))


def fetch_partition(topic, number, offset, most, committed, node):
    """(bytes of the reply, whether there is something to tell)"""
    found, error = find(topic, number, node)
    data, high, stable, aborted = b"", -1, -1, []
    error = error or found.error
    if not error and not found.first <= offset <= found.end:
        error = OUT_OF_RANGE
    if not error:
        high, stable = found.end, found.stable()
        data = found.read(offset, most, committed)
        aborted = [struct.pack(">qq", producer, first)
                   for producer, first, marker in found.transactions()[1] if marker >= offset]
    return struct.pack(">ihqq", number, error, high, stable) + array(aborted) + \
        struct.pack(">i", len(data)) + data, bool(data or error)


def fetch(request, version, node):
    _, wait, _, _ = request.take("iiii")
    committed = request.take("b") == 1
    wanted = request.array(lambda: (request.string(), request.array(lambda: request.take("iqi"))))
    until = time.monotonic() + wait / 1000
    while True:
        done, reply = False, []
        for topic, partitions in wanted:
            found = [fetch_partition(topic, *p, committed, node) for p in partitions]
            done = done or any(told for _, told in found)
            reply.append(string(topic) + array([data for data, _ in found]))
        if done or time.monotonic() >= until:
            return struct.pack(">i", 0) + array(reply)
        changed.wait(until - time.monotonic())


ANSWERS = {API_VERSIONS: api_versions, METADATA: metadata, LIST_OFFSETS: list_offsets, FETCH: fetch}


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        connections.add(self.request)
        while len(head := self.rfile.read(4)) == 4:
            request = Request(self.rfile.read(struct.unpack(">i", head)[0]))
            key, version, number = request.take("hhi")
            request.string()
            with changed:
                reply = struct.pack(">i", number) + ANSWERS[key](request, version, self.server.node)
            self.wfile.write(struct.pack(">i", len(reply)) + reply)

    def finish(self):
        connections.discard(self.request)


class Broker(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass    # a client that goes away


# ---------------------------------------------------------------- the script

def obey(do, topic=None, partition=0, **arguments):
    if do == "create":
        topics[topic] = [Partition() for _ in range(arguments["partitions"])]
    elif do == "delete":
        del topics[topic]
    elif do == "disconnect":
        for one in list(connections):
            with contextlib.suppress(OSError):      # it has gone by itself
                one.shutdown(socket.SHUT_RDWR)
    elif do == "leader":
        topics[topic][partition].leader = arguments["node"]
    elif do == "error":
        topics[topic][partition].error = arguments["code"]
    else:
        getattr(topics[topic][partition], do)(**arguments)


def main():
    for node in range(int(sys.argv[1])):
        broker = Broker(("127.0.0.1", 0), Connection)
        broker.node = node
        ports.append(broker.server_address[1])
        threading.Thread(target=broker.serve_forever, daemon=True).start()
    print(*ports, flush=True)
    for line in sys.stdin:
        with changed:
            obey(**json.loads(line))
            changed.notify_all()
        print("ok", flush=True)


main()
