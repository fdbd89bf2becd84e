#!/usr/bin/python3
"""How messages travel, on real servers and on bad ones: in as few round trips as it says, whole, once,
to those who were accepted and nobody else, under their own sender.

TEST_SEED repeats the emails of an earlier run.
"""

import collections
import os
import random
import re
import select
import socket
import threading
import time
import unittest

import parse_back
import runner
import scripted
import servers
import support

SEED = int(os.environ.get("TEST_SEED") or random.SystemRandom().randrange(1_000_000))
EMAILS = 60  # to each port of a real server
SENDS = 200  # to each bad one

# What goes in one flight, BDAT's line apart.
POSTFIX_FLIGHT = 3999
EXIM_FLIGHT = 64 << 10

POSTFIX = "220 mail.scripted.example ESMTP Postfix"
CHUNKING = (*scripted.ScriptedSmtp.OFFERS, "CHUNKING")


class Relay:
    """Passes connections on to a port of loopback and keeps the client's flights: all that it wrote
    between two words of the server."""

    def __init__(self, port):
        self.connections = 0
        self.flights = []
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            speaker = server
            while True:
                for end in select.select([client, server], [], [])[0]:
                    try:
                        words = end.recv(65536)
                        if not words:
                            return
                        if end is client:
                            if speaker is server:
                                self.flights.append(b"")
                            self.flights[-1] += words
                        speaker = end
                        (server if end is client else client).sendall(words)
                    except OSError:
                        return


def text_of(rng, size):
    """`size` bytes of text lines that a careless client or server would take for something else."""
    lines = []
    left = size
    while left > 0:
        line = rng.choice((".", "..", ".hidden", "QUIT", "RSET", "BDAT 4 LAST", "MAIL FROM:<x@x.example>",
                           "x" * rng.randint(1, 70), f".{rng.random()}", ""))[:left - 1]
        lines.append(line)
        left -= len(line) + 1
    return "\n".join(lines) + "\n"


def any_size(rng):
    """Small, around Postfix's limit, around Exim's, large."""
    kind = rng.random()
    if kind < 0.4:
        return rng.randint(100, 2500)
    if kind < 0.75:
        return rng.randint(3000, 4100)
    if kind < 0.9:
        return rng.randint(63_000, 66_000)
    return rng.randint(10_000, 200_000)


def status_of(recipient):
    return f"RECIPIENT_STATUS_{'REJECTED' if recipient.startswith('refused') else 'ACCEPTED'}"


class Server(unittest.TestCase):
    """What the test cases below share: one sendstepd."""

    @classmethod
    def setUpClass(cls):
        cls.password = support.watch.secret("password")
        cls.sendstepd = support.Sendstepd()
        cls.addClassCleanup(cls.sendstepd.stop)

    def config(self, port, tls="TLS_MODE_OFF", **other):
        return {"smtp": {"host": "127.0.0.1", "port": port, "tls": tls,
                         "domain": "client.example.org", **other}}

    def send(self, config, to, sender="ada@example.org", subject="A subject", text="Some text\n"):
        email = {"from": {"email": sender}, "to": [{"email": address} for address in to],
                 "subject": subject, "text": text}
        return email, self.sendstepd.execute({"config": config, "email": email})


