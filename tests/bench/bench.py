"""What the benchmarks share: the programs they run, each in the background on a free port of loopback,
the load generator, and what the kernel says of a process. Binaries are those of TEST_BUILD, else of
build/release. Files go to build/bench, which is on a disk, as /tmp need not be."""

import json
import os
import re
import resource
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
os.environ.setdefault("TEST_BUILD", str(SOURCE / "build" / "release"))
for folder in ("integration", "crash"):
    sys.path.insert(0, str(SOURCE / "tests" / folder))

import support  # noqa: E402

FOLDER = SOURCE / "build" / "bench"
PEERS = SOURCE / "tests" / "bench" / "peers"
TICK = 1 / os.sysconf("SC_CLK_TCK")

# All children may have as many descriptors as the system allows.
_hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))


def median(values):
    return statistics.median(values)


def temporary_folder():
    """On the disk of the build; gone at exit."""
    folder = FOLDER / "run" / secrets.token_hex(4)
    folder.mkdir(parents=True)
    support.atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Program:
    """A program in the background whose output goes to files, so that nobody has to read it."""

    def __init__(self, argv, env=None, folder=None, prefix=()):
        self.folder = folder or temporary_folder()
        self.log = self.folder / "log"
        self._out = self.folder / "out"
        with self._out.open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *prefix, *map(str, argv)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                env=support.clean_environment(env))
        support.atexit.register(self.stop)

    @property
    def pid(self):
        return self.process.pid

    def wait_line(self, pattern, patience=support.PATIENCE):
        """The first line of stdout that matches, as a match object."""
        def look():
            found = re.search(pattern, self._out.read_text(), re.MULTILINE)
            assert found or self.process.poll() is None, self.log.read_text()[-4000:]
            return found
        return support.until(look, pattern, patience)

    def cpu(self):
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK

    def status(self, name):
        """Bytes of a line of /proc/PID/status, such as VmRSS and VmHWM."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE).group(1)) * 1024

    def reset_peak(self):
        """VmHWM counts from now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def listening_ports(self):
        """TCP ports that it listens on."""
        sockets = set()
        for fd in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                sockets.add(os.readlink(fd))
            except FileNotFoundError:
                pass
        lines = Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]
        return [int(f[1].split(":")[1], 16) for f in map(str.split, lines)
                if f[3] == "0A" and f"socket:[{f[9]}]" in sockets]

    def stop(self):
        """SIGTERM, and SIGKILL where that is not enough. What it wrote stays."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Server(Program):
    """Something that answers Execute and has printed "listening ADDRESS"."""

    def __init__(self, argv, **more):
        super().__init__(argv, **more)
        self.address = self.wait_line(r"^listening (\S+)").group(1)


class Sendstepd(Server):
    """Logs and metrics are on, as they are by default."""

    def __init__(self, *flags, prefix=(), unix=False, binary=None):
        """`unix`: on a Unix socket and without metrics, for where there is no loopback."""
        folder = temporary_folder()
        listen, http = (f"unix:{folder}/socket", "off") if unix else ["127.0.0.1:0"] * 2
        super().__init__([binary or support.BUILD / "sendstepd", "--listen", listen,
                          "--http-listen", http, "--state-dir", folder / "state", *flags],
                         folder=folder, prefix=prefix)
        self.http = None

    def metrics(self):
        if not self.http:
            self.http = support.until(lambda: re.search(
                r'"http_address":"([^"]+)"', self.log.read_text()), "the HTTP address").group(1)
        with support._no_proxy.open(f"http://{self.http}/metrics", timeout=30) as answer:
            return answer.read().decode()

    def metric(self, name):
        """The sum of a metric over its labels."""
        return sum(float(value) for value in re.findall(
            rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", self.metrics(), re.MULTILINE))


def known(*flags):
    """Of pairs of a flag of sendstepd and its value, those that it has."""
    text = support.run([support.BUILD / "sendstepd", "--help"]).out
    return [word for flag, value in flags if flag in text for word in (flag, value)]


def echo():
    return Server([support.BUILD / "bench_echo"])


def nodemailer(*words):
    """With "nodelay": see the peer."""
    return Server(["node", PEERS / "nodemailer.js", SOURCE / "protos",
                   FOLDER / "nodemailer" / "node_modules", *words],
                  env={"NODE_ENV": "production"})


def go_mail():
    return Server([FOLDER / "go-mail" / "peer"])


def aiosmtplib():
    home = FOLDER / "aiosmtplib"
    return Server([home / "venv" / "bin" / "python", PEERS / "aiosmtplib_peer.py",
                   home / "generated"])


class Sink(Program):
    """Postfix's smtp-sink: takes mail and forgets it. No TLS, no CHUNKING."""

    def __init__(self, prefix=(), host="127.0.0.1"):
        self.host = host
        for _ in range(10):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            user = ["-u", "nobody"] if os.geteuid() == 0 else []
            super().__init__(["/usr/sbin/smtp-sink", *user, "-m", "20000",
                              f"{host}:{self.port}", "1000"], prefix=prefix)
            support.until(lambda: self.process.poll() is not None
                          or self.port in self.listening_ports(), "smtp-sink listens")
            if self.process.poll() is None:
                return
        raise AssertionError("smtp-sink finds no port")

    def clear(self):
        pass


