"""Debian's Exim, unpacked into build/bench by tests/bench/install, since as a package it excludes
Postfix. Takes mail for anyone and keeps it queued."""

import os
import shutil
import socket
from pathlib import Path

import bench
import support

HOME = bench.FOLDER / "exim" / "usr"


def why_not():
    if os.geteuid() != 0:
        return "Exim drops privileges and so has to be started as root"
    if not (HOME / "sbin" / "exim4").exists():
        return "Exim is not there: tests/bench/install exim"
    return ""


class Exim:
    """`port`: STARTTLS offered; `tls_port`: TLS from the first byte. On 127.0.0.1."""

    host = "127.0.0.1"

    def __init__(self, authority):
        folder = support.temporary_folder()
        with socket.socket() as one, socket.socket() as two:
            for probe in (one, two):
                probe.bind((self.host, 0))
            self.port, self.tls_port = (p.getsockname()[1] for p in (one, two))
        certificate, key = authority.issue("exim")
        spool = folder / "spool"
        spool.mkdir()
        shutil.chown(spool, "nobody", "nogroup")
        config = folder / "exim.conf"
        config.write_text(f"""\
exim_user = nobody
exim_group = nogroup
primary_hostname = mail.exim.example
spool_directory = {spool}
log_file_path = {spool}/%slog
pid_file_path = {spool}/pid
local_interfaces = {self.host}
daemon_smtp_ports = {self.port} : {self.tls_port}
tls_on_connect_ports = {self.tls_port}
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 1000
smtp_accept_max_per_connection = 0
queue_only
acl_smtp_rcpt = accept
begin routers
nowhere:
  driver = redirect
  data = :blackhole:
""")
        config.chmod(0o644)
        libraries = next((HOME / "lib").glob("*-linux-gnu"))
        # It wants the user that its package would have made: seen by itself alone, there is one.
        for name, line in (("passwd", "Debian-exim:x:{}:{}::/:/bin/false\n"),
                           ("group", "Debian-exim:x:{}:\n")):
            text = Path(f"/etc/{name}").read_text()
            (folder / name).write_text(text + line.format(65533, 65533))
        self.process = support.Process(
            ["unshare", "-m", "sh", "-c", 'mount --bind "$1/passwd" /etc/passwd && '
             'mount --bind "$1/group" /etc/group && shift && exec "$@"', "sh", folder,
             HOME / "sbin" / "exim4", "-C", config, "-bdf"],
            env={"LD_LIBRARY_PATH": str(libraries)})
        support.until(self._answers, f"Exim listens: {self.process.output()}")

    def _answers(self):
        assert self.process.alive(), self.process.output()
        try:
            with socket.create_connection((self.host, self.tls_port), 1):
                return True
        except OSError:
            return False

    def stop(self):
        self.process.stop()
