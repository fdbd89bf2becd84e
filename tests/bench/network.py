"""A network of two hosts with a delay between them, on one machine: each host is a network namespace
with a TUN device, and what one sends reaches the other after a fixed time. TCP of both ends is the
kernel's own, so that handshakes, windows, Nagle's algorithm and delayed acknowledgements take the
round trips that they take between real hosts.

"Here" is where this program and the mail servers are, "there" where the client runs. The client
reaches 127.0.0.1 of here, where all test servers listen, and has no loopback of its own but Unix
sockets. Nothing of it outlives the program. Wants root.
"""

import atexit
import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import threading
import time

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000
HERE, THERE = "192.0.2.2", "192.0.2.1"  # addresses for documentation (RFC 5737)


def why_not():
    """Why there is no such network; empty: there is."""
    if os.geteuid() != 0:
        return "network namespaces and TUN devices want root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    made = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True)
    return made.stderr.strip()


def enter_namespace():
    """Starts this program again in a network namespace of its own, unless it is in one."""
    mine, name = os.readlink("/proc/self/ns/net"), "SENDSTEP_BENCH_OUTER_NAMESPACE"
    outer = os.environ.setdefault(name, mine)
    if outer == mine:
        done = subprocess.run(["setpriv", "--pdeathsig", "TERM", "unshare", "-n",
                               sys.executable, *sys.argv], timeout=3600)
        sys.exit(done.returncode)


def _run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def _tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return fd


class Network:
    """`delay`: seconds from one host to the other."""

    def __init__(self, delay):
        self.delay = delay
        self._host = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "unshare", "-n", "sh", "-c", "echo; exec sleep 1d"],
            stdout=subprocess.PIPE)
        atexit.register(self._host.kill)
        self._host.stdout.readline()  # it is in its namespace
        # What a program is started with to run there.
        self.there = ["nsenter", f"--net=/proc/{self._host.pid}/ns/net"]
        self._fds = _tun("here0"), _tun("there0")
        _run("ip", "link", "set", "there0", "netns", str(self._host.pid))
        self._set_up("here0", HERE, [])
        self._set_up("there0", THERE, self.there)
        # 127.0.0.1 is no address of there; packets to it leave.
        _run(*self.there, "ip", "route", "add", "127.0.0.1/32", "dev", "there0", "src", THERE)
        threading.Thread(target=self._carry, daemon=True).start()

    @staticmethod
    def _set_up(device, address, prefix):
        if not prefix:
            _run("ip", "link", "set", "lo", "up")
        _run(*prefix, "ip", "address", "add", f"{address}/30", "dev", device)
        _run(*prefix, "ip", "link", "set", device, "up", "mtu", "1500", "txqueuelen", "10000")
        _run(*prefix, "sysctl", "-q", "-w", f"net.ipv4.conf.{device}.route_localnet=1",
             f"net.ipv4.conf.{device}.rp_filter=0", "net.ipv4.conf.all.rp_filter=0")

    def _carry(self):
        """Packets, from either device to the other, each when its time has come."""
        a, b = self._fds
        waiting = {a: collections.deque(), b: collections.deque()}  # by where they go
        while True:
            now = time.monotonic()
            for fd, packets in waiting.items():
                while packets and packets[0][0] <= now:
                    os.write(fd, packets.popleft()[1])
            due = min((packets[0][0] for packets in waiting.values() if packets), default=now + 1)
            ready, _, _ = select.select([a, b], [], [], max(0, due - time.monotonic()))
            for fd in ready:
                to = waiting[b if fd == a else a]
                try:
                    while True:
                        to.append((time.monotonic() + self.delay, os.read(fd, 2048)))
                except BlockingIOError:
                    pass
                except OSError:  # the device went with its namespace: the program ends
                    return

    def round_trip(self, port):
        """The least time in seconds that a connection from there to 127.0.0.1 takes."""
        program = ("import socket,time\nleast=9\nfor _ in range(10):\n"
                   " began=time.monotonic()\n"
                   f" socket.create_connection(('127.0.0.1',{port})).close()\n"
                   " least=min(least,time.monotonic()-began)\nprint(least)")
        return float(subprocess.run([*self.there, sys.executable, "-c", program], check=True,
                                    capture_output=True, text=True).stdout)
