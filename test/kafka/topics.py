#!/usr/bin/python3
"""Topics of the test broker.

topics.py --bootstrap HOST:PORT wait                       until the broker answers
topics.py --bootstrap HOST:PORT create TOPIC N [NAME=VALUE …]
topics.py --bootstrap HOST:PORT add_partitions TOPIC N     N partitions in all
topics.py --bootstrap HOST:PORT delete TOPIC
topics.py --bootstrap HOST:PORT ends TOPIC                 a line a partition: low, high
topics.py --bootstrap HOST:PORT delete_records TOPIC P N   those of partition P before offset N
topics.py --bootstrap HOST:PORT join TOPIC GROUP           reads as a member of the group until it is ended

Returns when the broker's metadata shows the change; fails after --timeout seconds.
"""
import argparse
import socket
import struct
import sys
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic


def poll(what, timeout, condition):
    """Calls condition until it is true; a KafkaException counts as not yet."""
    deadline = time.monotonic() + timeout
    last = None
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except KafkaException as error:
            last = error
        time.sleep(0.05)
    sys.exit(f"topics.py: {what}: not after {timeout} s" + (f": {last}" if last else ""))


def partitions(admin, topic):
    """How many partitions with a leader the broker shows, 0 when there is no such topic."""
    found = admin.list_topics(timeout=2).topics.get(topic)
    if found is None or found.error is not None:
        return 0
    return sum(p.leader >= 0 for p in found.partitions.values())


def confirm(futures):
    for future in futures.values():
        future.result()


def create(admin, args):
    config = dict(setting.split("=", 1) for setting in args.config)
    topic = NewTopic(args.topic, num_partitions=args.count, replication_factor=1, config=config)
    confirm(admin.create_topics([topic], operation_timeout=args.timeout))
    poll(f"topic {args.topic}", args.timeout, lambda: partitions(admin, args.topic) == args.count)


def add_partitions(admin, args):
    confirm(admin.create_partitions([NewPartitions(args.topic, args.count)],
                                    operation_timeout=args.timeout))
    poll(f"partitions of {args.topic}", args.timeout,
         lambda: partitions(admin, args.topic) == args.count)


def delete(admin, args):
    confirm(admin.delete_topics([args.topic], operation_timeout=args.timeout))
    poll(f"end of topic {args.topic}", args.timeout, lambda: partitions(admin, args.topic) == 0)


def ends(admin, args):
    consumer = Consumer({"bootstrap.servers": args.bootstrap, "group.id": "topics.py",
                         "isolation.level": "read_uncommitted"})
    for number in range(partitions(admin, args.topic)):
        low, high = consumer.get_watermark_offsets(TopicPartition(args.topic, number),
                                                   timeout=args.timeout)
        print(f"{number},{low},{high}")
    consumer.close()


def delete_records(_admin, args):
    """The client of Debian 12 has no call for it: the request itself, version 0, to the only broker."""
    def string(text):
        return struct.pack(">h", len(text)) + text.encode()

    request = struct.pack(">hhi", 21, 0, 1) + string("topics.py") + struct.pack(">i", 1) + \
        string(args.topic) + struct.pack(">iiqi", 1, args.partition, args.offset, 30000)
    with socket.create_connection(args.bootstrap.split(":"), args.timeout) as broker:
        broker.sendall(struct.pack(">i", len(request)) + request)
        reply = broker.makefile("rb")
        answer = reply.read(struct.unpack(">i", reply.read(4))[0])
    error = struct.unpack(">h", answer[-2:])[0]
    if error:
        sys.exit(f"topics.py: delete_records: error {error}")


def join(_admin, args):
    consumer = Consumer({"bootstrap.servers": args.bootstrap, "group.id": args.group,
                         "auto.offset.reset": "earliest"})
    consumer.subscribe([args.topic], on_assign=lambda *_: print("assigned", flush=True))
    while True:
        consumer.poll(1)


def wait(admin, args):
    poll(f"broker {args.bootstrap}", args.timeout, lambda: admin.list_topics(timeout=1).brokers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--timeout", type=float, default=60)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (wait, create, add_partitions, delete, ends, delete_records, join):
        sub = commands.add_parser(command.__name__)
        sub.set_defaults(command=command)
        if command is not wait:
            sub.add_argument("topic")
        if command in (create, add_partitions):
            sub.add_argument("count", type=int)
        if command is delete_records:
            sub.add_argument("partition", type=int)
            sub.add_argument("offset", type=int)
        if command is join:
            sub.add_argument("group")
        if command is create:
            sub.add_argument("config", nargs="*", metavar="NAME=VALUE")
    args = parser.parse_args()
    # Errors of the connection (the broker is not up yet) are polled over, not printed.
    admin = AdminClient({"bootstrap.servers": args.bootstrap, "log_level": 0,
                         "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200,
                         "error_cb": lambda error: None})
    args.command(admin, args)


if __name__ == "__main__":
    main()
