"""Workloads hop and cumulate: Q1 over up to six windows an event, against Q1, which has one."""
import pairs
from measure import in_turn, show_spread
from reading import Q1, Query

GOALS = {"hop": 1.5, "cumulate": 1.5}       # × the server's CPU of Q1, at the most


def show_pair(number, one, six):
    print(f"{number:4}  {one.per_million(one.worker):7.3f} {six.per_million(six.worker):7.3f}"
          f" {six.worker / one.worker:6.3f}"
          f"  {one.per_million(one.server):7.3f} {six.per_million(six.server):7.3f}"
          f" {six.server / one.server:6.3f}  {one.wall:6.2f} {six.wall:6.2f}"
          f" {six.wall / one.wall:6.3f}", flush=True)


def run(name, readings, args):
    topic = readings.kafka.fill("login", args.partitions, events=args.events, seed=args.seed,
                                **pairs.LOGIN)
    print(topic.describe())
    query = Query(("login.sql", f"{name}.sql"))
    for each in (Q1, query):
        readings.read(topic, each)      # once unmeasured: files and caches are warm
    print("      worker cpu-s/M         server cpu-s/M         wall s\n"
          "pair   tumble    this  ratio   tumble    this  ratio  tumble   this  ratio", flush=True)
    found = []
    for number in range(args.pairs):
        found.append(in_turn(number, lambda: readings.read(topic, Q1),
                             lambda: readings.read(topic, query)))
        show_pair(number + 1, *found[-1])
    ratios = {what: [getattr(six, what) / getattr(one, what) for one, six in found]
              for what in ("worker", "server", "wall")}
    for what, values in ratios.items():
        print(f"{name} against tumble, {what}: {show_spread(values)}")
    print(f"goal: {GOALS[name]:g} × tumble at the most")
    return {"events": args.events, "goal": GOALS[name], "ratios": ratios}
