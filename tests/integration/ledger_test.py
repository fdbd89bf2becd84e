#!/usr/bin/python3
"""Each email is sent at most once: what the ledger remembers, on SQLite and on PostgreSQL, and what
happens where it cannot."""

import contextlib
import datetime
import json
import os
import secrets
import shutil
import signal
import sqlite3
import unittest

import postgres
import runner
import scripted
import support

ADDRESSES = ("ada.from@example.org", "bob.to@example.org", "eve.to@example.org")
SUBJECT = "Subject-that-is-nobodys-business"
BODY = "Body-that-is-nobodys-business"


def letter(*to, text=BODY):
    return {"from": {"email": ADDRESSES[0]}, "subject": SUBJECT, "text": text,
            "to": [{"email": address} for address in to or ADDRESSES[1:2]]}


def new_id():
    return f"run-{secrets.token_hex(6)}"


def settings_of(provider):
    """SMTP settings, with credentials that the ledger must not keep."""
    return {"smtp": {"host": "127.0.0.1", "port": provider.port, "tls": "TLS_MODE_OFF",
                     "domain": "client.example.org", "username": "ada",
                     "password": {"value": PASSWORD}, "allowPlaintextAuth": True}}


PASSWORD = support.watch.secret("password")


def start_refused(*flags, env=None, folder=None):
    """The exit code and the one sentence of a server that does not start."""
    ran = support.run([support.BUILD / "sendstepd", "--listen", "127.0.0.1:0", "--http-listen",
                       "off", "--state-dir", (folder or support.temporary_folder()) / "state",
                       *flags], env=env)
    lines = [json.loads(line) for line in ran.err.splitlines() if line.startswith("{")]
    failed = [line["detail"] for line in lines if line["event"] == "start_failed"]
    assert len(failed) == 1, ran.err
    assert "listening" not in ran.out
    return ran.code, failed[0]


class LedgerTest(unittest.TestCase):
    """What the tests share. A subclass says which ledger its servers use."""

    ledger = ()  # flags

    @classmethod
    def setUpClass(cls):
        cls.server = support.Sendstepd("--sandbox", *cls.ledger)
        cls.addClassCleanup(lambda: cls.server.stop())

    def restarted(self, *flags, kill=False):
        """The class's server anew on the same state folder."""
        cls = type(self)
        if kill:
            cls.server.kill()
        else:
            cls.server.stop()
        cls.server = support.Sendstepd("--sandbox", *cls.ledger, *flags, folder=cls.server.folder)

    def start(self, *flags, **how):
        server = support.Sendstepd("--sandbox", *flags, **how)
        self.addCleanup(server.stop)
        return server

    def provider(self, **replies):
        """An SMTP server; `end` is the reply to the end of the message."""
        if "end" in replies:
            replies["."] = replies.pop("end")
        server = scripted.ScriptedSmtp(replies=replies)
        self.addCleanup(server.stop)
        for reply in replies.values():
            for one in reply if isinstance(reply, list) else [reply]:
                if isinstance(one, scripted.Held):
                    self.addCleanup(one.release)
        return server

    @staticmethod
    def request(request_id, provider, *to, **other):
        email = letter(*to, **({"text": other.pop("text")} if "text" in other else {}))
        return {"request_id": request_id, "config": settings_of(provider), "email": email, **other}

    def execute(self, request_id, provider, *to, server=None, deadline=60, **other):
        return (server or self.server).call(
            "Execute", self.request(request_id, provider, *to, **other), deadline)

    def sends(self, request_id, provider, *to, dedupe="DEDUPE_FIRST", **other):
        answer = self.execute(request_id, provider, *to, **other)
        self.assertTrue(answer.ok, (answer.text, answer.info))
        self.assertEqual(dedupe, answer.message["dedupe"])
        return answer.message

    def fails(self, code, reason, request_id, provider, *to, **other):
        answer = self.execute(request_id, provider, *to, **other)
        self.assertEqual((code, reason), (answer.code, answer.reason), answer.text)
        return answer

    def known(self, request_id, server=None):
        answer = (server or self.server).call("GetExecution", {"request_id": request_id})
        self.assertTrue(answer.ok, answer.text)
        return answer.message["execution"]

    def state(self, request_id, server=None):
        return self.known(request_id, server)["state"].removeprefix("EXECUTION_STATE_")

    def until_state(self, state, request_id, server=None):
        support.until(lambda: self.state(request_id, server) == state,
                      f"{request_id} is {state}")

    def at(self, held, provider, request_id, server=None, **other):
        """A call in a process of its own that has come as far as the held reply."""
        caller = (server or self.server).call_from_a_process(
            "Execute", self.request(request_id, provider, **other))
        support.until(lambda: held.reached.is_set() or not caller.alive(), "the held reply")
        self.assertTrue(caller.alive(), caller.output())
        return caller

    def leaves(self, caller, server=None):
        """The caller goes without a word, and the server knows."""
        caller.kill()
        support.until(lambda: (server or self.server).in_flight() == 0, "a call without its caller")

    def recipients(self, provider):
        return [line.partition("<")[2].partition(">")[0]
                for line in provider.commands if line.startswith("RCPT")]


