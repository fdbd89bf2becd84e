"""NSD, an authoritative DNS server, with the root of a name space of the test's own."""

import socket
import threading

import support

HEAD = """$ORIGIN .
$TTL 300
@ SOA ns.test. hostmaster.test. 1 3600 600 86400 60
@ NS ns.test.
ns.test. A 127.0.0.1
"""


def txt(text):
    """`text` as the strings of a TXT record, 255 bytes each."""
    data = text.encode() if isinstance(text, str) else text
    strings = [data[i:i + 255] for i in range(0, len(data), 255)] or [b""]

    def quoted(part):
        return '"' + "".join(chr(c) if 32 <= c < 127 and c not in b'"\\;' else f"\\{c:03d}"
                             for c in part) + '"'
    return " ".join(quoted(part) for part in strings)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind(("127.0.0.1", 0))
        tcp.bind(("127.0.0.1", udp.getsockname()[1]))
        return udp.getsockname()[1]


class Nsd:
    """Serves `records`: (name, type, data), data as in a zone file; TXT as plain text."""

    def __init__(self, records):
        self.folder = support.temporary_folder()
        lines = [HEAD]
        for name, kind, data in records:
            lines.append(f"{name}. {kind} {txt(data) if kind == 'TXT' else data}")
        (self.folder / "root.zone").write_text("\n".join(lines) + "\n")
        self.port = free_port()
        config = self.folder / "nsd.conf"
        config.write_text(f"""server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{self.folder}"
  database: ""
  pidfile: "{self.folder}/nsd.pid"
  xfrdfile: "{self.folder}/xfrd.state"
  zonelistfile: "{self.folder}/zone.list"
  xfrdir: "{self.folder}"
  logfile: "{self.folder}/nsd.log"
  server-count: 1
  verbosity: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "root.zone"
""")
        self.process = support.Process(["/usr/sbin/nsd", "-d", "-c", str(config)], name="nsd")
        support.until(self._answers, "NSD answers")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _answers(self):
        # A query for the root's SOA.
        query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.2)
            try:
                udp.sendto(query, ("127.0.0.1", self.port))
                return udp.recvfrom(512)[0][3] & 15 == 0
            except OSError:
                return False

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
