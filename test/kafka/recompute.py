#!/usr/bin/python3
"""What the view logins_1m must show, computed from the topic itself.

recompute.py --bootstrap HOST:PORT --topic TOPIC [--out DIR]

Reads the whole topic as a read_committed consumer does and judges each record by the rules of the
stream user_login (type, NOT NULL, CHECK, max_future), in plain Python: it shares no code with the
extension. Sorted CSV, \\N for NULL, times in microseconds since 1970:
  view.csv        window_start,window_end,device_type,locale,logins,first_login,last_login
  partitions.csv  partition,read,accepted,quarantined,tombstones,gaps,next_offset,watermark
  quarantine.csv  partition,record_offset
Without --out, view.csv and partitions.csv go to standard output.
"""
import argparse
import json
import os
import re
import sys
import time
from decimal import Decimal

from confluent_kafka import Consumer, KafkaError, TopicPartition

MINUTE = 60_000_000
DELAY = 30_000_000                  # watermark_delay
MAX_FUTURE = 300_000_000
DEVICES = {"android", "ios", "web"}
UUID = re.compile(r"(\{)?[0-9a-f]{4}(-?[0-9a-f]{4}){7}(?(1)\})", re.IGNORECASE)
SECONDS = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
# timestamptz ends in the year 294276.
LAST_TIME = 9224318016000000000


class Broken(Exception):
    """The record belongs into quarantine."""


def refuse_constant(name):
    raise Broken(name)


def text_is_sound(value):
    """jsonb takes neither U+0000 nor half a surrogate pair, wherever they stand."""
    if isinstance(value, str):
        return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, dict):
        return all(text_is_sound(k) and text_is_sound(v) for k, v in value.items())
    return not isinstance(value, list) or all(map(text_is_sound, value))


def parse(raw):
    try:
        text = raw.decode("utf-8")
        found = json.loads(text, parse_float=Decimal, parse_constant=refuse_constant)
    except ValueError as error:
        raise Broken(error) from error
    if not isinstance(found, dict):
        raise Broken("not an object")
    if "\\u" in text and not text_is_sound(found):
        raise Broken("a character that text cannot hold")
    return found


def text(value):
    """A text column: strings as they are; the group key only ever comes as one."""
    if value is None or isinstance(value, str):
        return value
    raise NotImplementedError(f"a group key that is no string: {value!r}")


def micros(value):
    """encoding epoch_s: a number, or a string that holds one."""
    if isinstance(value, str) and SECONDS.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise Broken("no time")
    found = int((Decimal(value) * 1_000_000).to_integral_value())
    if found > LAST_TIME:
        raise Broken("beyond timestamptz")
    return found


def judge(raw, produced_ms):
    """(event time, device_type, locale) of an accepted record; raises Broken."""
    login = parse(raw)
    user = login.get("user_id")
    if not isinstance(user, str) or not UUID.fullmatch(user):
        raise Broken("user_id")
    device, at = text(login.get("device_type")), micros(login.get("timestamp"))
    if device not in DEVICES:
        raise Broken("device_type")
    if at > produced_ms * 1000 + MAX_FUTURE:
        raise Broken("in the future")
    return at, device, text(login.get("locale"))


class Partition:
    def __init__(self, low, high):
        self.low, self.high = low, high
        self.accepted = self.tombstones = 0
        self.newest = None
        self.broken = []

    def take(self, message, groups):
        if message.value() is None:
            self.tombstones += 1
            return
        try:
            at, device, locale = judge(message.value(), message.timestamp()[1])
        except Broken:
            self.broken.append(message.offset())
            return
        self.accepted += 1
        self.newest = at if self.newest is None else max(self.newest, at)
        key = (at // MINUTE * MINUTE, device, locale)
        logins, first, last = groups.get(key, (0, at, at))
        groups[key] = (logins + 1, min(first, at), max(last, at))

    def row(self, number):
        read = self.accepted + self.tombstones + len(self.broken)
        return (number, read, self.accepted, len(self.broken), self.tombstones,
                self.high - self.low - read, self.high,
                "\\N" if self.newest is None else self.newest - DELAY)


def consume(args):
    """Reads every partition up to its last stable offset; (partitions, groups)."""
    consumer = Consumer({
        "bootstrap.servers": args.bootstrap, "group.id": "recompute", "log_level": 0,
        "isolation.level": "read_committed", "enable.auto.commit": False,
        "auto.offset.reset": "error", "enable.partition.eof": True, "check.crcs": True})
    topic = consumer.list_topics(args.topic, timeout=10).topics[args.topic]
    partitions = {number: Partition(*consumer.get_watermark_offsets(
        TopicPartition(args.topic, number), timeout=30)) for number in topic.partitions}
    consumer.assign([TopicPartition(args.topic, n, p.low) for n, p in partitions.items()])
    groups, waiting, deadline = {}, set(partitions), time.monotonic() + args.timeout
    while waiting:
        if time.monotonic() > deadline:
            sys.exit(f"recompute.py: partitions {sorted(waiting)} not read in {args.timeout} s")
        for message in consumer.consume(10000, timeout=0.2):
            if message.error() is None:
                partitions[message.partition()].take(message, groups)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                waiting.discard(message.partition())
            elif message.error().fatal():
                sys.exit(f"recompute.py: {message.error()}")
    consumer.close()
    return partitions, groups


def null(value):
    return "\\N" if value is None else value


def tables(partitions, groups):
    return {
        "view.csv": [(start, start + MINUTE, device, null(locale), *values)
                     for (start, device, locale), values in groups.items()],
        "partitions.csv": [p.row(number) for number, p in partitions.items()],
        "quarantine.csv": [(number, offset) for number, p in partitions.items()
                           for offset in p.broken],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--out", metavar="DIR")
    parser.add_argument("--timeout", type=float, default=300)
    args = parser.parse_args()
    for name, rows in tables(*consume(args)).items():
        lines = "".join(line + "\n" for line in sorted(",".join(map(str, row)) for row in rows))
        if args.out:
            with open(os.path.join(args.out, name), "w", encoding="utf-8") as f:
                f.write(lines)
        elif name != "quarantine.csv":
            print(f"# {name}\n{lines}", end="")


if __name__ == "__main__":
    main()
