#!/usr/bin/python3
"""One rich email through real servers, each time parsed back equal to what was asked for."""

import re
import unittest

import parse_back
import runner
import sample
import servers
import support

LOGIN = "ada@example.org"


class TheSameEmailArrivesEqual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = support.Authority(support.temporary_folder())
        cls.password = support.watch.secret("password")
        cls.server = support.Sendstepd("--sandbox")
        cls.addClassCleanup(cls.server.stop)
        cls.postfix = None
        if not servers.why_not_postfix():
            cls.postfix = servers.Postfix(cls.authority, {LOGIN: cls.password})
            cls.addClassCleanup(cls.postfix.stop)

    def smtp(self, port, tls):
        return {
            "host": "127.0.0.1", "port": port, "tls": tls, "username": LOGIN,
            "password": {"value": self.password}, "domain": "client.example.org",
            "caPem": self.authority.pem,
        }

    def send(self, config):
        answer = self.server.execute({"config": config, "email": sample.email()})
        self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")
        message = answer.message
        self.assertEqual("OUTCOME_SENT", message["outcome"])
        self.assertEqual(
            [(r, "RECIPIENT_STATUS_ACCEPTED") for r in sample.recipients()],
            [(r["email"], r["status"]) for r in message["recipients"]])
        self.assertGreater(int(message["sizeBytes"]), len(sample.pdf()))
        return message

    def assert_equal(self, raw):
        self.assertEqual([], parse_back.compare(sample.email(), raw))

    def through_postfix(self, service, tls):
        if self.postfix is None:
            self.skipTest(servers.why_not_postfix())
        message = self.send({"smtp": self.smtp(self.postfix.ports[service], tls)})
        self.assertTrue(message["tls"]["version"].startswith("TLSv1."))
        # Postfix names its queue file in the last reply.
        support.until(lambda: f"{message['providerMessageId']}: client=" in self.postfix.log(),
                      f"{message['providerMessageId']} in Postfix's log")
        copies = support.until(lambda: self.copies(message["messageId"]),
                               "a copy for each recipient")
        self.assert_equal(copies[sample.recipients()[0]])

    def copies(self, message_id):
        """Recipient -> the message it got, once all have got it."""
        found = {}
        for raw in self.postfix.maildir.messages():
            if message_id.encode() in raw:
                found[re.search(rb"^Delivered-To: (.*)$", raw, re.MULTILINE)[1].decode()] = raw
        return found if sorted(found) == sorted(sample.recipients()) else None

    def test_postfix_reports_the_delivery_to_who_asked_for_it(self):
        if self.postfix is None:
            self.skipTest(servers.why_not_postfix())
        email_fields = dict(sample.email(), dsn={
            "notify": ["NOTIFY_ON_SUCCESS"], "content": "RETURN_CONTENT_HEADERS",
            "envelopeId": "order 7+a"})
        answer = self.server.execute({
            "config": {"smtp": self.smtp(self.postfix.ports["submission"], "TLS_MODE_STARTTLS")},
            "email": email_fields})
        self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")
        report = support.until(self.report, "a report")
        self.assertIn(b"order 7+a", report)
        for recipient in sample.recipients():
            self.assertIn(f"rfc822; {recipient}".encode(), report)

    def report(self):
        for raw in self.postfix.maildir.messages():
            if b"Original-Envelope-Id" in raw and b"Action: delivered" in raw:
                return raw
        return None

    def test_through_postfix_submission_with_starttls(self):
        self.through_postfix("submission", "TLS_MODE_STARTTLS")

    def test_through_postfix_submissions_with_implicit_tls(self):
        self.through_postfix("smtps", "TLS_MODE_IMPLICIT")

    def test_through_aiosmtpd(self):
        aiosmtpd = servers.Aiosmtpd(self.authority, {LOGIN: self.password})
        self.addCleanup(aiosmtpd.stop)
        message = self.send({"smtp": self.smtp(aiosmtpd.port, "TLS_MODE_STARTTLS")})
        mail_from, rcpt_tos, raw = aiosmtpd.find(message["messageId"])
        self.assertEqual(LOGIN, mail_from)
        self.assertEqual(sample.recipients(), rcpt_tos)
        self.assertEqual(int(message["sizeBytes"]), len(raw))
        self.assertNotIn(sample.BCC.encode(), raw)
        self.assert_equal(raw)

    def test_through_the_sandbox(self):
        message = self.send({"smtp": {"provider": "sandbox"}})
        inbox = support.Maildir(self.server.folder / "state" / "sandbox")
        self.assert_equal(inbox.wait_for(message["messageId"]))


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