class OnRealServers(Server):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.authority = support.Authority(support.temporary_folder())
        cls.postfix = cls.exim = None
        if not servers.why_not_postfix():
            cls.postfix = servers.Postfix(cls.authority, {"ada@example.org": cls.password})
            cls.addClassCleanup(cls.postfix.stop)
        if not servers.why_not_exim():
            cls.exim = servers.Exim(cls.authority)
            cls.addClassCleanup(cls.exim.stop)

    def setUp(self):
        self.token = f"t{random.SystemRandom().randrange(10**9)}"

    def relay(self, port):
        relay = Relay(port)
        self.addCleanup(relay.stop)
        return relay

    def through(self, relay, tls):
        encrypted = {"tls": "TLS_MODE_STARTTLS", "caPem": self.authority.pem} if tls else {}
        return self.config(relay.port, **encrypted)

    def through_postfix(self, tls):
        if self.postfix is None:
            self.skipTest(servers.why_not_postfix())
        self.mailbox = self.postfix.maildir
        return self.relay(self.postfix.ports["open"])

    def through_exim(self, tls):
        if self.exim is None:
            self.skipTest(servers.why_not_exim())
        self.mailbox = self.exim.maildir
        return self.relay(self.exim.ports["tls" if tls else "no_tls"])

    def copies(self):
        """(subject, recipient) -> the messages of this test that were delivered."""
        found = collections.defaultdict(list)
        for raw in self.mailbox.messages():
            subject = re.search(rb"^Subject: (.*)$", raw, re.MULTILINE)[1].decode()
            to = re.search(rb"^(?:Delivered-To|Envelope-to): (.*)$", raw, re.MULTILINE)[1].decode()
            if subject.startswith(self.token):
                found[subject, to].append(raw)
        return found

    def check_delivered(self, emails):
        """`emails`: subject -> (email, those who were accepted)."""
        wanted = sorted((subject, to) for subject, (_, accepted) in emails.items() for to in accepted)
        support.until(lambda: len(self.copies()) >= len(wanted), f"{len(wanted)} copies", 60)
        copies = self.copies()
        self.assertEqual(wanted, sorted(copies))
        for (subject, to), raws in copies.items():
            email, _ = emails[subject]
            self.assertEqual(1, len(raws), f"{subject} to {to}")
            self.assertEqual([], parse_back.compare(email, raws[0]), subject)
            sender = re.search(rb"^Return-[Pp]ath: <(.*)>$", raws[0], re.MULTILINE)[1].decode()
            self.assertEqual(email["from"]["email"], sender, subject)

    def many(self, relay, tls, limit):
        rng = random.Random(SEED)
        config = self.through(relay, tls)
        emails = {}
        reset, sent_at = True, 0.0
        for n in range(EMAILS):
            to = [f"{rng.choice(('ok', 'ok', 'ok', 'refused'))}-{n}-{i}@receiver.example"
                  for i in range(rng.choice((1, 1, 1, 2, 3, 6)))]
            subject = f"{self.token} {n}"
            connections, flights = relay.connections, len(relay.flights)
            email, answer = self.send(config, to, f"sender-{n}@example.org", subject,
                                      text_of(rng, any_size(rng)))
            accepted = [address for address in to if address.startswith("ok")]
            with self.subTest(subject, seed=SEED):
                self.check_answer(answer, to, accepted)
                # On a warm connection, after a message that was refused nothing.
                if connections == relay.connections and time.monotonic() - sent_at < 4:
                    self.check_flights(relay.flights[flights:], reset, bool(accepted), limit, tls)
            emails[subject] = (email, accepted)
            reset, sent_at = accepted != to, time.monotonic()
        self.check_delivered(emails)
        self.assertLess(relay.connections, EMAILS / 4, "connections were not kept")

    def check_answer(self, answer, to, accepted):
        if not accepted:
            self.assertEqual("RECIPIENTS_REFUSED", answer.reason, answer)
            return
        self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")
        self.assertEqual([(address, status_of(address)) for address in to],
                         [(r["email"], r["status"]) for r in answer.message["recipients"]])
        self.assertEqual(
            "OUTCOME_SENT" if accepted == to else "OUTCOME_PARTIALLY_SENT", answer.message["outcome"])

    def check_flights(self, flights, reset, accepted, limit, tls):
        if tls:  # no more can be read
            self.assertLessEqual(len(flights), 2)
            return
        written = b"".join(flights)
        self.assertEqual(reset, written.startswith(b"RSET\r\n"))
        self.assertNotIn(b"\r\nDATA\r\n", flights[0][:2000].split(b"\r\nBDAT ")[0])
        chunk = re.search(rb"^BDAT \d+ LAST\r\n", written, re.MULTILINE)
        if not chunk:
            self.assertFalse(accepted, "sent without BDAT")
            self.assertTrue(reset or len(flights) == 1)
            return
        one = not reset and len(written) - len(chunk[0]) <= limit
        self.assertEqual(1 if one else 2, len(flights), f"{len(written)} bytes, reset {reset}")

    def test_many_through_postfix(self):
        self.many(self.through_postfix(False), False, POSTFIX_FLIGHT)

    def test_many_through_postfix_with_tls(self):
        self.many(self.through_postfix(True), True, POSTFIX_FLIGHT)

    def test_many_through_exim(self):
        self.many(self.through_exim(False), False, EXIM_FLIGHT)

    def test_many_through_exim_with_tls(self):
        self.many(self.through_exim(True), True, EXIM_FLIGHT)

    def one_round_trip(self, relay, tls, size):
        config = self.through(relay, tls)
        trips = []
        for n in range(10):
            flights = len(relay.flights)
            _, answer = self.send(config, ["ok@receiver.example"], subject=f"{self.token} {n}",
                                  text="x" * 60 + "\n" + text_of(random.Random(n), size))
            self.assertTrue(answer.ok, answer.text)
            trips.append(len(relay.flights) - flights)
        self.assertEqual([1] * 9, trips[1:])
        self.assertEqual(1, relay.connections)

    def test_a_small_email_is_one_round_trip_to_postfix(self):
        self.one_round_trip(self.through_postfix(False), False, 1000)

    def test_a_small_email_is_one_round_trip_to_postfix_with_tls(self):
        self.one_round_trip(self.through_postfix(True), True, 1000)

    def test_an_email_of_50_kilobytes_is_one_round_trip_to_exim(self):
        self.one_round_trip(self.through_exim(False), False, 50_000)

    def test_an_email_of_50_kilobytes_is_one_round_trip_to_exim_with_tls(self):
        self.one_round_trip(self.through_exim(True), True, 50_000)

    def own_sender(self, relay, sender_refused=False):
        """After a message that nobody got, the next one has its own sender and recipients."""
        config = self.through(relay, False)
        emails = {}
        for n in range(5):
            for name, sender, to in (("taken", f"first-{n}@example.org", f"ok-{n}@a.example"),
                                     ("none", f"{'refused' if sender_refused else 'other'}-{n}@example.org",
                                      f"{'ok' if sender_refused else 'refused'}-{n}@b.example"),
                                     ("next", f"third-{n}@example.org", f"ok-{n}@c.example")):
                subject = f"{self.token} {n} {name}"
                flights = len(relay.flights)
                email, answer = self.send(config, [to], sender, subject)
                self.assertEqual(name != "none", answer.ok, f"{name}: {answer.text}")
                emails[subject] = (email, [to] if answer.ok else [])
                if name == "none":
                    self.assertEqual(1, len(relay.flights) - flights, "the chunk went along")
                    self.assertIn(b"BDAT", relay.flights[-1])
                if name == "next":
                    self.assertTrue(relay.flights[flights].startswith(b"RSET\r\n"))
            # One that does not follow a refusal is in one flight again.
            self.send(config, ["ok@d.example"], subject="warm")
        self.check_delivered(emails)
        self.assertEqual(1, relay.connections)

    def test_after_refused_recipients_postfix_delivers_the_next_under_its_own_sender(self):
        self.own_sender(self.through_postfix(False))

    def test_after_refused_recipients_exim_delivers_the_next_under_its_own_sender(self):
        self.own_sender(self.through_exim(False))

    def test_after_a_refused_sender_exim_delivers_the_next_under_its_own_sender(self):
        self.own_sender(self.through_exim(False), sender_refused=True)