class BadInput(LedgerTest):
    def refused(self, method, request, field, reason):
        answer = self.server.call(method, request)
        self.assertEqual("INVALID_ARGUMENT", answer.code, answer.text)
        found = [(v.get("field"), v.get("reason")) for v in answer.violations]
        self.assertIn((field, reason), found)
        return answer

    def test_request_id_is_missing(self):
        provider = self.provider()
        request = self.request("", provider)
        self.refused("Execute", request, "request_id", "REQUEST_ID_REQUIRED")
        del request["request_id"]
        self.refused("Execute", request, "request_id", "REQUEST_ID_REQUIRED")
        self.assertEqual([], provider.commands)
        for method in ("GetExecution", "ResolveExecution"):
            self.refused(method, {}, "request_id", "REQUEST_ID_REQUIRED")

    def test_request_id_may_be_missing_where_the_operator_says_so(self):
        server, provider = self.start("--request-id", "optional"), self.provider()
        for _ in range(2):
            self.sends("", provider, server=server, dedupe="DEDUPE_NONE")
        self.assertEqual(2, len(provider.messages))
        request_id = new_id()
        self.sends(request_id, provider, server=server)
        self.sends(request_id, provider, server=server, dedupe="DEDUPE_REPLAYED")

    def test_request_id_is_too_long_or_not_printable(self):
        provider = self.provider()
        for bad, reason in [("x" * 257, "LIMIT_EXCEEDED"), ("a b", "FIELD_INVALID"),
                            (" ", "FIELD_INVALID"), ("a\nb", "FIELD_INVALID"),
                            ("a\0b", "FIELD_INVALID"), ("\x1b", "FIELD_INVALID"),
                            ("a\x7f", "FIELD_INVALID"), ("é", "FIELD_INVALID")]:
            for method, request in [
                ("Execute", self.request(bad, provider)),
                ("GetExecution", {"request_id": bad}),
                ("ResolveExecution", {"request_id": bad, "resolution": "RESOLUTION_SENT"}),
            ]:
                with self.subTest(f"{method} {bad!r}"):
                    self.refused(method, request, "request_id", reason)
        self.assertEqual([], provider.commands)
        self.sends("x" * 256, provider)

    def test_nothing_is_known_of_an_id_that_was_never_used(self):
        for method, more in [("GetExecution", {}),
                             ("ResolveExecution", {"resolution": "RESOLUTION_SENT"})]:
            answer = self.server.call(method, {"request_id": "never-used", **more})
            self.assertEqual(("NOT_FOUND", "EXECUTION_NOT_FOUND"), (answer.code, answer.reason))

    def test_what_is_not_uncertain_is_not_resolved(self):
        request_id = new_id()
        self.sends(request_id, self.provider())
        answer = self.server.call("ResolveExecution", {"request_id": request_id,
                                                       "resolution": "RESOLUTION_NOT_SENT"})
        self.assertEqual(("FAILED_PRECONDITION", "NOT_UNCERTAIN"), (answer.code, answer.reason))
        self.assertEqual("SENT", self.state(request_id))

    def test_value_of_an_enum_is_unknown(self):
        provider = self.provider()
        self.refused("Execute", self.request(new_id(), provider, delivery=99), "delivery",
                     "FIELD_INVALID")
        self.assertEqual([], provider.commands)
        self.refused("ListExecutions", {"state": 99}, "state", "FIELD_INVALID")
        for resolution in (0, 99):
            self.refused("ResolveExecution", {"request_id": "x", "resolution": resolution},
                         "resolution", "FIELD_REQUIRED")

    def test_page_is_too_large_or_its_token_is_nobodys(self):
        self.refused("ListExecutions", {"page_size": 1001}, "page_size", "LIMIT_EXCEEDED")
        self.assertTrue(self.server.call("ListExecutions", {"page_size": 1000}).ok)
        for token in ("?", "x", "MTIz", "IDEyMyB4"):
            with self.subTest(token):
                self.refused("ListExecutions", {"page_token": token}, "page_token", "FIELD_INVALID")

    def test_time_is_none(self):
        """As text, for JSON has no such timestamps."""
        for field in ("updated_from", "updated_until"):
            for value in ("seconds: 253402300800", "seconds: -62135596801", "nanos: 1000000000",
                          "nanos: -1"):
                with self.subTest(f"{field} {value}"):
                    ran = support.grpcurl(
                        *support.PROTOS, "-format", "text", "-d", f"{field} {{ {value} }}",
                        self.server.address, f"{support.SERVICE}/ListExecutions")
                    self.assertIn("InvalidArgument", ran.err)
                    self.assertIn(field, ran.err)


