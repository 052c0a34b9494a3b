"""Workload q1: login events as they come, aggregated by Q1, beside the raw read of the topic."""
from broken import show_topic
from measure import show_spread

SHARES = {"missing": 0.02, "not_json": 0.001, "nested": 0.01}


def read_pair(readings, args, made, number):
    """What librdkafka takes alone and what the stream takes, the order swapped each time."""
    def raw():
        found = readings.kafka.consume("login", args.partitions)
        assert found["records"] == made["events"], found
        return found

    if number % 2 == 0:
        first = raw()
        return first, readings.read("login", made)
    reading = readings.read("login", made)
    return raw(), reading


def show_pair(number, raw, reading):
    cpu = reading.per_million(raw["cpu"])
    print(f"{number:4}  {cpu:7.3f} {reading.per_million(reading.worker):7.3f}"
          f" {reading.worker / raw['cpu']:6.2f} {reading.per_million(reading.server):7.3f}"
          f" {reading.server / raw['cpu']:6.2f}  {reading.events / raw['seconds'] / 1e6:6.2f}"
          f" {reading.events / reading.wall / 1e6:6.2f}  {reading.peak:6.0f}", flush=True)


def run(readings, args):
    made = readings.kafka.fill("login", args.partitions, events=args.events, seed=args.seed,
                               **SHARES)
    show_topic("login", made)
    readings.read("login", made)        # once unmeasured: files and caches are warm
    print("      cpu-s/M and multiple of raw             M events/s     MB\n"
          "pair      raw  worker    ×    server    ×       raw stream  worker", flush=True)
    pairs = []
    for number in range(args.pairs):
        pairs.append(read_pair(readings, args, made, number))
        show_pair(number + 1, *pairs[-1])
    for what in ("worker", "server"):
        ratios = [getattr(reading, what) / raw["cpu"] for raw, reading in pairs]
        print(f"multiple of raw, {what}: {show_spread(ratios)}")
