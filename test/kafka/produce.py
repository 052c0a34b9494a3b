#!/usr/bin/python3
"""Produces lines of standard input to a topic: the tests' only way to write to Kafka.

produce.py --bootstrap HOST:PORT --topic TOPIC [--transactional ID] [--hex]

A line is PARTITION<TAB>KEY<TAB>VALUE[<TAB>TIMESTAMP in ms]; \\N is NULL (a tombstone for a value).
With --hex, values are hexadecimal: the way for bytes that no text can hold.
With --transactional a transaction begins at the first record; the line `!commit` or `!abort` ends
it, and the next record begins another; the end of the input commits. `!flush` waits until all that
was sent is acknowledged (and thus lies in the log, even of an open transaction) and answers
`flushed` on standard output.
Idempotent, acks=all: every record is once in the log and in order, also over a broker's restart.
"""
import argparse
import sys

from confluent_kafka import KafkaException, Producer


class Sender:
    """A producer that counts what was acknowledged and fails when anything was not."""

    def __init__(self, bootstrap, topic, transactional=None):
        config = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all",
                  "linger.ms": 20, "compression.type": "lz4", "log_level": 0,
                  "queue.buffering.max.messages": 200000, "reconnect.backoff.max.ms": 500,
                  "error_cb": lambda error: None}
        if transactional:
            config["transactional.id"] = transactional
        else:
            config["message.timeout.ms"] = 300000
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

    def send(self, partition, key, value, timestamp=None):
        """Queues one record; waits while the queue is full."""
        if self.transactional and not self.open:
            self.producer.begin_transaction()
            self.open = True
        extra = {} if timestamp is None else {"timestamp": timestamp}
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--transactional", metavar="ID")
    parser.add_argument("--hex", action="store_true")
    args = parser.parse_args()
    sender = Sender(args.bootstrap, args.topic, args.transactional)
    for line in sys.stdin.buffer:
        line = line.rstrip(b"\n")
        if line == b"!flush":
            sender.flush()
            print("flushed", flush=True)
        elif line in (b"!commit", b"!abort"):
            sender.end_transaction(line[1:].decode())
        elif line:
            partition, key, value, *timestamp = line.split(b"\t")
            sender.send(int(partition), field(key), field(value, args.hex),
                        *(int(t) for t in timestamp))
            sender.producer.poll(0)
    sender.flush()
    sender.end_transaction("commit")


if __name__ == "__main__":
    try:
        main()
    except KafkaException as error:
        sys.exit(f"produce.py: {error}")
