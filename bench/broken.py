"""Workload broken: what a share of broken records costs, against the same topic without any."""
import pairs
from measure import in_turn, show_spread

NESTED = 0.01
KINDS = ("not_json", "missing", "wrong_type", "check")


def fill_topics(kafka, args):
    """Two topics that differ in nothing but their broken records, by name."""
    topics = {}
    for name, share in (("good", 0.0), ("broken", args.share)):
        kinds = {kind: share / len(args.kinds) for kind in args.kinds}
        topics[name] = kafka.fill(name, args.partitions, events=args.events, seed=args.seed,
                                  nested=NESTED, **kinds)
        print(topics[name].describe(), flush=True)
    return topics


def read_pair(readings, topics, query, number):
    """What the stream takes for each of the two topics."""
    return in_turn(number, lambda: readings.read(topics["good"], query),
                   lambda: readings.read(topics["broken"], query))


def show_pair(number, good, broken):
    print(f"{number:4}  {good.per_million(good.worker):7.3f} {broken.per_million(broken.worker):7.3f}"
          f" {broken.worker / good.worker:6.3f}"
          f"  {good.per_million(good.server):7.3f} {broken.per_million(broken.server):7.3f}"
          f" {broken.server / good.server:6.3f}"
          f"  {good.wall:6.2f} {broken.wall:6.2f} {broken.wall / good.wall:6.3f}", flush=True)


def run(readings, args):
    topics = fill_topics(readings.kafka, args)
    query = pairs.WORKLOADS[args.query].query
    for topic in topics.values():
        readings.read(topic, query)     # once unmeasured: files and caches are warm
    print("      worker cpu-s/M         server cpu-s/M         wall s\n"
          "pair     none  broken  ratio     none  broken  ratio    none broken  ratio", flush=True)
    found = []
    for number in range(args.pairs):
        found.append(read_pair(readings, topics, query, number))
        show_pair(number + 1, *found[-1])
    ratios = {what: [getattr(broken, what) / getattr(good, what) for good, broken in found]
              for what in ("worker", "server", "wall")}
    for what, values in ratios.items():
        print(f"{100 * args.share:g} % broken against none, {what}: {show_spread(values)}")
    return {"key": f"broken-{100 * args.share:g}", "events": args.events, "query": args.query,
            "share": args.share, "kinds": list(args.kinds), "ratios": ratios}
