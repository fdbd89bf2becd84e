#!/usr/bin/python3
"""The sandbox's recipients that behave badly on purpose, as an engine sees them through Execute."""

import email
import unittest

import runner
import support


class Sandbox(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.password = support.watch.secret("password")
        cls.server = support.Sendstepd("--sandbox")
        cls.addClassCleanup(cls.server.stop)
        cls.inbox = support.Maildir(cls.server.folder / "state" / "sandbox")

    def send(self, *to, request_id=None, deadline=30, username="ada"):
        request = {
            "config": {"smtp": {"provider": "sandbox", "username": username,
                                "password": {"value": self.password}}},
            "email": {"from": {"email": "ada@example.org"}, "to": [{"email": t} for t in to],
                      "subject": self.id(), "text": "Hello"},
        }
        if request_id:
            request["request_id"] = request_id
        return self.server.execute(request, deadline)

    def failed(self, answer, code, reason, fault, retryable):
        self.assertEqual(code, answer.code, answer.text)
        self.assertEqual(reason, answer.reason)
        self.assertEqual(retryable, answer.metadata["retryable"])
        self.assertEqual(fault, answer.metadata["fault"])
        self.assertTrue(answer.metadata["what_to_do"])
        self.assertEqual(retryable == "true", answer.retry_after() is not None)

    def test_reject(self):
        answer = self.send("reject@example.org")
        self.failed(answer, "FAILED_PRECONDITION", "RECIPIENTS_REFUSED", "CONFIG", "false")
        self.assertEqual("550", answer.metadata["smtp_code"])
        self.assertEqual("5.1.1", answer.metadata["enhanced_code"])
        self.assertEqual("rcpt_to", answer.metadata["phase"])

    def test_tempfail(self):
        answer = self.send("tempfail@example.org")
        self.failed(answer, "UNAVAILABLE", "SERVER_UNAVAILABLE", "PROVIDER", "true")
        self.assertEqual("451", answer.metadata["smtp_code"])

    def test_greylist_takes_the_second_attempt(self):
        first = self.send("greylist+once@example.org")
        self.failed(first, "UNAVAILABLE", "SERVER_UNAVAILABLE", "PROVIDER", "true")
        second = self.send("greylist+once@example.org")
        self.assertTrue(second.ok, second.text)
        self.assertEqual("OUTCOME_SENT", second.message["outcome"])

    def test_quota(self):
        answer = self.send("quota@example.org")
        self.failed(answer, "FAILED_PRECONDITION", "RECIPIENTS_REFUSED", "CONFIG", "false")
        self.assertEqual("552", answer.metadata["smtp_code"])

    def test_slow_is_waited_for(self):
        answer = self.send("slow@example.org")
        self.assertTrue(answer.ok, answer.text)
        self.assertEqual("OUTCOME_SENT", answer.message["outcome"])

    def test_drop_after_data_is_uncertain(self):
        answer = self.send("drop-after-data@example.org", request_id="uncertain-1")
        self.failed(answer, "DATA_LOSS", "DELIVERY_UNCERTAIN", "NETWORK", "uncertain")
        # It was kept: exactly the case nobody can know, and the Message-ID finds it.
        self.assertIsNotNone(self.inbox.find(answer.metadata["message_id"]))

    def test_uncertain_is_the_same_without_the_message(self):
        answer = self.send("uncertain@example.org", request_id="uncertain-2")
        self.failed(answer, "DATA_LOSS", "DELIVERY_UNCERTAIN", "NETWORK", "uncertain")
        self.assertIsNone(self.inbox.find(answer.metadata["message_id"]))

    def test_toolarge(self):
        answer = self.send("toolarge@example.org")
        self.failed(answer, "INVALID_ARGUMENT", "MESSAGE_TOO_LARGE", "CONFIG", "false")
        self.assertEqual("552", answer.metadata["smtp_code"])

    def test_disconnect(self):
        answer = self.send("disconnect@example.org")
        self.failed(answer, "UNAVAILABLE", "SERVER_UNAVAILABLE", "PROVIDER", "true")
        self.assertEqual("421", answer.metadata["smtp_code"])

    def test_authfail(self):
        answer = self.send("bob@example.org", username="authfail@example.org")
        self.failed(answer, "FAILED_PRECONDITION", "AUTH_REFUSED", "CONFIG", "false")
        self.assertEqual("535", answer.metadata["smtp_code"])

    def test_a_report_of_success_comes_to_who_asked_for_it(self):
        answer = self.server.execute({
            "config": {"smtp": {"provider": "sandbox"}},
            "email": {"from": {"email": "ada@example.org"}, "to": [{"email": "bob@example.org"}],
                      "cc": [{"email": "reject@example.org"}], "subject": self.id(), "text": "Hello",
                      "dsn": {"notify": ["NOTIFY_ON_SUCCESS"], "envelopeId": "order 7+a"}}})
        self.assertTrue(answer.ok, answer.text)
        reports = [message for message in map(email.message_from_bytes, self.inbox.messages())
                   if message["Auto-Submitted"] == "auto-replied"]
        self.assertEqual(["<>"], [report["Return-Path"] for report in reports])
        report = reports[0]
        self.assertEqual("<ada@example.org>", report["To"])
        self.assertEqual("multipart/report", report.get_content_type())
        envelope, recipient = report.get_payload(1).get_payload()
        self.assertEqual("order 7+a", envelope["Original-Envelope-Id"])
        self.assertEqual(("rfc822; bob@example.org", "delivered", "2.0.0"),
                         (recipient["Final-Recipient"], recipient["Action"], recipient["Status"]))

    def test_some_recipients_refused_for_good_is_partially_sent(self):
        answer = self.send("reject@example.org", "bob@example.org")
        self.assertTrue(answer.ok, answer.text)
        self.assertEqual("OUTCOME_PARTIALLY_SENT", answer.message["outcome"])
        self.assertEqual(
            [("reject@example.org", "RECIPIENT_STATUS_REJECTED"),
             ("bob@example.org", "RECIPIENT_STATUS_ACCEPTED")],
            [(r["email"], r["status"]) for r in answer.message["recipients"]])

    def test_a_recipient_refused_for_now_is_tried_alone_by_the_next_call(self):
        to = ("reject@example.org", "bob@example.org", "greylist@example.com")
        first = self.send(*to, request_id="pending-1")
        self.assertEqual(("UNAVAILABLE", "RECIPIENTS_PENDING"), (first.code, first.reason))
        self.assertIn("bob@example.org: 250", first.metadata["recipients"])
        self.assertIn("greylist@example.com: 450", first.metadata["recipients"])
        second = self.send(*to, request_id="pending-1")
        self.assertTrue(second.ok, second.text)
        self.assertEqual("OUTCOME_PARTIALLY_SENT", second.message["outcome"])
        self.assertEqual(
            ["RECIPIENT_STATUS_REJECTED", "RECIPIENT_STATUS_ACCEPTED",
             "RECIPIENT_STATUS_ACCEPTED"],
            [r["status"] for r in second.message["recipients"]])

    def test_the_same_request_id_makes_the_same_message_id(self):
        first = self.send("bob@example.org", request_id="same-1")
        second = self.send("bob@example.org", request_id="same-1")
        other = self.send("bob@example.org", request_id="same-2")
        self.assertEqual("same-1", first.message["requestId"])
        self.assertEqual(first.message["messageId"], second.message["messageId"])
        self.assertNotEqual(first.message["messageId"], other.message["messageId"])
        self.assertTrue(first.message["messageId"].endswith("@example.org>"))

    def test_describe_lists_every_behaviour(self):
        sandbox = self.server.call("Describe", {}).message["sandbox"]
        self.assertEqual({"reject", "tempfail", "greylist", "quota", "slow", "drop-after-data",
                          "uncertain", "toolarge", "disconnect", "authfail"},
                         {b["localPart"] for b in sandbox["behaviors"]})
        self.assertEqual(str(self.inbox.path), sandbox["maildir"])

    def test_without_sandbox_it_is_refused(self):
        server = support.Sendstepd()
        self.addCleanup(server.stop)
        answer = server.execute({
            "config": {"smtp": {"provider": "sandbox"}},
            "email": {"from": {"email": "ada@example.org"}, "to": [{"email": "bob@example.org"}],
                      "text": "Hello"}})
        self.assertEqual("FAILED_PRECONDITION", answer.code)
        self.assertEqual("SANDBOX_OFF", answer.reason)


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
