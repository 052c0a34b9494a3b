"""The place of a run: a temporary directory with the extension built and installed in it.

PostgreSQL finds its files relative to its program, so a copy of the program beside links to the
rest is an installation of its own: nothing of the system is changed, and trees can be measured one
after the other. As root everything runs as the user postgres. All processes end with the run,
also when that is killed.
"""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
BUILT_OF = ("Makefile", "streamagg.control", "sql", "src", "bench", "test/kafka")
PROGRAMS = {"generate": ("generate.c", "events_login.c", "events_ysb.c"),
            "consume": ("consume.c",)}


def fail(message):
    sys.exit(f"bench/run: {message}")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Place:
    """Use as a context: the directory and what runs there go at the end."""

    def __init__(self, major):
        self.bin = Path(f"/usr/lib/postgresql/{major}/bin")
        self.dir = Path(tempfile.mkdtemp(prefix="streamagg-bench."))
        self.identity = {}      # arguments of Popen that make a child another user's
        self.children = []      # (process, signal that ends it)
        if os.geteuid() == 0:
            postgres = pwd.getpwnam("postgres")
            self.identity = {"user": postgres.pw_uid, "group": postgres.pw_gid, "extra_groups": []}
            os.chown(self.dir, postgres.pw_uid, postgres.pw_gid)
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("PG", "MAKE"))}
        self.environment.update(LC_ALL="C.UTF-8", HOME=str(self.dir), TMPDIR=str(self.dir),
                                PYTHONDONTWRITEBYTECODE="1")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for process, ending in reversed(self.children):
            self.end(process, ending)
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, *command, **more):
        """Runs a command to its end; gives back its standard output, ends the run when it fails."""
        done = subprocess.run([str(word) for word in command], **self._child(), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)
        if done.returncode:
            fail(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *command, log, ending=signal.SIGTERM):
        """Starts a server that dies with us; __exit__ ends it by the signal."""
        with open(self.dir / log, "ab") as output:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, command)], **self._child(),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.children.append((process, ending))
        return process

    def end(self, process, ending):
        self.children = [child for child in self.children if child[0] is not process]
        if process.poll() is not None:
            return
        process.send_signal(ending)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def log(self, name):
        """The last lines of a log, to be shown with a failure."""
        return "".join((self.dir / name).read_text(errors="replace").splitlines(True)[-30:])

    def _child(self):
        # a session of its own: Ctrl-C reaches this program, which ends the others in order
        return {"cwd": self.dir, "env": self.environment, "start_new_session": True,
                **self.identity}

    def build(self):
        """Copies the tree, builds extension and programs, and installs them in the directory."""
        for name in BUILT_OF:
            target = self.dir / "tree" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (TREE / name).is_dir():
                shutil.copytree(TREE / name, target,
                                ignore=shutil.ignore_patterns("*.o", "*.bc", "*.so", "__pycache__"))
            else:
                shutil.copy(TREE / name, target)
        root = self.dir / "root"
        for path in (self.dir / "tree", root):
            path.mkdir(exist_ok=True)
        if self.identity:
            self._give_away(self.dir / "tree")
            self._give_away(root)
        make = ("make", "-s", "-C", self.dir / "tree", f"PG_CONFIG={self.bin}/pg_config")
        self.run(*make, "-j", os.cpu_count())
        self._copy_installation(root)
        self.run(*make, "install", f"DESTDIR={root}")
        for program, sources in PROGRAMS.items():
            self.run("cc", "-O2", "-o", self.dir / program,
                     *(self.dir / "tree/bench" / source for source in sources), "-lrdkafka")

    def _give_away(self, top):
        for path in (top, *top.rglob("*")):
            os.chown(path, self.identity["user"], self.identity["group"])

    def _copy_installation(self, root):
        config = self.bin / "pg_config"
        for directory in (self.bin, self.run(config, "--pkglibdir").strip(),
                          self.run(config, "--sharedir").strip()):
            self.run("mkdir", "-p", f"{root}{directory}")
            if directory != self.bin:
                self.run("cp", "-rs", f"{directory}/.", f"{root}{directory}")
        self.run("cp", self.bin / "postgres", self.bin / "initdb", f"{root}{self.bin}")
        # of an extension that is installed in the system, too
        self.run("find", root, "-name", "streamagg*", "-type", "l", "-delete")
