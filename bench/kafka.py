"""A real Apache Kafka, one broker, and what is done with its topics."""
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from place import TREE, fail, free_port

POM = TREE / "test/kafka/pom.xml"
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={dir}/kafka
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""


def jars(place):
    """The directory of Kafka's jars: the tests' cache, filled by Maven when it is empty."""
    given = os.environ.get("STREAMAGG_KAFKA_JARS")
    if given:
        return Path(given)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("STREAMAGG_CACHE") or home / "streamagg")
    found = cache / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if not found.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        place.run("mvn", "-B", "-q", f"-Dmaven.repo.local={place.dir}/repository", "-f",
                  place.dir / "tree/test/kafka/pom.xml", "dependency:copy-dependencies",
                  f"-DoutputDirectory={place.dir}/fetched")
        partial = tempfile.mkdtemp(dir=cache)
        shutil.copytree(place.dir / "fetched", partial, dirs_exist_ok=True)
        os.chmod(partial, 0o755)
        os.rename(partial, found)
    return found


@dataclass
class Topic:
    """A topic, and what generate.c counted when it filled it."""
    name: str
    partitions: int
    counted: dict = field(default_factory=dict)

    @property
    def events(self):
        return self.counted["events"]

    def describe(self):
        counts = ", ".join(f"{what} {count}" for what, count in self.counted.items()
                           if what not in ("events", "bytes", "seconds"))
        return (f"topic {self.name}: {self.events} events of "
                f"{self.counted['bytes'] / self.events:.0f} bytes, {counts} "
                f"(produced at {self.events / self.counted['seconds'] / 1000:.0f}k/s)")


class Kafka:
    """The broker of a place; runs until the place ends."""

    def __init__(self, place):
        self.place = place
        self.names = []         # of the topics
        self.filled = {}        # how a topic was filled: the topic
        self.bootstrap = f"127.0.0.1:{free_port()}"
        properties = place.dir / "server.properties"
        properties.write_text(PROPERTIES.format(port=self.bootstrap.split(":")[1],
                                                controller=free_port(), dir=place.dir))
        # the cache may be in a directory that the broker's user must not enter
        shutil.copytree(jars(place), place.dir / "jars")
        java = ("java", f"-Djava.io.tmpdir={place.dir}", "-XX:-UsePerfData", "-Xmx1g",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{place.dir}/jars/*")
        place.run(*java, "kafka.tools.StorageTool", "format", "-t", "c3RyZWFtYWdnLWJlbmNoLTE",
                  "-c", properties)
        self.process = place.start(*java, "kafka.Kafka", properties, log="kafka.log")
        self._topics("--timeout", "60", "wait")

    def _topics(self, *arguments):
        if self.process.poll() is not None:
            fail("the broker has ended:\n" + self.place.log("kafka.log"))
        self.place.run("/usr/bin/python3", self.place.dir / "tree/test/kafka/topics.py",
                       "--bootstrap", self.bootstrap, *arguments)

    def create(self, label, partitions):
        """An empty topic, by this name or, when that is taken, one like it."""
        name = label if label not in self.names else f"{label}_{len(self.names)}"
        self.names.append(name)
        self._topics("create", name, partitions)
        return Topic(name, partitions)

    def fill(self, label, partitions, **options):
        """A topic of generate.c's events; the same one again for the same options."""
        how = (label, partitions, tuple(options.items()))
        if how not in self.filled:
            topic = self.create(label, partitions)
            topic.counted = json.loads(self.place.run(*self.generator(topic, **options)))
            self.filled[how] = topic
        return self.filled[how]

    def generator(self, topic, **options):
        """The command that fills a topic; the last line of its output is what it counted."""
        words = [word for name, value in options.items()
                 for word in (f"--{name.replace('_', '-')}", value)]
        return (self.place.dir / "generate", "--bootstrap", self.bootstrap, "--topic", topic.name,
                "--partitions", topic.partitions, *words)

    def consume(self, topic, idle=0):
        """Reads a topic by librdkafka alone, then waits idle seconds: gives back what it says."""
        return json.loads(self.place.run(self.place.dir / "consume", self.bootstrap, topic.name,
                                         topic.partitions, idle))