class OneAtATime(scripted.Session):
    """Wants one command at a time though it offers PIPELINING: says `complaint` to what came together,
    and closes."""

    complaint = ""

    def _line(self):
        if getattr(self, "_together", False):
            if self.complaint:
                self._say(self.complaint)
            return None
        words = b""
        while b"\n" not in words:
            more = self._connection.recv(65536)
            if not more:
                return None
            words += more
        line, _, rest = words.partition(b"\n")
        self._together = bool(rest)
        return line.rstrip(b"\r").decode(errors="replace")


class Complaining(OneAtATime):
    complaint = "554 5.5.0 SMTP synchronization error"


class OutOfSequence(OneAtATime):
    complaint = "503 5.5.1 Bad sequence of commands"


class ByteByByte(scripted.Session):
    def _say(self, reply):
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in "".join(line + "\r\n" for line in reply.split("\n")).encode():
            self._connection.sendall(bytes([byte]))
        return True


class MailsPerConnection(scripted.Session):
    """Takes three messages; in place of an answer to the fourth MAIL it leaves."""

    def _on_mail(self, line):
        if self._taken == 3:
            self._say("421 4.7.0 Too many messages")
            return False
        return super()._on_mail(line)


class OneConnection(scripted.Session):
    """One connection at a time; a second one is turned away."""

    farewell = "421 4.7.0 Too many connections"
    _one = threading.Lock()

    def run(self):
        if not self._one.acquire(blocking=False):
            if self.farewell:
                self._say(self.farewell)
            self._connection.close()
            return
        try:
            super().run()
        finally:
            self._one.release()


class OneConnectionWithoutAWord(OneConnection):
    farewell = ""
    _one = threading.Lock()


