#!/usr/bin/python3
"""Seeded user-login events: the same arguments give the same events, whenever and wherever.

events.py --seed S --count N --partitions P [--broken 0.02] [--skip N]   prints produce.py's lines
events.py … --bootstrap HOST:PORT --topic TOPIC [--rate N]               produces them itself
          … --transactional ID [--every 1000] [--abort 0.1]              in transactions

A tenth of the events is up to 30 s out of order, some are odd but right, --broken of them break
one of the rules below (spread evenly over the kinds), one in a thousand is a tombstone. What is
broken about an event is known to nobody but this file: recompute.py judges the bytes.
"""
import argparse
import random
import sys
import time

START = 1694479551                  # event time of the first event, seconds
BLOCK = 1000                        # events of one random generator: --skip needn't make the others
DEVICES = ("android", "ios", "web")
LOCALES = tuple(a + b for a in "ABCDEFGHIJ" for b in "KLMNP")
VERSIONS = ("2.0.0", "2.1.0", "2.2.1", "2.3.0", "3.0.0-beta")


def uuid_of(rnd):
    digits = f"{rnd.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def document(fields):
    """JSON as most producers write it. A value that begins with ! is put in as it is."""
    return "{" + ",".join(f'"{name}":' + (value[1:] if value.startswith("!") else f'"{value}"')
                          for name, value in fields.items()) + "}"


def without(name):
    return lambda fields: document({k: v for k, v in fields.items() if k != name})


def changed(name, value):
    return lambda fields: document({**fields, name: value})


BROKEN = (
    without("device_type"),
    changed("device_type", "!null"),
    changed("device_type", "toaster"),
    changed("device_type", "Android"),
    without("timestamp"),
    changed("timestamp", "!null"),
    changed("timestamp", "yesterday"),
    changed("timestamp", ""),
    changed("timestamp", "!true"),
    changed("timestamp", "99999999999999999"),
    without("user_id"),
    changed("user_id", "424cdd21-063a-43a7-b91b-7ca1a833afa"),
    changed("user_id", "!42"),
    changed("locale", "A\\u0000"),
    changed("locale", "\\ud800"),
    lambda fields: document(fields)[:-1],
    lambda fields: document(fields) + "}",
    lambda fields: "[" + document(fields) + "]",
    lambda fields: '"login"',
    lambda fields: "",
    lambda fields: document(fields).replace('"', "'"),
    lambda fields: document(fields).encode()[:-2] + b'\xff"}',
)
ODD = (
    without("locale"),
    changed("locale", "!null"),
    changed("locale", ""),
    changed("locale", "\\u0052\\u00dc"),
    changed("app_version", "!3"),
    changed("device_id", '!{"os": {"name": "x"}}'),
    lambda fields: document({**fields, "geo": '!{"lat":52.5,"lon":13.4,"tags":["a","b",null]}'}),
    lambda fields: document({**fields, "timestamp": "!" + fields["timestamp"]}),
    lambda fields: document({**fields, "timestamp": fields["timestamp"] + ".123456"}),
    lambda fields: document({**fields, "timestamp": "!" + fields["timestamp"] + ".5"}),
    lambda fields: document({**fields, "user_id": fields["user_id"].upper()}),
    lambda fields: document({"device_type": "toaster", **fields}),
    lambda fields: "\n".join(document(fields).split(",", 1)).replace("\n", ", \r "),
    lambda fields: document(fields)[:-1] + ',"device_type":"web"}',
)


def pick(rnd, values):
    """choice() may differ between versions of Python, random() does not."""
    return values[int(rnd.random() * len(values))]


def event(rnd, number, args):
    """(partition, key, value): key and value are bytes or None."""
    second = START + number // args.per_second
    if rnd.random() < 0.1:
        second -= int(rnd.random() * 31)
    user = uuid_of(rnd)
    fields = {
        "user_id": user,
        "app_version": pick(rnd, VERSIONS),
        "device_type": pick(rnd, DEVICES),
        "ip": ".".join(str(rnd.getrandbits(8)) for _ in range(4)),
        "locale": pick(rnd, LOCALES),
        "device_id": f"{rnd.getrandbits(9):03}-{rnd.getrandbits(6):02}-{rnd.getrandbits(13):04}",
        "timestamp": str(second),
    }
    partition, kind = int(rnd.random() * args.partitions), rnd.random()
    key = None if rnd.random() < 0.01 else user.encode()
    if kind < args.broken:
        value = pick(rnd, BROKEN)(fields)
    elif kind < args.broken + 0.01:
        value = pick(rnd, ODD)(fields)
    elif kind < args.broken + 0.011:
        return partition, key, None
    else:
        value = document(fields)
    return partition, key, value if isinstance(value, bytes) else value.encode()


def events(args):
    """The events number skip to skip + count - 1."""
    end = args.skip + args.count
    for block in range(args.skip // BLOCK, (end + BLOCK - 1) // BLOCK):
        rnd = random.Random(args.seed * 1_000_003 + block)
        for number in range(block * BLOCK, min((block + 1) * BLOCK, end)):
            made = event(rnd, number, args)
            if number >= args.skip:
                yield made


def produce(args):
    """Sends the events at the rate asked for; prints how many, how fast."""
    from produce import Sender          # printing must not need a Kafka library
    sender = Sender(args.bootstrap, args.topic, args.transactional)
    rnd = random.Random(args.seed)
    began = time.monotonic()
    for number, (partition, key, value) in enumerate(events(args), 1):
        sender.send(partition, key, value)
        if number % 500 == 0:
            sender.producer.poll(0)
            ahead = number / args.rate - (time.monotonic() - began) if args.rate else 0
            if ahead > 0.01:
                sender.producer.flush(0.01)
                time.sleep(ahead)
        if args.transactional and number % args.every == 0:
            sender.end_transaction("abort" if rnd.random() < args.abort else "commit")
    sender.flush()
    sender.end_transaction("commit")
    print(f"{sender.acknowledged} events in {time.monotonic() - began:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--broken", type=float, default=0.02, help="share of broken events")
    parser.add_argument("--per-second", type=int, default=1000, help="events per event second")
    parser.add_argument("--skip", type=int, default=0, help="leave out the first N events")
    parser.add_argument("--bootstrap")
    parser.add_argument("--topic")
    parser.add_argument("--rate", type=float, default=0, help="events per second, 0: all at once")
    parser.add_argument("--transactional", metavar="ID")
    parser.add_argument("--every", type=int, default=1000, help="events in a transaction")
    parser.add_argument("--abort", type=float, default=0, help="share of aborted transactions")
    args = parser.parse_args()
    if args.bootstrap:
        produce(args)
        return
    for partition, key, value in events(args):
        sys.stdout.buffer.write(b"\t".join((b"%d" % partition, b"\\N" if key is None else key,
                                            b"\\N" if value is None else value)) + b"\n")


if __name__ == "__main__":
    main()
