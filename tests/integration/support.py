"""What every integration program needs: processes with readiness, temporary folders, a certificate
authority, the server and the command line under test, and a watch over secrets.

Nothing here waits by sleeping for a fixed time: a wait polls a condition until its deadline.
"""

import atexit
import base64
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TEST_BUILD") or SOURCE / "build" / "dev")
TOOLS = Path(os.environ.get("TEST_TOOLS") or SOURCE / "build" / "tools")
SERVICE = "sendstep.v1.EmailAction"
PATIENCE = float(os.environ.get("TEST_PATIENCE") or 30)

# Mail servers read the tests' files after dropping their privileges.
os.umask(0o022)

_no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def until(condition, what, patience=PATIENCE):
    """Polls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s in vain: {what}")
        time.sleep(0.01)


def clean_environment(extra=None):
    """This process's environment without settings of the programs under test and without proxies,
    plus `extra`."""
    mine = {k: v for k, v in os.environ.items()
            if not k.startswith("SENDSTEP_") and not k.lower().endswith("_proxy")}
    return {**mine, **(extra or {})}


def temporary_folder():
    """A folder that other users may enter (mail servers drop their privileges), gone at exit.
    Its path is short: sockets inside it must fit in 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="sendstep-"))
    folder.chmod(0o755)
    if not os.environ.get("TEST_KEEP"):
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


# ---------------------------------------------------------------------------------------- secrets


class Watch:
    """Remembers every secret that a test made and everything that the programs under test said."""

    def __init__(self):
        self._lock = threading.Lock()
        self._secrets = {}
        self._said = []

    def secret(self, purpose, value=None):
        value = value or f"canary-{purpose}-{secrets.token_hex(12)}"
        self._secrets[value] = purpose
        return value

    def heard(self, source, said):
        with self._lock:
            self._said.append((source, said if isinstance(said, bytes) else str(said).encode()))

    @staticmethod
    def forms(secret):
        """The ways a secret can show: as it is, as hexadecimal, and inside any base64 text. In
        base64 the first and last characters depend on the neighbours, so they are left out; AUTH
        PLAIN and LOGIN, XOAUTH2 and basic authentication are such texts."""
        raw = secret.encode()
        yield "as it is", raw
        yield "in hexadecimal", raw.hex().encode()
        for shift in range(3):
            text = base64.b64encode(b"\0" * shift + raw)
            start = (shift * 8 + 5) // 6
            length = (len(raw) * 8 - (start * 6 - shift * 8)) // 6
            yield f"in base64 shifted by {shift}", text[start:start + length]

    def leaks(self):
        found = []
        for secret, purpose in self._secrets.items():
            for form, needle in self.forms(secret):
                for source, said in self._said:
                    if needle in said:
                        found.append(f"{source} shows the secret '{purpose}' {form}")
        return sorted(set(found))

    def made_any(self):
        return bool(self._secrets) and bool(self._said)


watch = Watch()


def test_no_secret_was_shown():
    """Given to runner.main by every program: judges all that was said while it ran."""
    stop_everything()
    assert watch.made_any(), "no secret was made or nothing was heard: the check would be empty"
    leaks = watch.leaks()
    assert not leaks, "\n".join(leaks)


# -------------------------------------------------------------------------------------- processes

_running = []


class Process:
    """A program in the background. Its output is read all the time and kept line by line."""

    def __init__(self, argv, name=None, env=None, cwd=None):
        self.name = name or Path(argv[0]).name
        self.lines = []
        self._grown = threading.Condition()
        self._process = subprocess.Popen(
            # Ends with this program, however that ends.
            ["setpriv", "--pdeathsig", "TERM", *(str(a) for a in argv)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(env),
            cwd=cwd,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, kind), daemon=True)
            for stream, kind in (
                (self._process.stdout, "stdout"), (self._process.stderr, "stderr"))
        ]
        for reader in self._readers:
            reader.start()
        _running.append(self)

    def _read(self, stream, kind):
        for line in stream:
            watch.heard(f"{self.name} ({kind})", line)
            with self._grown:
                self.lines.append((kind, line.decode(errors="replace").rstrip("\n")))
                self._grown.notify_all()
        with self._grown:
            self._grown.notify_all()

    @property
    def pid(self):
        return self._process.pid

    def output(self, kind=None):
        with self._grown:
            return "\n".join(line for k, line in self.lines if kind in (None, k))

    def wait_line(self, pattern, kind=None, patience=PATIENCE):
        """The first line that matches, as a match object."""
        deadline = time.monotonic() + patience
        seen = 0
        with self._grown:
            while True:
                for k, line in self.lines[seen:]:
                    match = re.search(pattern, line)
                    if match and kind in (None, k):
                        return match
                seen = len(self.lines)
                if self._process.poll() is not None and not any(
                    r.is_alive() for r in self._readers
                ):
                    raise AssertionError(
                        f"{self.name} ended with {self._process.returncode}:\n"
                        + "\n".join(line for _, line in self.lines)
                    )
                if time.monotonic() > deadline:
                    raise AssertionError(f"{self.name} said no '{pattern}' in {patience:g} s")
                self._grown.wait(0.1)

    def send_signal(self, number):
        self._process.send_signal(number)

    def alive(self):
        return self._process.poll() is None

    def wait(self, patience=PATIENCE):
        """Waits for the end; the exit code."""
        code = self._process.wait(patience)
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self, patience=PATIENCE):
        """SIGTERM, and SIGKILL when that is not enough; the exit code."""
        if self in _running:
            _running.remove(self)
        if self.alive():
            self._process.terminate()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self.wait()

    def kill(self):
        """SIGKILL, and waits for the end."""
        if self in _running:
            _running.remove(self)
        self._process.kill()
        return self.wait()