class RefusedStart(unittest.TestCase):
    """With a ledger that cannot be trusted the server does not start, and says why."""

    def setUp(self):
        self.folder = support.temporary_folder()
        self.file = self.folder / "ledger.db"

    def refused(self, *words, file=None, flags=(), folder=None):
        code, detail = start_refused("--ledger", f"sqlite:{file or self.file}", *flags,
                                     folder=folder)
        self.assertEqual(1, code)
        for word in (str(file or self.file), *words):
            self.assertIn(word, detail)
        self.assertNotIn("\n", detail)

    def test_ledger_is_no_place(self):
        for bad in ("", "ledger.db", "mysql://h/d", "sqlite:", "SQLITE:x", "on"):
            with self.subTest(bad):
                ran = support.run([support.BUILD / "sendstepd", "--state-dir", self.folder,
                                   "--ledger", bad])
                self.assertEqual(2, ran.code, ran.err)
                self.assertIn("--ledger", ran.err)

    def test_other_settings_of_the_ledger_are_checked(self):
        for flag, bad in (("--request-id", "maybe"), ("--retention", "1s"), ("--lease", "0"),
                          ("--reply-wait", "2h")):
            with self.subTest(flag):
                ran = support.run([support.BUILD / "sendstepd", "--state-dir", self.folder, flag,
                                   bad])
                self.assertEqual(2, ran.code, ran.err)
                self.assertIn(flag, ran.err)

    def test_folder_is_missing(self):
        self.refused("No such file", file=self.folder / "missing" / "ledger.db")

    def test_folder_is_a_file(self):
        (self.folder / "file").write_text("")
        self.refused("Not a directory", file=self.folder / "file" / "ledger.db")

    def test_file_is_a_folder(self):
        self.file.mkdir()
        self.refused("irectory")

    def test_file_is_a_symbolic_link(self):
        self.file.symlink_to(self.folder / "elsewhere")
        self.refused()

    def test_file_is_not_a_database(self):
        self.file.write_bytes(b"Dear diary, " * 1000)
        self.file.chmod(0o600)
        self.refused("not a database")
        self.assertEqual(b"Dear diary, " * 1000, self.file.read_bytes())

    def write(self, *statements):
        with contextlib.closing(sqlite3.connect(self.file)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()
        self.file.chmod(0o600)

    def test_file_is_another_programs_database(self):
        self.write("CREATE TABLE recipes (name TEXT)")
        self.refused("another program's")

    def test_file_is_a_newer_versions(self):
        support.Sendstepd("--ledger", f"sqlite:{self.file}", folder=self.folder).stop()
        self.write("PRAGMA user_version=2")
        self.refused("newer version", folder=self.folder)

    def test_file_is_open_to_others(self):
        support.Sendstepd("--ledger", f"sqlite:{self.file}", folder=self.folder).stop()
        self.file.chmod(0o644)
        self.refused("chmod 600", folder=self.folder)

    def test_file_is_another_servers(self):
        server = support.Sendstepd("--ledger", f"sqlite:{self.file}", folder=self.folder)
        self.addCleanup(server.stop)
        self.refused("another process", folder=self.folder)
        self.refused("another process")
        self.assertTrue(server.call("GetExecution", {"request_id": "x"}).code == "NOT_FOUND")

    def test_ledger_was_written_with_another_key(self):
        support.Sendstepd("--ledger", f"sqlite:{self.file}", folder=self.folder).stop()
        code, detail = start_refused("--ledger", f"sqlite:{self.file}")
        self.assertEqual(1, code)
        self.assertIn("message-id.key", detail)
        support.Sendstepd("--ledger", f"sqlite:{self.file}", folder=self.folder).stop()


@unittest.skipIf(postgres.missing(), postgres.missing())
class RefusedPostgres(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = postgres.Postgres()
        cls.addClassCleanup(cls.postgres.stop)

    def refused(self, url, *words, folder=None):
        code, detail = start_refused(env={"SENDSTEP_LEDGER": url}, folder=folder)
        self.assertEqual(1, code)
        for word in words:
            self.assertIn(word, detail)
        self.assertNotIn("\n", detail)

    def test_it_is_not_there(self):
        nowhere = support.temporary_folder()
        self.refused(f"postgresql://postgres@/postgres?host={nowhere}", str(nowhere))

    def test_database_is_not_there(self):
        self.refused(self.postgres.url_of("nowhere"), "nowhere")

    def test_url_is_none_and_is_not_repeated(self):
        password = support.watch.secret("url")
        self.refused(f"postgresql://ada:{password}@[::1/x")

    def test_password_is_wrong_and_is_not_shown(self):
        self.postgres.sql("CREATE ROLE ada LOGIN PASSWORD 'right'")
        access = self.postgres.folder / "data" / "pg_hba.conf"
        access.write_text("local all ada scram-sha-256\n" + access.read_text())
        self.postgres.sql("SELECT pg_reload_conf()")
        password = support.watch.secret("database")
        self.refused(self.postgres.url_of("postgres", f"ada:{password}"), "password")

    def test_what_was_committed_could_be_lost(self):
        url = self.postgres.database()
        self.refused(url + "&options=-csynchronous_commit%3Doff", "synchronous_commit",
                     "sent again")
        for setting in ("fsync", "full_page_writes"):
            with self.subTest(setting):
                self.set(setting, "off")
                self.refused(url, setting, "sent again")
                self.set(setting, "on")
        support.Sendstepd(env={"SENDSTEP_LEDGER": url}).stop()

    def set(self, setting, value):
        self.postgres.sql(f"ALTER SYSTEM SET {setting}={value}; SELECT pg_reload_conf()")
        support.until(lambda: self.postgres.sql(f"SHOW {setting}").strip() == value, setting)

    def test_schema_is_a_newer_versions(self):
        url = self.postgres.database()
        server = support.Sendstepd(env={"SENDSTEP_LEDGER": url})
        server.stop()
        self.postgres.sql("UPDATE sendstep_ledger_schema SET version=2", url)
        self.refused(url, "newer version", folder=server.folder)

    def test_replicas_have_different_keys(self):
        url = self.postgres.database()
        first = support.Sendstepd(env={"SENDSTEP_LEDGER": url})
        self.addCleanup(first.stop)
        self.refused(url, "message-id.key")


class Semantics:
    """Holds for every ledger."""

    def test_outcome_is_replayed_also_by_a_server_that_was_started_anew(self):
        provider, request_id = self.provider(), new_id()
        first = self.sends(request_id, provider)
        for restart in (False, True):
            if restart:
                self.restarted()
            again = self.sends(request_id, provider, dedupe="DEDUPE_REPLAYED")
            for name in ("outcome", "messageId", "acceptedAt", "sizeBytes", "requestId"):
                self.assertEqual(first[name], again[name])
            self.assertEqual("RECIPIENT_STATUS_ACCEPTED", again["recipients"][0]["status"])
        self.assertEqual(1, len(provider.messages))
        self.assertIn(first["messageId"].encode(), provider.messages[0])
        execution = self.known(request_id)
        self.assertEqual(("EXECUTION_STATE_SENT", 1, first["messageId"]),
                         (execution["state"], execution["attempts"], execution["messageId"]))

    def test_id_of_a_sent_email_stands_for_no_other(self):
        provider, request_id = self.provider(), new_id()
        self.sends(request_id, provider)
        answer = self.fails("FAILED_PRECONDITION", "REQUEST_ID_REUSED", request_id, provider,
                            text="Another")
        self.assertEqual(["request_id"], answer.fields)
        self.fails("FAILED_PRECONDITION", "REQUEST_ID_REUSED", request_id, provider, *ADDRESSES[1:])
        self.assertEqual(1, len(provider.messages))

    def test_failed_email_is_sent_with_what_the_retry_brings(self):
        gone, provider, request_id = scripted.ScriptedSmtp(), self.provider(), new_id()
        gone.stop()
        self.fails("UNAVAILABLE", "CONNECTION_REFUSED", request_id, gone)
        execution = self.known(request_id)
        self.assertEqual(("EXECUTION_STATE_FAILED", "CONNECTION_REFUSED"),
                         (execution["state"], execution["reason"]))
        self.sends(request_id, provider, text="Mended")
        self.assertEqual(1, len(provider.messages))
        self.assertIn(b"Mended", provider.messages[0])
        self.assertEqual(2, self.known(request_id)["attempts"])

    def test_after_partial_acceptance_only_those_refused_for_now_are_tried(self):
        provider, request_id = self.provider(RCPT=["250 2.1.5 OK", "450 4.2.1 Later",
                                                   "250 2.1.5 OK"]), new_id()
        to = ADDRESSES[1:]
        answer = self.fails("UNAVAILABLE", "RECIPIENTS_PENDING", request_id, provider, *to)
        self.assertIsNotNone(answer.retry_after())
        self.assertEqual("PENDING", self.state(request_id))
        self.restarted()
        sent = self.sends(request_id, provider, *to)
        self.assertEqual("OUTCOME_SENT", sent["outcome"])
        self.assertEqual([*to, to[1]], self.recipients(provider))
        self.assertEqual(2, len(provider.messages))
        self.sends(request_id, provider, *to, dedupe="DEDUPE_REPLAYED")
        self.assertEqual(2, len(provider.messages))

    def test_recipient_refused_for_good_is_not_tried_again(self):
        provider, request_id = self.provider(RCPT=["550 5.1.1 Nobody", "250 2.1.5 OK"]), new_id()
        for dedupe in ("DEDUPE_FIRST", "DEDUPE_REPLAYED"):
            sent = self.sends(request_id, provider, *ADDRESSES[1:], dedupe=dedupe)
            self.assertEqual("OUTCOME_PARTIALLY_SENT", sent["outcome"])
            self.assertEqual("5.1.1", sent["recipients"][0]["reply"]["enhancedCode"])
        self.assertEqual(1, len(provider.messages))

    def test_all_or_nothing_sends_when_all_are_accepted(self):
        provider, request_id = self.provider(RCPT=["250 2.1.5 OK", "450 4.2.1 Later",
                                                   "250 2.1.5 OK"]), new_id()
        policy = {"delivery": "DELIVERY_POLICY_ALL_OR_NOTHING"}
        to = ADDRESSES[1:]
        answer = self.execute(request_id, provider, *to, **policy)
        self.assertEqual("UNAVAILABLE", answer.code, answer.text)
        self.assertEqual("FAILED", self.state(request_id))
        self.assertEqual([], provider.messages)
        self.sends(request_id, provider, *to, **policy)
        self.assertEqual(1, len(provider.messages))
        self.assertEqual([*to, *to], self.recipients(provider))

    def uncertain(self, **replies):
        """A provider that takes the message and hangs up, and the request's id."""
        provider = self.provider(end=[scripted.CLOSE, "250 2.0.0 OK"], **replies)
        request_id = new_id()
        self.fails("DATA_LOSS", "DELIVERY_UNCERTAIN", request_id, provider)
        self.assertEqual(1, len(provider.messages))
        return provider, request_id

    def test_uncertain_email_is_not_sent_again(self):
        provider, request_id = self.uncertain()
        for restart in (False, True):
            if restart:
                self.restarted()
            answer = self.fails("DATA_LOSS", "DELIVERY_UNCERTAIN", request_id, provider)
            self.assertEqual("uncertain", answer.metadata["retryable"])
            self.assertIn(answer.metadata["message_id"].encode(), provider.messages[0])
        self.fails("FAILED_PRECONDITION", "REQUEST_ID_REUSED", request_id, provider, text="Other")
        self.assertEqual(1, len(provider.messages))
        self.assertEqual("UNCERTAIN", self.state(request_id))

    def resolve(self, request_id, how):
        ran = self.server.sendstep("resolve", request_id, how)
        self.assertEqual(0, ran.code, ran.err)

    def test_email_resolved_as_sent_is_replayed(self):
        provider, request_id = self.uncertain()
        self.resolve(request_id, "--sent")
        self.sends(request_id, provider, dedupe="DEDUPE_REPLAYED")
        self.assertEqual(1, len(provider.messages))

    def test_email_resolved_as_not_sent_is_sent(self):
        provider, request_id = self.uncertain()
        self.resolve(request_id, "--not-sent")
        self.assertEqual("FAILED", self.state(request_id))
        self.sends(request_id, provider)
        self.assertEqual(2, len(provider.messages))

    def test_uncertain_email_is_sent_again_on_demand_with_its_message_id(self):
        provider, request_id = self.uncertain()
        sent = self.sends(request_id, provider, resend_on_uncertain=True)
        self.assertEqual(2, len(provider.messages))
        for message in provider.messages:
            self.assertIn(f"Message-ID: {sent['messageId']}\r\n".encode(), message)
        self.sends(request_id, provider, resend_on_uncertain=True, dedupe="DEDUPE_REPLAYED")
        self.assertEqual(2, len(provider.messages))

    def test_caller_that_leaves_before_the_end_cancels(self):
        held = scripted.Held("250 2.1.0 OK")
        provider, request_id = self.provider(MAIL=[held, "250 2.1.0 OK"]), new_id()
        self.leaves(self.at(held, provider, request_id))
        self.until_state("FAILED", request_id)
        self.assertEqual("CANCELLED", self.known(request_id)["reason"])
        held.release()
        self.assertEqual([], provider.messages)
        self.sends(request_id, provider)
        self.assertEqual(1, len(provider.messages))

    def test_one_of_two_callers_that_leaves_cancels_nothing(self):
        held = scripted.Held("250 2.1.0 OK")
        provider, request_id = self.provider(MAIL=held), new_id()
        first = self.at(held, provider, request_id)
        second = self.server.call_in_background("Execute", self.request(request_id, provider))
        support.until(lambda: self.server.in_flight() == 2, "two callers")
        first.kill()
        support.until(lambda: self.server.in_flight() == 1, "one caller")
        held.release()
        second.join()
        self.assertTrue(second.answer.ok, second.answer.text)
        self.assertEqual(1, len(provider.messages))

    def test_caller_that_leaves_after_the_end_finds_the_result_later(self):
        held = scripted.Held("250 2.0.0 OK")
        provider, request_id = self.provider(end=held), new_id()
        self.leaves(self.at(held, provider, request_id))
        self.assertEqual("COMMITTING", self.state(request_id))
        held.release()
        self.until_state("SENT", request_id)
        self.sends(request_id, provider, dedupe="DEDUPE_REPLAYED")
        self.assertEqual(1, len(provider.messages))

    def test_deadline_that_passes_after_the_end_is_no_outcome(self):
        held = scripted.Held("250 2.0.0 OK")
        provider, request_id = self.provider(end=held), new_id()
        answer = self.fails("ABORTED", "REQUEST_IN_PROGRESS", request_id, provider, deadline=3)
        self.assertEqual("true", answer.metadata["retryable"])
        self.assertIsNotNone(answer.retry_after())
        self.fails("ABORTED", "REQUEST_IN_PROGRESS", request_id, provider, deadline=2)
        held.release()
        self.until_state("SENT", request_id)
        self.sends(request_id, provider, dedupe="DEDUPE_REPLAYED")
        self.assertEqual(1, len(provider.messages))

    def in_parallel(self, servers, each, held, request_id, provider):
        """`each` calls of every server, all there before the provider goes on."""
        calls = [server.call_in_background("Execute", self.request(request_id, provider), 120)
                 for server in servers for _ in range(each)]
        for server in servers:
            support.until(lambda s=server: s.in_flight() == each, "all callers")
        support.until(held.reached.is_set, "the held reply")
        held.release()
        for call in calls:
            call.join()
            self.assertTrue(call.answer.ok, call.answer.text)
        self.assertEqual(1, len(provider.messages))
        self.assertEqual(1, len({call.answer.message["messageId"] for call in calls}))
        return calls

    def test_calls_at_once_send_once(self):
        held = scripted.Held("250 2.1.0 OK")
        provider, request_id = self.provider(MAIL=held), new_id()
        self.in_parallel([self.server], 30, held, request_id, provider)
        self.assertEqual(1, self.known(request_id)["attempts"])

    def test_stopping_waits_for_the_reply_and_then_records_that_none_came(self):
        held = scripted.Held("250 2.0.0 OK")
        provider, request_id = self.provider(end=held), new_id()
        self.restarted("--drain-timeout", "2s")
        self.leaves(self.at(held, provider, request_id))
        self.restarted()
        execution = self.known(request_id)
        self.assertEqual(("EXECUTION_STATE_UNCERTAIN", "DELIVERY_UNCERTAIN"),
                         (execution["state"], execution["reason"]))
        self.fails("DATA_LOSS", "DELIVERY_UNCERTAIN", request_id, provider)
        self.assertEqual(1, len(provider.messages))

    def test_stopping_waits_for_a_reply_that_comes(self):
        held = scripted.Held("250 2.0.0 OK")
        provider, request_id = self.provider(end=held), new_id()
        self.leaves(self.at(held, provider, request_id))
        self.server.process.send_signal(signal.SIGTERM)
        self.server.process.wait_line('"draining"')
        held.release()
        self.assertEqual(0, self.server.process.wait())
        self.restarted()
        self.assertEqual("SENT", self.state(request_id))

    def test_killed_before_the_end_is_sent_by_the_next_call(self):
        held = scripted.Held("250 2.1.0 OK")
        provider, request_id = self.provider(MAIL=[held, "250 2.1.0 OK"]), new_id()
        caller = self.at(held, provider, request_id)
        self.restarted(kill=True)
        self.assertNotEqual(0, caller.wait())
        self.sends(request_id, provider)
        self.assertEqual(1, len(provider.messages))

    def killed_after_the_end(self, *flags):
        """`flags` of the server that is killed and of the one started after it."""
        held = scripted.Held("250 2.0.0 OK")
        provider, request_id = self.provider(end=[held, "250 2.0.0 OK"]), new_id()
        self.restarted(*flags)
        caller = self.at(held, provider, request_id)
        self.restarted(*flags, kill=True)
        self.assertNotEqual(0, caller.wait())
        return provider, request_id

    def test_list_is_by_time_and_state_and_in_pages(self):
        began = datetime.datetime.now(datetime.timezone.utc)
        provider, ids = self.provider(), [new_id() for _ in range(5)]
        for request_id in ids:
            self.sends(request_id, provider)
        _, lost = self.uncertain()
        since = began.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

        def page(**query):
            answer = self.server.call("ListExecutions", {"updated_from": since, **query})
            self.assertTrue(answer.ok, answer.text)
            found = [e["requestId"] for e in answer.message.get("executions", [])]
            return found, answer.message.get("nextPageToken", "")

        self.assertEqual([*ids, lost], page()[0])
        self.assertEqual(ids, page(state="EXECUTION_STATE_SENT")[0])
        self.assertEqual([lost], page(state="EXECUTION_STATE_UNCERTAIN")[0])
        self.assertEqual([], page(updated_until=since)[0])
        third = self.known(ids[2])["updatedAt"]
        self.assertEqual(ids[:2], page(updated_until=third)[0])
        self.assertEqual([*ids[2:], lost], page(updated_from=third)[0])
        found, token = [], ""
        for _ in range(4):
            some, token = page(page_size=2, page_token=token)
            found += some
            if not token:
                break
        self.assertEqual([*ids, lost], found)

        for flags, expected in [(("--limit", "2"), ids[:2]), (("--state", "uncertain"), [lost]),
                                (("--state", "sent", "--limit", "10000"), ids)]:
            ran = self.server.sendstep("list", "--json", "--since", since, *flags)
            self.assertEqual(0, ran.code, ran.err)
            self.assertEqual(expected, [e["requestId"] for e in ran.json["executions"]])
        self.assertIn(lost, self.server.sendstep("list", "--since", since).out)
        self.assertEqual(2, self.server.sendstep("list", "--limit", "0").code)

    def test_get_exits_as_its_send(self):
        ids = {code: new_id() for code in (0, 5, 6, 7)}
        self.sends(ids[0], self.provider())
        self.fails("UNAVAILABLE", "RECIPIENTS_PENDING", ids[5],
                   self.provider(RCPT=["250 2.1.5 OK", "450 4.2.1 Later"]), *ADDRESSES[1:])
        self.sends(ids[6], self.provider(RCPT=["550 5.1.1 Nobody", "250 2.1.5 OK"]), *ADDRESSES[1:])
        ids[7] = self.uncertain()[1]
        for code, request_id in [*ids.items(), (3, "a b")]:
            with self.subTest(code):
                ran = self.server.sendstep("get", request_id)
                self.assertEqual(code, ran.code, ran.out + ran.err)
        ran = self.server.sendstep("get", "never-used")
        self.assertNotEqual(0, ran.code)
        self.assertIn("EXECUTION_NOT_FOUND", ran.err)

    def test_ledger_holds_no_address_no_content_and_no_secret(self):
        request_id = new_id()
        self.sends(request_id, self.provider(), *ADDRESSES[1:])
        self.fails("DATA_LOSS", "DELIVERY_UNCERTAIN", new_id(),
                   self.provider(end=scripted.CLOSE))
        stored = self.stored()
        self.assertIn(request_id.encode(), stored)
        for text in (*ADDRESSES, SUBJECT, BODY):
            for name, form in support.Watch.forms(text):
                self.assertNotIn(form, stored, f"{text} {name}")
        support.watch.heard("the ledger", stored)


class OnSqlite(Semantics, LedgerTest):
    def stored(self):
        folder = self.server.folder / "state"
        self.assertIn("ledger.db-wal", os.listdir(folder))
        return b"".join(path.read_bytes() for path in folder.glob("ledger.db*"))

    def test_file_is_the_owners_alone(self):
        for path in (self.server.folder / "state").glob("ledger.db*"):
            self.assertEqual(0o600, path.stat().st_mode & 0o777, path)

    def test_killed_after_the_end_is_uncertain_at_once(self):
        provider, request_id = self.killed_after_the_end()
        answer = self.fails("DATA_LOSS", "DELIVERY_UNCERTAIN", request_id, provider)
        self.assertEqual("PLUGIN", answer.metadata["fault"])
        execution = self.known(request_id)
        self.assertEqual(("EXECUTION_STATE_UNCERTAIN", "OWNER_GONE"),
                         (execution["state"], execution["reason"]))
        self.assertEqual(1, len(provider.messages))

    def test_killed_after_the_end_can_be_seen_and_resolved_without_another_call(self):
        provider, request_id = self.killed_after_the_end()
        self.until_state("UNCERTAIN", request_id)
        self.assertEqual("OWNER_GONE", self.known(request_id)["reason"])
        self.resolve(request_id, "--not-sent")
        self.sends(request_id, provider)
        self.assertEqual(2, len(provider.messages))


@unittest.skipIf(postgres.missing(), postgres.missing())
class OnPostgres(Semantics, LedgerTest):
    @classmethod
    def setUpClass(cls):
        cls.postgres = postgres.Postgres()
        cls.addClassCleanup(cls.postgres.stop)
        cls.url = cls.postgres.database()
        # The lease is what a call waits for after a kill.
        cls.ledger = ("--ledger", cls.url, "--lease", "2s", "--reply-wait", "1h")
        super().setUpClass()

    def stored(self):
        dump = self.postgres.dump(self.url)
        records = [line.split("\\\\x")[1].split("\t")[0] for line in dump.splitlines()
                   if "\\\\x" in line]
        self.assertTrue(records)
        return dump.encode() + b"".join(bytes.fromhex(record) for record in records)

    def replica(self, *flags):
        """Another server on the same ledger, with the same key."""
        folder = support.temporary_folder()
        (folder / "state").mkdir(mode=0o700)
        shutil.copy2(self.server.folder / "state" / "message-id.key", folder / "state")
        return self.start(*self.ledger, *flags, folder=folder)

    def test_replicas_send_once(self):
        other = self.replica()
        held = scripted.Held("250 2.0.0 OK")
        provider, request_id = self.provider(end=held), new_id()
        self.in_parallel([self.server, other], 20, held, request_id, provider)
        for server in (self.server, other):
            self.assertEqual(("SENT", 1), (self.state(request_id, server),
                                           self.known(request_id, server)["attempts"]))

    def test_killed_after_the_end_is_uncertain_when_its_time_is_over(self):
        provider, request_id = self.killed_after_the_end("--reply-wait", "1s")
        other = self.replica()
        support.until(lambda: self.execute(request_id, provider, server=other, deadline=3).code
                      == "DATA_LOSS", "uncertain")
        self.assertEqual("OWNER_GONE", self.known(request_id, other)["reason"])
        self.assertEqual(1, len(provider.messages))

    def test_killed_after_the_end_can_be_seen_and_resolved_without_another_call(self):
        provider, request_id = self.killed_after_the_end("--reply-wait", "1s")
        self.until_state("UNCERTAIN", request_id)
        self.resolve(request_id, "--sent")
        self.sends(request_id, provider, dedupe="DEDUPE_REPLAYED")
        self.assertEqual(1, len(provider.messages))


class FaultTest(LedgerTest):
    """Nothing is sent that cannot be recorded."""

    def setUp(self):
        self.sink = self.provider()

    def assert_unavailable(self, server, calls=1):
        """Sends are refused, nobody gets anything, and whoever watches knows."""
        running = [server.call_in_background("Execute", self.request(new_id(), self.sink), 20)
                   for _ in range(calls)]
        for call in running:
            call.join()
            self.assertEqual(("UNAVAILABLE", "LEDGER_UNAVAILABLE"),
                             (call.answer.code, call.answer.reason), call.answer.text)
            self.assertEqual(("PLUGIN", "true"), (call.answer.metadata["fault"],
                                                  call.answer.metadata["retryable"]))
        self.assertEqual([], self.sink.commands)
        support.until(lambda: server.get("/readyz")[0] == 503, "not ready")
        self.assertIn("ledger", server.get("/readyz")[1])
        self.assertEqual(200, server.get("/healthz")[0])
        support.until(lambda: server.health() == "NOT_SERVING", "not serving")

    def assert_well_again(self, server):
        support.until(lambda: server.get("/readyz")[0] == 200, "ready again")
        support.until(lambda: server.health() == "SERVING", "serving again")
        self.sends(new_id(), self.sink, server=server)
        self.assertEqual(1, len(self.sink.messages))


class SqliteFaults(FaultTest):
    def small_disk(self):
        folder = support.temporary_folder()
        mounted = support.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder])
        if mounted.code != 0:
            self.skipTest(f"a small disk cannot be mounted here: {mounted.err.strip()}")
        self.addCleanup(support.run, ["umount", folder])
        return folder

    def test_disk_is_full(self):
        folder = self.small_disk()
        (folder / "ledger").mkdir()
        server = self.start("--ledger", f"sqlite:{folder}/ledger/ledger.db")
        sent = new_id()
        self.sends(sent, self.provider(), server=server)
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        # What is left of the file's last page takes a few more.
        for _ in range(3):
            if self.execute(new_id(), self.provider(), server=server).code == "UNAVAILABLE":
                break
        self.assert_unavailable(server)
        (folder / "filler").unlink()
        self.assert_well_again(server)
        self.assertEqual("SENT", self.state(sent, server))

    def test_file_may_not_grow(self):
        server = self.start()
        size = max(path.stat().st_size for path in (server.folder / "state").glob("ledger.db*"))
        limited = support.run(["prlimit", "--pid", str(server.process.pid), f"--fsize={size}:"])
        self.assertEqual(0, limited.code, limited.err)
        for _ in range(3):
            if self.execute(new_id(), self.provider(), server=server).code == "UNAVAILABLE":
                break
        self.assert_unavailable(server)
        self.assertTrue(server.process.alive())

    def test_another_process_holds_the_file(self):
        server = self.start()
        with contextlib.closing(sqlite3.connect(server.folder / "state" / "ledger.db",
                                                isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            self.assert_unavailable(server, calls=10)
            other.execute("ROLLBACK")
        self.assert_well_again(server)

    def test_file_is_damaged(self):
        server = self.start()
        self.sends(new_id(), self.provider(), server=server)
        server.stop()
        file = server.folder / "state" / "ledger.db"
        size = file.stat().st_size
        with file.open("r+b") as damaged:
            damaged.seek(4096)
            damaged.write(b"\xff" * (size - 4096))
        code, detail = start_refused(folder=server.folder)
        self.assertEqual(1, code)
        self.assertIn("ledger.db", detail)


@unittest.skipIf(postgres.missing(), postgres.missing())
class PostgresFaults(FaultTest):
    @classmethod
    def setUpClass(cls):
        cls.postgres = postgres.Postgres()
        cls.addClassCleanup(cls.postgres.stop)
        cls.ledger = ("--ledger", cls.postgres.database())
        super().setUpClass()

    def test_database_is_stopped_and_started_again(self):
        sent = new_id()
        self.sends(sent, self.provider())
        self.postgres.stop()
        self.assert_unavailable(self.server, calls=10)
        answer = self.server.call("GetExecution", {"request_id": sent})
        self.assertEqual(("UNAVAILABLE", "LEDGER_UNAVAILABLE"), (answer.code, answer.reason))
        self.postgres.start()
        self.assert_well_again(self.server)
        self.assertEqual("SENT", self.state(sent))

    def test_database_is_gone_at_the_gate(self):
        held = scripted.Held("250 2.1.5 OK")
        provider, request_id = self.provider(RCPT=[held, "250 2.1.5 OK"]), new_id()
        call = self.server.call_in_background("Execute", self.request(request_id, provider))
        support.until(held.reached.is_set, "RCPT")
        self.postgres.crash()
        held.release()
        call.join()
        self.assertEqual(("UNAVAILABLE", "LEDGER_UNAVAILABLE"),
                         (call.answer.code, call.answer.reason), call.answer.text)
        self.assertEqual([], provider.messages)
        self.postgres.start()
        support.until(lambda: self.server.get("/readyz")[0] == 200, "ready again")
        # Nothing happens to the id until what became of the first try is recorded.
        support.until(lambda: self.execute(request_id, provider).ok, "the email")
        self.assertEqual(1, len(provider.messages))

    def test_database_is_gone_when_the_reply_comes(self):
        held = scripted.Held("250 2.0.0 OK")
        provider, request_id = self.provider(end=held), new_id()
        call = self.server.call_in_background("Execute", self.request(request_id, provider))
        support.until(held.reached.is_set, "the end of the message")
        self.postgres.crash()
        held.release()
        call.join()
        self.assertTrue(call.answer.ok, call.answer.text)
        self.postgres.start()
        self.until_state("SENT", request_id)
        self.sends(request_id, provider, dedupe="DEDUPE_REPLAYED")
        self.assertEqual(1, len(provider.messages))


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
