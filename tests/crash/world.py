"""What a run of the crash tests consists of: replicas of the server, which may be killed at any
time and come back at once, the sink they send to, and the engine that calls them. What each wrote
goes to the checker."""

import fcntl
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import checker  # noqa: E402
import support  # noqa: E402
from postgres import Postgres  # noqa: E402

# Seconds for which the engine retries one email.
GIVE_UP = 60

# From the signal, which closes a server's connections, until its process is seen to be gone.
DYING_MS = 500

# Children end with the thread that made them (setpriv --pdeathsig): this one stays to the end.
_spawner = ThreadPoolExecutor(max_workers=1)


def spawn(make, *args, **more):
    return _spawner.submit(make, *args, **more).result()


def now_ms():
    return time.time_ns() // 1_000_000


def read_lines(path):
    """The whole lines of a log that may still be written."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.endswith("\n")]


class Sink:
    def __init__(self, folder, seed, delay_ms):
        self.log = folder / "sink.jsonl"
        self._process = spawn(
            support.Process, [support.BUILD / "crash_sink", self.log, seed % 2**63, delay_ms])
        self.port = int(self._process.wait_line(r"^listening (\d+)", "stdout").group(1))

    def lines(self):
        return read_lines(self.log)

    def stop(self):
        self._process.stop()


class Replica:
    """One server on a Unix socket, which stays the same over its deaths."""

    def __init__(self, folder, name, flags, key, binary):
        self.folder = folder / name
        self.folder.mkdir()
        state = self.folder / "state"
        state.mkdir(mode=0o700)
        # Replicas that share a ledger share the key of its fingerprints and of Message-IDs.
        key_file = state / "message-id.key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(key)
        self.socket = self.folder / "socket"
        self.process = None
        self._argv = [support.BUILD / binary, "--listen", f"unix:{self.socket}",
                      "--http-listen", "off", "--log-level", "error", "--threads", "2",
                      "--state-dir", state,
                      *(flag.format(state=state) for flag in flags)]

    def start(self, failpoint=None):
        env = {"SENDSTEP_FAILPOINT": failpoint} if failpoint else None
        self.process = spawn(support.Process, self._argv, env=env)
        self.process.wait_line(r"^listening ", "stdout")

    def wait_for_death(self, patience=support.PATIENCE):
        """Until a failpoint has killed it; a time when it was alive."""
        deadline = time.monotonic() + patience
        looked_ms = now_ms()
        while self.process.alive():
            assert time.monotonic() < deadline, f"no failpoint killed {self.folder.name}"
            time.sleep(0.003)
            looked_ms = now_ms()
        return looked_ms - DYING_MS

    def reap(self):
        """The process is dead or dies; how it died is asserted."""
        code = self.process.stop()
        assert code == -signal.SIGKILL, f"ended with {code}: {self.process.output()[-4000:]}"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.reap()

    def stopped(self):
        """Whether SIGSTOP holds it."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def stop(self):
        if self.process and self.process.alive():
            code = self.process.stop()
            assert code == 0, f"ended with {code}: {self.process.output()[-4000:]}"

    def call(self, method, request):
        ran = support.grpcurl(*support.PROTOS, "-unix", "-format-error", "-max-time", "60",
                              "-d", "@", self.socket, f"{support.SERVICE}/{method}",
                              stdin=json.dumps(request))
        return support._answer(ran)

    def executions(self):
        """All that its ledger knows."""
        found, token = [], ""
        while True:
            page = self.call("ListExecutions", {"pageSize": 1000, "pageToken": token})
            assert page.ok, page
            found += page.message.get("executions", [])
            token = page.message.get("nextPageToken", "")
            if not token:
                return found