def stop_everything():
    for process in list(reversed(_running)):
        process.stop(5)


atexit.register(stop_everything)
signal.signal(signal.SIGTERM, lambda *_: os._exit((stop_everything(), 1)[1]))


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def run(argv, env=None, stdin=None, cwd=None, patience=120):
    """Runs a program to its end."""
    done = subprocess.run(
        [str(a) for a in argv],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        env=clean_environment(env),
        cwd=cwd,
        timeout=patience,
    )
    name = Path(argv[0]).name
    watch.heard(f"{name} (stdout)", done.stdout)
    watch.heard(f"{name} (stderr)", done.stderr)
    return Ran(done.returncode, done.stdout.decode(errors="replace"),
               done.stderr.decode(errors="replace"))


# ----------------------------------------------------------------------------------- certificates


class Authority:
    """A certificate authority made for one run. `pem` is what clients have to trust."""

    def __init__(self, folder, name="sendstep test CA"):
        self._folder = Path(folder)
        self._key = self._folder / "ca.key"
        self._cert = self._folder / "ca.pem"
        self._openssl(
            "req", "-x509", *self._new_key(self._key), "-out", self._cert, "-days", "2",
            "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )

    @property
    def pem(self):
        return self._cert.read_text()

    def issue(self, name, subject_alt_names="IP:127.0.0.1,DNS:localhost", days=2):
        """Certificate chain and key files of a server; days < 0: it is over already."""
        key = self._folder / f"{name}.key"
        request = self._folder / f"{name}.csr"
        cert = self._folder / f"{name}.pem"
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(
            f"subjectAltName={subject_alt_names}\nbasicConstraints=CA:FALSE\n"
            "extendedKeyUsage=serverAuth\n"
        )
        self._openssl("req", *self._new_key(key), "-out", request, "-subj", f"/CN={name}")
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self._cert, "-CAkey", self._key,
            "-set_serial", str(secrets.randbits(63)), "-days", str(days),
            "-extfile", extensions, "-out", cert,
        )
        key.chmod(0o644)  # a test's key: mail servers read it after dropping their privileges
        return cert, key

    @staticmethod
    def _new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", path]

    @staticmethod
    def _openssl(*args):
        done = subprocess.run(["openssl", *map(str, args)], capture_output=True)
        assert done.returncode == 0, done.stderr.decode()


# ---------------------------------------------------------------------------- the programs tested


@dataclass
class Answer:
    """What a call brought: a message, or a status with its details by type name."""

    code: str = "OK"
    message: dict = field(default_factory=dict)
    text: str = ""
    details: dict = field(default_factory=dict)

    @property
    def ok(self):
        return self.code == "OK"

    @property
    def info(self):
        """google.rpc.ErrorInfo"""
        return self.details.get("ErrorInfo", {})

    @property
    def reason(self):
        return self.info.get("reason", "")

    @property
    def metadata(self):
        return self.info.get("metadata", {})

    @property
    def violations(self):
        return self.details.get("BadRequest", {}).get("fieldViolations", [])

    @property
    def fields(self):
        return [violation.get("field", "") for violation in self.violations]

    def retry_after(self):
        """Seconds of google.rpc.RetryInfo; None: there is none."""
        delay = self.details.get("RetryInfo", {}).get("retryDelay")
        return None if delay is None else float(delay.removesuffix("s"))


CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
    "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED "
    "INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
).split()


def grpcurl(*args, stdin=None, patience=120):
    return run([TOOLS / "grpcurl", "-plaintext", *args], stdin=stdin, patience=patience)


