"""NSD, an authoritative DNS server, with zones of a test's own."""

import socket
import threading
from pathlib import Path

import servers
import support

NSD = Path("/usr/sbin/nsd")


def why_not():
    """Why NSD cannot run here; empty: it can."""
    return "" if NSD.exists() else "NSD is not installed (.ci/install --test)"


def txt(text):
    """`text` as the strings of a TXT record, 255 bytes each."""
    data = text.encode() if isinstance(text, str) else text
    strings = [data[i:i + 255] for i in range(0, len(data), 255)] or [b""]

    def quoted(part):
        return '"' + "".join(chr(c) if 32 <= c < 127 and c not in b'"\\;' else f"\\{c:03d}"
                             for c in part) + '"'
    return " ".join(quoted(part) for part in strings)


def root(records):
    """The root of a name space: (name, type, data), data as in a zone file but TXT as plain text."""
    lines = [f"{name}. {kind} {txt(data) if kind == 'TXT' else data}"
             for name, kind, data in records]
    return {".": "\n".join(lines)}


class Nsd:
    """Answers at `address` (for --dns-server), UDP and TCP.

    zones   zone -> its records below the SOA and NS that each gets, as a master file has them
    """

    def __init__(self, zones):
        folder = support.temporary_folder()
        self.port = servers.free_port()
        self.address = f"127.0.0.1:{self.port}"
        blocks = ""
        for number, (zone, records) in enumerate(zones.items()):
            (folder / f"zone{number}").write_text(f"""\
$ORIGIN {zone.rstrip(".")}.
$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 77
@ NS ns
ns A 127.0.0.1
{records}
""")
            blocks += f'zone:\n  name: "{zone}"\n  zonefile: "zone{number}"\n'
        (folder / "nsd.conf").write_text(f"""\
server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  database: ""
  pidfile: ""
  server-count: 1
  rrl-ratelimit: 0
  zonesdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
remote-control:
  control-enable: no
{blocks}""")
        self.process = support.Process([NSD, "-d", "-c", folder / "nsd.conf"])
        self.process.wait_line("nsd started")

    def stop(self):
        self.process.stop()


class Rounds:
    """In front of a DNS server: answers what was asked so far once nothing new comes, and counts how
    often that happens. That is the longest chain of questions that wait for one another's answers."""

    QUIET = 0.15

    def __init__(self, server):
        self.server = server
        self.rounds = self.queries = 0
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.settimeout(self.QUIET)
        self.address = f"127.0.0.1:{self.udp.getsockname()[1]}"
        self.stopped = False
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        waiting = []
        while not self.stopped:
            try:
                waiting.append(self.udp.recvfrom(4096))
            except TimeoutError:
                self._answer(waiting)
                waiting = []

    def _answer(self, waiting):
        if waiting:
            self.rounds += 1
            self.queries += len(waiting)
        for query, client in waiting:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.settimeout(5)
                udp.sendto(query, ("127.0.0.1", self.server.port))
                self.udp.sendto(udp.recvfrom(65535)[0], client)

    def stop(self):
        self.stopped = True
        self.thread.join()
        self.udp.close()
