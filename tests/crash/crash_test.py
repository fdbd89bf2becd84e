#!/usr/bin/python3
"""Never twice, never lost, whoever is killed and when: the short form of tests/crash/run, and what
an engine sees of an email that nobody can know of. Prints its seed; TEST_SEED repeats it.
TEST_CRASH=quick: the same with fewer crashes."""

import os
import re
import secrets
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import checker  # noqa: E402
import postgres  # noqa: E402
import runner  # noqa: E402
import scenarios  # noqa: E402
import servers  # noqa: E402
import support  # noqa: E402
import world  # noqa: E402

SEED = int(os.environ.get("TEST_SEED") or secrets.randbits(32))
QUICK = os.environ.get("TEST_CRASH") == "quick"
KILLS, CRASHES, KEYS, PAUSES = (60, 2, 100, 1) if QUICK else (300, 10, 500, 3)
# Of the complaints, so many are shown.
SHOWN = 20


def needs_postgres(test):
    return unittest.skipIf(postgres.missing(), postgres.missing())(test)


class Crashes(unittest.TestCase):
    def passes(self, rows):
        for row in rows:
            print(row, flush=True)
        found = [f"{kind}: {key} (seed {SEED}): {text}"
                 for row in rows for kind, key, text in row.verdict.violations]
        self.assertFalse(found, "\n".join([f"{len(found)} violations", *found[:SHOWN]]))
        return rows

    def test_random_kills_on_sqlite(self):
        self.passes(scenarios.random_kills("sqlite", KILLS, SEED))

    @needs_postgres
    def test_random_kills_on_postgres(self):
        self.passes(scenarios.random_kills(scenarios.database(), KILLS, SEED))

    def judge_failpoints(self, rows):
        """Alone with its crash, an email fares as the place of the crash says."""
        for row in self.passes(rows):
            failpoint = row.name.split(",")[0]
            uncertain = CRASHES if failpoint in checker.INSIDE_THE_GATE else 0
            self.assertEqual((CRASHES, uncertain), (row.verdict.kills, row.verdict.uncertain),
                             row.name)
            unsent = CRASHES if failpoint == "gated" else 0
            self.assertEqual(row.verdict.keys - unsent, row.verdict.accepted, row.name)

    def test_every_failpoint_on_sqlite(self):
        self.judge_failpoints(scenarios.failpoints("sqlite", CRASHES, SEED))

    @needs_postgres
    def test_every_failpoint_on_postgres(self):
        self.judge_failpoints(scenarios.failpoints(scenarios.database(), CRASHES, SEED))

    @needs_postgres
    def test_replicas_that_race_for_a_key_deliver_it_once_while_the_database_crashes(self):
        self.passes(scenarios.race(KEYS, 2, SEED, scenarios.database()))

    @needs_postgres
    def test_an_owner_paused_before_the_gate_is_taken_over_and_sends_nothing(self):
        row, = self.passes(scenarios.pause(PAUSES, SEED, scenarios.database()))
        self.assertEqual((PAUSES, 0), (row.verdict.accepted, row.verdict.uncertain))

    @needs_postgres
    def test_an_owner_paused_in_the_gate_is_not_taken_over_and_sends_once(self):
        row, = self.passes(scenarios.pause(PAUSES, SEED, scenarios.database(), "gated"))
        self.assertEqual((PAUSES, PAUSES), (row.verdict.accepted, row.verdict.uncertain))

    def test_without_a_ledger_the_checker_finds_duplicates(self):
        row, = scenarios.random_kills("off", 60, SEED)
        print(row, flush=True)
        self.assertGreater(row.verdict.duplicates, 0)

    def test_only_the_crash_tests_own_server_has_failpoints(self):
        has = {name: b"SENDSTEP_FAILPOINT" in (support.BUILD / name).read_bytes()
               for name in ("sendstepd", "sendstepd_crash")}
        self.assertEqual({"sendstepd": False, "sendstepd_crash": True}, has)


class SmtpSink:
    """Postfix's smtp-sink, which keeps each message it was given in a file of its own."""

    PROGRAM = "/usr/sbin/smtp-sink"

    def __init__(self, *flags):
        folder = support.temporary_folder()
        folder.chmod(0o777)
        self._dumps = folder
        self.port = servers.free_port()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self._process = support.Process(
            [self.PROGRAM, *user, *flags, "-d", folder / "mail.", f"127.0.0.1:{self.port}", "64"])
        support.until(lambda: servers.greets(self.port), "smtp-sink greets")

    def message_ids(self):
        """Of every message that came."""
        return [re.search(rb"^Message-ID: (\S+)", path.read_bytes(), re.M | re.I)[1].decode()
                for path in self._dumps.glob("mail.*")]

    def stop(self):
        self._process.stop()


@unittest.skipUnless(Path(SmtpSink.PROGRAM).exists(), "smtp-sink is missing (Debian: postfix)")
class DroppedAfterTheDot(unittest.TestCase):
    """A provider that takes the whole message and drops the connection."""

    def setUp(self):
        self.server = world.Replica(
            support.temporary_folder(), "server", ["--ledger", "sqlite:{state}/ledger.db"],
            secrets.token_bytes(32), "sendstepd")
        self.server.start()
        self.addCleanup(self.server.stop)
        self.dropping = SmtpSink("-q", ".")
        self.addCleanup(self.dropping.stop)

    def execute(self, sink, **more):
        return self.server.call("Execute", {
            "request_id": "dropped-1", **more,
            "config": {"smtp": {"host": "127.0.0.1", "port": sink.port, "tls": "TLS_MODE_OFF"}},
            "email": {"from": {"email": "ada@crash.example"},
                      "to": [{"email": "bob@crash.example"}], "subject": "Dropped", "text": "Hello"}})

    def is_uncertain(self, answer):
        self.assertEqual(("DATA_LOSS", "DELIVERY_UNCERTAIN"), (answer.code, answer.reason))
        self.assertEqual("uncertain", answer.metadata["retryable"])
        return answer.metadata["message_id"]

    def test_it_is_uncertain_and_a_retry_says_so_without_connecting(self):
        message_id = self.is_uncertain(self.execute(self.dropping))
        self.assertEqual([message_id], self.dropping.message_ids())
        self.assertEqual(message_id, self.is_uncertain(self.execute(self.dropping)))
        self.assertEqual([message_id], self.dropping.message_ids())
        known = self.server.call("GetExecution", {"request_id": "dropped-1"}).message["execution"]
        self.assertEqual("EXECUTION_STATE_UNCERTAIN", known["state"])

    def test_where_its_caller_wants_that_it_is_sent_again_with_the_same_message_id(self):
        message_id = self.is_uncertain(self.execute(self.dropping))
        self.assertEqual(message_id,
                         self.is_uncertain(self.execute(self.dropping, resend_on_uncertain=True)))
        self.assertEqual([message_id] * 2, self.dropping.message_ids())
        taking = SmtpSink()
        self.addCleanup(taking.stop)
        answer = self.execute(taking, resend_on_uncertain=True)
        self.assertEqual(("OK", "OUTCOME_SENT"), (answer.code, answer.message.get("outcome")))
        self.assertEqual([message_id], taking.message_ids())
        again = self.execute(taking, resend_on_uncertain=True)
        self.assertEqual("DEDUPE_REPLAYED", again.message["dedupe"])
        self.assertEqual([message_id], taking.message_ids())


if __name__ == "__main__":
    print(f"seed {SEED}\n{scenarios.Row.HEAD}", flush=True)
    runner.main()
