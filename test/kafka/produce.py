#!/usr/bin/python3
"""Produces lines of standard input to a topic: the tests' only way to write to Kafka.

produce.py --bootstrap HOST:PORT --topic TOPIC [--transactional ID] [--hex | --json]
           [--set NAME=VALUE …]

A line is PARTITION<TAB>KEY<TAB>VALUE[<TAB>TIMESTAMP in ms]; \\N is NULL (a tombstone for a value).
With --hex, values are hexadecimal: the way for bytes that no text can hold.
With --json, a line is an object: partition, key, value, headers ([[name, value], …]), timestamp; key
and values are hexadecimal, null or not there.
--set gives the producer another property, such as compression.type.
With --transactional a transaction begins at the first record; the line `!commit` or `!abort` ends
it, and the next record begins another; the end of the input commits. `!flush` waits until all that
was sent is acknowledged (and thus lies in the log, even of an open transaction) and answers
`flushed` on standard output.
Idempotent, acks=all: every record is once in the log and in order, also over a broker's restart.
"""
import argparse
import json
import sys

from confluent_kafka import KafkaException, Producer


class Sender:
    """A producer that counts what was acknowledged and fails when anything was not."""

    def __init__(self, bootstrap, topic, transactional=None, properties=()):
        config = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all",
                  "linger.ms": 20, "compression.type": "lz4", "log_level": 0,
                  "queue.buffering.max.messages": 200000, "reconnect.backoff.max.ms": 500,
                  "error_cb": lambda error: None}
        if transactional:
            config["transactional.id"] = transactional
        else:
            config["message.timeout.ms"] = 300000
        config.update(setting.split("=", 1) for setting in properties)
        self.topic, self.failed, self.acknowledged = topic, 0, 0
        self.transactional, self.open = bool(transactional), False
        self.producer = Producer(config)
        if transactional:
            self.producer.init_transactions(60)

    def delivered(self, error, _message):
        if error is None:
            self.acknowledged += 1
        else:
            self.failed += 1
            print(f"not delivered: {error}", file=sys.stderr)

    def send(self, partition, key, value, timestamp=None, headers=None):
        """Queues one record; waits while the queue is full."""
        if self.transactional and not self.open:
            self.producer.begin_transaction()
            self.open = True
        extra = {} if timestamp is None else {"timestamp": timestamp}
        if headers:
            extra["headers"] = headers
        while True:
            try:
                self.producer.produce(self.topic, value, key, partition, self.delivered, **extra)
                return
            except BufferError:
                self.producer.poll(0.1)

    def end_transaction(self, how):
        if self.open:
            # An abort purges what is still queued: the log must hold the records that it hides.
            self.flush()
            getattr(self.producer, how + "_transaction")(60)
            self.open = False

    def flush(self):
        """Until all is acknowledged; exits when something was lost."""
        while self.producer.flush(1) > 0:
            pass
        if self.failed:
            sys.exit(f"{self.failed} records were not delivered")


def field(raw, as_hex=False):
    if raw == b"\\N":
        return None
    return bytes.fromhex(raw.decode()) if as_hex else raw


def unhex(text):
    return None if text is None else bytes.fromhex(text)


def send_json(sender, line):
    record = json.loads(line)
    sender.send(record.get("partition", 0), unhex(record.get("key")), unhex(record.get("value")),
                record.get("timestamp"),
                [(name, unhex(value)) for name, value in record.get("headers", ())])


def send_fields(sender, line, as_hex):
    partition, key, value, *timestamp = line.split(b"\t")
    sender.send(int(partition), field(key), field(value, as_hex), *(int(t) for t in timestamp))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--transactional", metavar="ID")
    parser.add_argument("--hex", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    sender = Sender(args.bootstrap, args.topic, args.transactional, args.set)
    for line in sys.stdin.buffer:
        line = line.rstrip(b"\n")
        if line == b"!flush":
            sender.flush()
            print("flushed", flush=True)
        elif line in (b"!commit", b"!abort"):
            sender.end_transaction(line[1:].decode())
        elif line:
            if args.json:
                send_json(sender, line)
            else:
                send_fields(sender, line, args.hex)
            sender.producer.poll(0)
    sender.flush()
    sender.end_transaction("commit")


if __name__ == "__main__":
    try:
        main()
    except KafkaException as error:
        sys.exit(f"produce.py: {error}")