class Engine:
    """crash_load, fed with emails until it is told that there are no more."""

    def __init__(self, log, targets, sink_port, callers, deadline=30):
        self.log = log
        self.emails = []
        self._over = threading.Event()
        with log.open("wb") as out:
            self._process = spawn(
                subprocess.Popen,
                ["setpriv", "--pdeathsig", "TERM", support.BUILD / "crash_load", str(callers),
                 str(sink_port), str(GIVE_UP), str(deadline),
                 *(f"unix:{target}" for target in targets)],
                stdin=subprocess.PIPE, stdout=out, env=support.clean_environment())
        # Little ahead: what is in the pipe is sent after the last kill.
        fcntl.fcntl(self._process.stdin, fcntl.F_SETPIPE_SZ, 4096)
        self._feeder = None

    def give(self, email):
        self.emails.append(email)
        self._process.stdin.write(json.dumps(email).encode() + b"\n")
        self._process.stdin.flush()

    def feed(self, emails):
        """Gives `emails` in the background, until there are no more or finish()."""
        def run():
            for email in emails:
                if self._over.is_set():
                    return
                self.give(email)
        self._feeder = threading.Thread(target=run, daemon=True)
        self._feeder.start()

    def fed(self):
        return self._feeder is not None and not self._feeder.is_alive()

    def finish(self, patience):
        """No more emails; returns when every call has come to an end."""
        if self._feeder:
            self._feeder.join(patience)
        self._process.stdin.close()
        code = self._process.wait(patience)
        assert code == 0, f"crash_load ended with {code}"

    def stop_feeding(self):
        self._over.set()

    def calls(self):
        return read_lines(self.log)


class World:
    """Replicas, sink and engine of one run. With PostgreSQL the replicas share its ledger; with
    SQLite each has its own, and each email is sent to one of them alone.

    ledger   "sqlite", "off" or a Postgres
    """

    def __init__(self, name, seed, ledger, replicas=1, callers=16, delay_ms=10,
                 binary="sendstepd", timing=("1s", "1s"), deadline=30):
        self.name = name
        self.random = random.Random(f"{name} {seed}")
        self.folder = support.temporary_folder()
        self.shared = isinstance(ledger, Postgres)
        self.kept = ledger != "off"
        self.kills = []
        self.sink = Sink(self.folder, seed, delay_ms)
        where = ledger.url if self.shared else (
            "sqlite:{state}/ledger.db" if ledger == "sqlite" else ledger)
        flags = ["--ledger", where, "--lease", timing[0], "--reply-wait", timing[1]]
        key = ledger.key if self.shared else secrets.token_bytes(32)
        self.replicas = [Replica(self.folder, f"r{i}", flags, key, binary)
                         for i in range(replicas)]
        self.prefix = f"{name.replace(' ', '-')}-{secrets.token_hex(3)}-"
        self._begun = time.monotonic()
        self._engine_settings = (callers, deadline)
        self.engine = None

    def start(self, failpoints=()):
        for i, replica in enumerate(self.replicas):
            replica.start(failpoints[i] if i < len(failpoints) else None)
        callers, deadline = self._engine_settings
        self.engine = Engine(self.folder / "calls.jsonl", [r.socket for r in self.replicas],
                             self.sink.port, callers, deadline)

    def email(self, number, *words, **more):
        """An email to one recipient for each word; see sink.cc."""
        mail = {"key": f"{self.prefix}{number}",
                "to": [f"{word}.{number}-{i}@sink.example" for i, word in enumerate(words)], **more}
        if not self.shared:
            mail.setdefault("target", number % len(self.replicas))
        return mail

    def mixed(self, count):
        """`count` emails of every kind: mostly delivered, some refused, some dropped."""
        kinds = (
            (60, ("ok",)), (8, ("ok", "ok", "ok")), (6, ("ok", "soft1")), (3, ("soft2", "soft1")),
            (5, ("hard", "ok")), (2, ("hard",)), (2, ("bad",)), (4, ("busy1",)),
            (2, ("hard", "ok", "soft1")), (2, ("before1",)), (2, ("after1",)),
            (2, ("ok", "soft1", "after1")),
        )
        weights = [weight for weight, _ in kinds]
        for number in range(count):
            words = self.random.choices(kinds, weights)[0][1]
            resend = self.random.random() < 0.05
            yield self.email(number, *words, **({"resend": True} if resend else {}))

    def killed(self, target, at, failpoint=None, **more):
        self.kills.append({"target": target, "at": at, "until": now_ms(), "failpoint": failpoint,
                           **more})

    def kill(self, target):
        at = now_ms()
        self.replicas[target].kill()
        self.killed(target, at)

    def finish(self, alone=False, patience=GIVE_UP + 60):
        """Waits for the engine's last answer, stops everything, and judges."""
        self.engine.finish(patience)
        ledger = None
        if self.kept:
            asked = self.replicas[:1] if self.shared else self.replicas
            ledger = [execution for replica in asked for execution in replica.executions()
                      if execution["requestId"].startswith(self.prefix)]
        for replica in self.replicas:
            replica.stop()
        self.sink.stop()
        run = checker.Run(self.engine.emails, self.sink.lines(), self.engine.calls(), ledger,
                          self.kills, alone)
        return checker.judge(run), time.monotonic() - self._begun