class Tarpit(Program):
    """Takes a message and never answers its end."""

    host = "127.0.0.1"

    def __init__(self, certificate=()):
        super().__init__([support.BUILD / "bench_tarpit", *certificate])
        self.port = int(self.wait_line(r"^listening (\d+)").group(1))
        self._idle = self._descriptors()

    def _descriptors(self):
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def connections(self):
        """Open ones."""
        return self._descriptors() - self._idle


class Sandbox(Program):
    """The sandbox of a sendstepd of its own, so that what it costs is not counted as the sender's.
    It syncs each message: its Maildir is in memory, where that costs nothing."""

    host = "127.0.0.1"

    def __init__(self, prefix=()):
        self.maildir = Path("/dev/shm") / f"sendstep-bench-{secrets.token_hex(4)}"
        support.atexit.register(shutil.rmtree, self.maildir, ignore_errors=True)
        folder = temporary_folder()
        super().__init__([support.BUILD / "sendstepd", "--listen", f"unix:{folder}/socket",
                          "--http-listen", "off", "--state-dir", folder / "state", "--ledger", "off",
                          "--sandbox", "--sandbox-maildir", self.maildir],
                         folder=folder, prefix=prefix)
        self.wait_line("^listening ")
        self.port, = self.listening_ports()

    def clear(self):
        """Throws the mail away: memory is finite."""
        for file in (self.maildir / "new").iterdir():
            file.unlink(missing_ok=True)


def target(server, tls="off"):
    """Options of bench_load: send through this server, whose certificate nobody vouches for."""
    return ["--smtp-host", server.host, "--smtp-port", server.port, "--tls", tls,
            *([] if tls == "off" else ["--any-certificate"])]


def load(address, *options, prefix=(), env=None, patience=900):
    """Runs bench_load to its end; what it reports."""
    addresses = [address] if isinstance(address, str) else address
    argv = [*prefix, support.BUILD / "bench_load", "--address", *addresses, *options]
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=patience,
                          env=support.clean_environment(env))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Load(Program):
    """bench_load in the background."""

    def __init__(self, address, *options, prefix=()):
        super().__init__([support.BUILD / "bench_load", "--address", address, *options],
                         prefix=prefix)

    def report(self, patience=support.PATIENCE):
        """Waits for its end."""
        self.process.wait(patience)
        return json.loads(self._out.read_text())


def settled(value, seconds=2, patience=300):
    """Waits until value() has not changed for a while, and returns it."""
    last, since = value(), time.monotonic()
    deadline = since + patience
    while time.monotonic() < min(since + seconds, deadline):
        time.sleep(0.2)
        now = value()
        if now != last:
            last, since = now, time.monotonic()
    return last


def smtp_source(sink, count, message_bytes, sessions):
    """Sends with Postfix's smtp-source, connections kept: (messages a second, CPU seconds each)."""
    began = time.monotonic()
    process = subprocess.Popen(
        ["/usr/sbin/smtp-source", "-d", "-s", str(sessions), "-m", str(count), "-l",
         str(message_bytes), "-f", "shop@bench.example", "-t", "customer@receiver.example",
         f"{sink.host}:{sink.port}"])
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = code
    assert code == 0, f"smtp-source ended with {code}"
    took = time.monotonic() - began
    return count / took, (used.ru_utime + used.ru_stime) / count


def machine():
    """One line about the machine and what else it does."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (f"{os.cpu_count()} processors ({model.group(1) if model else 'unknown'}), "
            f"load {os.getloadavg()[0]:.1f}")


def table(heading, rows):
    """Columns as wide as they have to be; the first to the left, the rest to the right."""
    rows = [[str(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heading))]
    for row in rows:
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(row, widths))).rstrip())
