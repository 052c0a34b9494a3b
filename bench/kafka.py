"""A real Apache Kafka, one broker, and what is done with its topics."""
import hashlib
import json
import os
import shutil
import tempfile
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


class Kafka:
    """The broker of a place; runs until the place ends."""

    def __init__(self, place):
        self.place = place
        self.filled = {}        # topic: how it was filled, what was counted
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

    def fill(self, topic, partitions, **options):
        """Makes a topic of generate.c's events, once; gives back what it counted."""
        how, counted = self.filled.get(topic, (None, None))
        if how == (partitions, options):
            return counted
        self._topics("create", topic, partitions)
        words = [word for name, value in options.items()
                 for word in (f"--{name.replace('_', '-')}", value)]
        counted = json.loads(self.place.run(
            self.place.dir / "generate", "--bootstrap", self.bootstrap, "--topic", topic,
            "--partitions", partitions, *words))
        self.filled[topic] = (partitions, options), counted
        return counted

    def consume(self, topic):
        """Reads a topic by librdkafka alone; gives back records, bytes, seconds and CPU seconds."""
        (partitions, _), _ = self.filled[topic]
        return json.loads(self.place.run(self.place.dir / "consume", self.bootstrap, topic,
                                         partitions))
