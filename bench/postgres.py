"""A private PostgreSQL server with the extension, default settings but for what a run needs."""
import signal
import subprocess
import time

from place import fail

SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{dir}'
shared_preload_libraries = 'streamagg'
max_worker_processes = 96
streamagg.max_workers = 64
"""


class Postgres:
    """The server of a place; runs until the place ends."""

    def __init__(self, place):
        programs = place.dir / "root" / place.bin.relative_to("/")
        self.place = place
        self.data = place.dir / "data"
        place.environment.update(PGHOST=str(place.dir), PGUSER="postgres")
        place.run(programs / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-N",
                  "--locale=C.UTF-8", "-E", "UTF8")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as settings:
            settings.write(SETTINGS.format(dir=place.dir))
        self.process = place.start(programs / "postgres", "-D", self.data, log="postgresql.log",
                                   ending=signal.SIGINT)
        self.pid = self.process.pid         # setpriv becomes the postmaster
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + 60
        ready = [str(self.place.bin / "pg_isready"), "-q"]
        while subprocess.run(ready, env=self.place.environment, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                fail("PostgreSQL did not start:\n" + self.place.log("postgresql.log"))
            time.sleep(0.05)

    def sql(self, database, text, **variables):
        """Runs statements, each in a transaction of its own; gives back rows as lists of texts."""
        settings = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        output = self.place.run(self.place.bin / "psql", "-XAtq", "-F", "\t", "-v",
                                "ON_ERROR_STOP=1", *settings, "-d", database, input=text)
        return [line.split("\t") for line in output.splitlines()]
