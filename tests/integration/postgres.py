"""A PostgreSQL server of the program's own, from Debian's package: a new cluster in a temporary
folder, a Unix socket there and no TCP, fsync on. It ends with the program, however that ends."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import support


def _binaries():
    found = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "initdb").exists()]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def missing():
    """Why no server can be had here; empty: it can."""
    if _binaries() is None:
        return "no PostgreSQL server is installed (Debian: postgresql)"
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        if os.geteuid() == 0:
            return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


class Postgres:
    """`settings`: further ones of postgresql.conf, "name=value"."""

    def __init__(self, *settings):
        self._settings = [word for setting in settings for word in ("-c", setting)]
        self.folder = support.temporary_folder()
        self._as = ["setpriv", "--pdeathsig", "QUIT"]
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self._as += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        done = support.run([*self._as, _binaries() / "initdb", "-D", self.folder / "data",
                            "--no-sync", "--auth=trust", "-U", "postgres", "-E", "UTF8",
                            "--locale=C"])
        assert done.code == 0, done.err
        self._process = None
        # Of all replicas that ever use it: the ledger belongs to one key.
        self.key = secrets.token_bytes(32)
        self.start()

    @property
    def url(self):
        return self.url_of("postgres")

    def url_of(self, database, user="postgres"):
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def database(self):
        """The URL of a new database."""
        name = f"test_{secrets.token_hex(6)}"
        self.sql(f"CREATE DATABASE {name}")
        return self.url_of(name)

    def sql(self, statement, url=None):
        """What psql prints of it, without headers."""
        done = support.run([_binaries() / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-",
                            url or self.url], stdin=statement)
        assert done.code == 0, done.err
        return done.out

    def dump(self, url):
        """All that a database holds, as SQL."""
        done = support.run([_binaries() / "pg_dump", url])
        assert done.code == 0, done.err
        return done.out

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as, _binaries() / "postgres", "-D", self.folder / "data",
                 "-k", self.folder, "-c", "listen_addresses=", "-c", "shared_buffers=64MB",
                 "-c", "max_connections=60",
                 # After a crash it would otherwise sync a thousand files, one by one.
                 "-c", "recovery_init_sync_method=syncfs", *self._settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        support.until(self._ready, "PostgreSQL takes connections")

    def _ready(self):
        assert self._process.poll() is None, (self.folder / "log").read_text(errors="replace")
        return subprocess.run([_binaries() / "pg_isready", "-q", "-h", self.folder]).returncode == 0

    def crash(self):
        """Ends it at once, without a checkpoint, as `pg_ctl stop -m immediate`: what was committed
        comes back with start()."""
        self._end(signal.SIGQUIT)

    def stop(self):
        if self._process:
            self._end(signal.SIGINT)

    def _end(self, number):
        self._process.send_signal(number)
        try:
            self._process.wait(support.PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