class OnBadServers(Server):
    def scripted(self, **how):
        server = scripted.ScriptedSmtp(**how)
        self.addCleanup(server.stop)
        return server

    def two_hundred(self, server, at_once=1):
        """All are sent, and each is there once."""
        config = self.config(server.port)
        failed = []
        numbers = iter(range(SENDS))
        lock = threading.Lock()

        def work():
            while True:
                with lock:
                    n = next(numbers, None)
                if n is None:
                    return
                _, answer = self.send(config, [f"someone-{n}@receiver.example"],
                                      subject=f"number {n}.")
                if not answer.ok:
                    failed.append(f"{n}: {answer.code} {answer.reason} {answer.text}")

        threads = [threading.Thread(target=work) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failed)
        got = collections.Counter(
            int(re.search(rb"^Subject: number (\d+)\.", raw, re.MULTILINE)[1])
            for raw in server.messages)
        self.assertEqual({n: 1 for n in range(SENDS)}, dict(got))

    def test_none_is_lost_where_the_server_closes_after_three_without_a_word(self):
        for chunking in (False, True):
            with self.subTest(chunking=chunking):
                server = self.scripted(greeting=POSTFIX, offers=CHUNKING if chunking else
                                       scripted.ScriptedSmtp.OFFERS, chunking=chunking,
                                       per_connection=3)
                self.two_hundred(server)
                self.assertGreaterEqual(server.connections, SENDS // 3)

    def test_none_is_lost_where_421_waits_behind_the_third(self):
        for chunking, at_once in ((False, 1), (True, 1), (True, 4)):
            with self.subTest(chunking=chunking, at_once=at_once):
                server = self.scripted(greeting=POSTFIX, offers=CHUNKING if chunking else
                                       scripted.ScriptedSmtp.OFFERS, chunking=chunking,
                                       per_connection=3, farewell="421 4.4.2 Enough")
                self.two_hundred(server, at_once)

    def test_none_is_lost_where_421_answers_the_fourth_mail(self):
        for chunking in (False, True):
            with self.subTest(chunking=chunking):
                server = self.scripted(greeting=POSTFIX, offers=CHUNKING if chunking else
                                       scripted.ScriptedSmtp.OFFERS, chunking=chunking,
                                       session=MailsPerConnection)
                self.two_hundred(server)

    def test_none_is_lost_where_chunking_is_offered_in_vain(self):
        server = self.scripted(greeting=POSTFIX, offers=CHUNKING)
        self.two_hundred(server)
        self.assertEqual(1, server.verbs().count("BDAT"), "it was believed again")

    def test_none_is_lost_where_pipelining_is_offered_in_vain(self):
        for session in (OneAtATime, Complaining, OutOfSequence):
            with self.subTest(session.__name__):
                server = self.scripted(session=session)
                self.two_hundred(server)
                self.assertLess(server.connections, 10, "it was believed again")

    def test_none_is_lost_where_answers_come_byte_by_byte(self):
        self.two_hundred(self.scripted(greeting=POSTFIX, offers=CHUNKING, chunking=True,
                                       session=ByteByByte))

    def test_none_is_lost_where_a_second_connection_is_turned_away(self):
        for session in (OneConnection, OneConnectionWithoutAWord):
            with self.subTest(session.__name__):
                self.two_hundred(self.scripted(greeting=POSTFIX, offers=CHUNKING, chunking=True,
                                               session=session), at_once=8)

    def test_no_chunk_goes_to_a_server_that_would_run_it_as_commands(self):
        for greeting in ("220 mail.scripted.example ESMTP ready",
                         "220 mail.scripted.example ESMTP Postfixed",
                         "220 gateway to mail.scripted.example ESMTP Postfix"):
            with self.subTest(greeting):
                server = self.scripted(greeting=greeting, offers=CHUNKING, replies={
                    "RCPT": lambda line: "550 5.1.1 No" if "refused" in line else "250 2.1.5 OK",
                    "DATA": "354 Go"})
                for size in (100, 10_000):
                    for to in ("refused@b.example", "taken@b.example"):
                        text = "MAIL FROM:<forged@a.example>\nRCPT TO:<eve@a.example>\n"
                        self.send(self.config(server.port), [to], text=text + "x\n" * size)
                self.assertNotIn("BDAT", server.verbs())
                self.assertEqual([], [c for c in server.commands if "forged" in c or "eve" in c])
                self.assertIn("DATA", server.verbs())


if __name__ == "__main__":
    print(f"TEST_SEED={SEED}")
    runner.main(support.test_no_secret_was_shown)
