#!/usr/bin/python3
"""Every form of message through every server, each parsed back equal; prints the table."""

import base64
import hashlib
import os
import random
import re
import unittest

import parse_back
import runner
import sample
import servers
import support

PARSERS = support.SOURCE / "tests/integration/parsers"
LOGIN = "ada@example.org"
TO = "bob@receiver.example"
UTF8 = "jürgen@receiver.example"


def attachment(filename, content_type, content, **other):
    return {"filename": filename, "contentType": content_type,
            "content": base64.b64encode(content).decode(), **other}


LETTER = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: Within\r\n\r\nHello\r\n"
# Each is an Email but for the sender and, where it names none, the recipient.
FORMS = {
    "text": {"text": "Hello\nBob\n"},
    "html only": {"html": "<p>Hello <b>Bob</b></p>"},
    "html and text": {"html": "<p>Grüße</p>", "text": "Grüße"},
    "non-ASCII": {"subject": "Grüße 👋 an alle, die diesen langen Betreff bis zum Ende lesen – danke",
                  "to": [{"email": TO, "name": "Jürgen Müller, Köln 🚀"}], "text": "Hello"},
    "attachment": {"text": "Hello", "attachments": [
        attachment("Rechnung für Löwe 🦁.bin", "application/octet-stream", bytes(range(256)) * 40)]},
    "inline image": {"html": '<img src="cid:logo@sendstep">Hello', "attachments": [
        attachment("logo.png", "image/png", sample.png(), contentId="logo@sendstep")]},
    "many": {"text": "Hello",
             "to": [{"email": f"to{i}@receiver.example"} for i in range(8)],
             "cc": [{"email": f"cc{i}@receiver.example"} for i in range(4)],
             "bcc": [{"email": f"bcc{i}@receiver.example"} for i in range(4)]},
    "headers": {"text": "Hello", "priority": "PRIORITY_HIGH",
                "headers": [{"name": "X-Workflow", "value": "täglich"}],
                "sender": {"email": "ada+assistant@example.org", "name": "Für Ada"},
                "unsubscribe": {"url": "https://example.org/leave?list=1", "oneClick": True,
                                "email": "leave@example.org"}},
    "message/rfc822": {"text": "Hello",
                       "attachments": [attachment("letter.eml", "message/rfc822", LETTER)]},
    "long lines, dots": {"text": ".\n..\n.dot\n\n" + "x" * 5000 + "\n" + ". " * 1500 + "\n.\nend"},
    "calendar": {"text": "Hello", "calendar": sample.CALENDAR},
    "SMTPUTF8": {"to": [{"email": UTF8}], "text": "Hello"},
    "1 MB html": {"html": "<p>" + "".join(
        f"{random.Random(i).randbytes(30).hex()} grün\n" for i in range(15_000)) + "</p>",
        "text": "Hello"},
}


class EveryFormThroughEveryServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for why in (servers.why_not_postfix(), servers.why_not_exim(), servers.why_not_opensmtpd()):
            if why:
                raise unittest.SkipTest(why)
        cls.authority = support.Authority(support.temporary_folder())
        cls.password = support.watch.secret("password")
        users = {LOGIN: cls.password}
        cls.server = support.Sendstepd("--sandbox")
        cls.addClassCleanup(cls.server.stop)
        cls.cells = {}

        def start(make, *arguments):
            server = make(*arguments)
            cls.addClassCleanup(server.stop)
            return server

        cls.postfix = start(servers.Postfix, cls.authority, users)
        cls.exim = start(servers.Exim, cls.authority, users)
        cls.opensmtpd = start(servers.OpenSmtpd)
        next_hop = cls.postfix.ports["open"]
        cls.dovecot = start(servers.DovecotSubmission, cls.authority, users, next_hop)
        cls.haraka = start(servers.Haraka, cls.authority, users, next_hop)

    @classmethod
    def tearDownClass(cls):
        columns = list(cls.cells)
        rows = [["", *columns]] + [
            [form, *(cls.cells[column].get(form, "FAILED") for column in columns)] for form in FORMS]
        widths = [max(map(len, column)) for column in zip(*rows)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())

    def smtp(self, port, tls):
        return {"host": "127.0.0.1", "port": port, "tls": tls, "username": LOGIN,
                "password": {"value": self.password}, "domain": "client.example.org",
                "caPem": self.authority.pem}

    def every_form(self, column, smtp, maildir, takes_utf8):
        """Sends all, then compares all with what `maildir` got."""
        cells = self.cells.setdefault(column, {})
        sent = {}
        for form, fields in FORMS.items():
            email = {"from": {"email": LOGIN}, "to": [{"email": TO}], "subject": form, **fields}
            answer = self.server.execute({"config": {"smtp": smtp}, "email": email})
            if form == "SMTPUTF8" and not takes_utf8:
                with self.subTest(form):
                    self.assertEqual("SMTPUTF8_NOT_OFFERED", answer.reason, answer.text)
                    self.assertEqual("CONFIG", answer.metadata.get("fault"))
                    self.assertIn("does not offer SMTPUTF8", answer.text)
                    cells[form] = f"refused: {answer.reason}"
                continue
            with self.subTest(form):
                self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")
                self.assertEqual("OUTCOME_SENT", answer.message["outcome"])
                sent[form] = email, answer.message["messageId"]
        for form, (email, message_id) in sent.items():
            with self.subTest(form):
                recipients = sorted(a["email"] for field in ("to", "cc", "bcc")
                                    for a in email.get(field, []))
                copies = support.until(lambda: self.arrived(maildir, message_id, recipients),
                                       f"{form} for {recipients}")
                for raw in copies:
                    self.assertEqual([], parse_back.compare(email, raw))
                cells[form] = "equal"

    @staticmethod
    def arrived(maildir, message_id, recipients):
        """The copies, once each recipient has exactly one; the sandbox's one copy names all."""
        copies = [raw for raw in maildir.messages() if message_id.encode() in raw]
        got = [address.strip("<>") for raw in copies for address in re.search(
            r"^(?:Delivered-To|Envelope-to|X-Envelope-To): (.*(?:\n[ \t].*)*)$", raw.decode(),
            re.MULTILINE)[1].replace(",", " ").split()]
        return copies if sorted(got) == recipients else None

    def test_postfix(self):
        self.every_form("Postfix", self.smtp(self.postfix.ports["submission"], "TLS_MODE_STARTTLS"),
                        self.postfix.maildir, takes_utf8=True)

    def test_exim(self):
        self.every_form("Exim", self.smtp(self.exim.ports["smtps"], "TLS_MODE_IMPLICIT"),
                        self.exim.maildir, takes_utf8=True)

    def test_opensmtpd(self):
        smtp = {"host": "127.0.0.1", "port": self.opensmtpd.ports["no_tls"], "tls": "TLS_MODE_OFF"}
        self.every_form("OpenSMTPD", smtp, self.opensmtpd.maildir, takes_utf8=False)

    def test_dovecot_submission(self):
        """Delivered by Postfix, the next hop."""
        self.every_form("Dovecot", self.smtp(self.dovecot.ports["submission"], "TLS_MODE_STARTTLS"),
                        self.postfix.maildir, takes_utf8=False)

    def test_haraka(self):
        """Delivered by Postfix, the next hop."""
        self.every_form("Haraka", self.smtp(self.haraka.ports["smtps"], "TLS_MODE_IMPLICIT"),
                        self.postfix.maildir, takes_utf8=True)

    def test_sandbox(self):
        self.every_form("sandbox", {"provider": "sandbox"},
                        support.Maildir(self.server.folder / "state" / "sandbox"), takes_utf8=True)


class EveryFormByOtherParsers(unittest.TestCase):
    """What npm's mailparser and Go's net/mail and mime make of each form."""

    @classmethod
    def setUpClass(cls):
        cls.server = support.Sendstepd("--sandbox")
        cls.addClassCleanup(cls.server.stop)
        cls.inbox = support.Maildir(cls.server.folder / "state" / "sandbox")
        cls.raw = {}
        for form, fields in FORMS.items():
            email = {"from": {"email": LOGIN, "name": "Ada Löve, Lace"}, "to": [{"email": TO}],
                     "subject": form, **fields}
            answer = cls.server.execute({"config": {"smtp": {"provider": "sandbox"}},
                                         "email": email})
            assert answer.ok, answer.text
            cls.raw[form] = email, cls.inbox.wait_for(answer.message["messageId"])

    def every_form(self, command):
        for form, (email, raw) in self.raw.items():
            with self.subTest(form):
                ran = support.run(command, stdin=raw)
                self.assertEqual(0, ran.code, ran.err)
                self.compare(email, ran.json)

    def compare(self, email, got):
        self.assertEqual(email["subject"], got["subject"])
        self.assertEqual([["Ada Löve, Lace", LOGIN]], got["from"])
        for field in ("to", "cc"):
            self.assertEqual([[box.get("name", ""), box["email"]] for box in email.get(field, [])],
                             got[field])
        for field in ("text", "html"):
            if field in email:
                self.assertEqual(self.lines(email[field]), self.lines(got[field]))
        if "text" not in email:
            self.assertIn("Hello", got["text"])
        files = [(file["contentType"], file["filename"],
                  hashlib.sha256(base64.b64decode(file["content"])).hexdigest())
                 for file in email.get("attachments", [])]
        if "calendar" in email:
            files.append(("application/ics", "invite.ics",
                          hashlib.sha256(email["calendar"].encode()).hexdigest()))
        self.assertEqual(files, [(file["type"], file["name"], file["sha256"])
                                 for file in got["files"] if file["type"] != "text/calendar"])

    @staticmethod
    def lines(text):
        return text.replace("\r\n", "\n").removesuffix("\n")

    def test_mailparser(self):
        self.every_form(["node", PARSERS / "mailparser.cjs",
                         support.TOOLS / "mailparser/node_modules/mailparser"])

    def test_go(self):
        program = support.temporary_folder() / "netmail"
        built = support.run(["go", "build", "-o", program, PARSERS / "netmail.go"],
                            env={"HOME": os.environ.get("HOME", "/root"), "GOFLAGS": "-mod=mod"})
        self.assertEqual(0, built.code, built.err)
        self.every_form([program])


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