# With the proto files JSON has the names that the JSON mapping gives: gRPC's reflection in C++ leaves
# them out of its descriptors.
PROTOS = ("-import-path", SOURCE / "protos", "-proto", "sendstep/v1/email_action.proto",
          "-import-path", SOURCE / "plugin", "-proto", "google/rpc/error_details.proto")


def _answer(ran):
    if ran.code == 0:
        return Answer(message=json.loads(ran.out or "{}"))
    try:
        status = json.loads(ran.err)
    except json.JSONDecodeError:
        raise AssertionError(f"grpcurl ended with {ran.code}: {ran.err}{ran.out}") from None
    details = {}
    for detail in status.get("details", []):
        details[detail["@type"].rpartition(".")[2]] = detail
    return Answer(CODES[status["code"]], {}, status.get("message", ""), details)


class Sendstepd:
    """The server under test on free ports, with a state folder of its own, or in `folder` with the
    one that an earlier server left there."""

    def __init__(self, *flags, env=None, folder=None):
        self.folder = folder or temporary_folder()
        if "--dns-server" not in flags:
            flags += ("--skip-deliverability",)  # no question leaves the machine
        self.process = Process(
            [BUILD / "sendstepd", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
             "--state-dir", self.folder / "state", *flags],
            env=env,
        )
        self.address = self.process.wait_line(r"^listening (\S+)", "stdout").group(1)
        self.http = self.process.wait_line(r'"http_address":"([^"]+)"', "stderr").group(1)

    def call(self, method, request, deadline=60):
        ran = grpcurl(*PROTOS, "-format-error", "-max-time", str(deadline), "-d", "@", self.address,
                      f"{SERVICE}/{method}", stdin=json.dumps(request), patience=deadline + 30)
        return _answer(ran)

    def call_in_background(self, method, request, deadline=60):
        """The call as a thread; its `answer` is there after join()."""
        thread = threading.Thread(target=lambda: setattr(
            thread, "answer", self.call(method, request, deadline)))
        thread.start()
        return thread

    def execute(self, request, deadline=60):
        request.setdefault("request_id", f"test-{secrets.token_hex(8)}")
        return self.call("Execute", request, deadline)

    def call_from_a_process(self, method, request, deadline=60):
        """The call as a process of its own, for callers that are gone before their answer."""
        return Process([TOOLS / "grpcurl", "-plaintext", *PROTOS, "-max-time", str(deadline), "-d",
                        json.dumps(request), self.address, f"{SERVICE}/{method}"])

    def in_flight(self, method="Execute"):
        """How many calls of a method have no answer yet."""
        _, text = self.get("/metrics")
        return sum(float(value) for name, value in re.findall(
            r'^sendstep_requests_in_flight\{method="(\w+)"\} (\S+)$', text, re.MULTILINE)
            if name == method)

    def health(self):
        """What gRPC's health service says of the service."""
        ran = grpcurl("-d", json.dumps({"service": SERVICE}), self.address,
                      "grpc.health.v1.Health/Check")
        return ran.json["status"] if ran.code == 0 else ran.err

    def sendstep(self, *args, env=None, stdin=None, cwd=None):
        """The command line against this server."""
        return sendstep(args[0], "--server", self.address, *args[1:], env=env, stdin=stdin, cwd=cwd)

    def get(self, path):
        """(status, body) of a path of the HTTP listener; status 0: nobody listens."""
        try:
            with _no_proxy.open(f"http://{self.http}{path}", timeout=10) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        except (urllib.error.URLError, ConnectionError):
            return 0, ""
        watch.heard(f"http {path}", body)
        return status, body.decode()

    def kill(self):
        """Ends it as a crash does."""
        self.process.kill()

    def stop(self):
        """Stops it; it must end well, which with sanitizers means that they found nothing."""
        code = self.process.stop()
        assert code == 0, f"sendstepd ended with {code}:\n{self.process.output('stderr')[-8000:]}"
        return code


def sendstep(*args, env=None, stdin=None, cwd=None):
    """The command line under test."""
    return run([BUILD / "sendstep", *args], env=env, stdin=stdin, cwd=cwd)


# ------------------------------------------------------------------------------------------- mail


class Maildir:
    """Reads the raw messages of a Maildir."""

    def __init__(self, path):
        self.path = Path(path)

    def messages(self):
        return [path.read_bytes()
                for sub in ("new", "cur") for path in sorted(self.path.glob(f"{sub}/*"))]

    def find(self, text):
        """The one message that has `text` in it; None: none has."""
        for raw in self.messages():
            if text.encode() in raw:
                return raw
        return None

    def wait_for(self, text, patience=PATIENCE):
        return until(lambda: self.find(text), f"mail with {text} in {self.path}", patience)
