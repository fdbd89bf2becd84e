#!/usr/bin/python3
"""The command sendstep against a server with a sandbox: what it sends, says and exits with."""

import base64
import json
import unittest

import parse_back
import runner
import sample
import servers
import support


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.password = support.watch.secret("password")
        cls.server = support.Sendstepd("--sandbox")
        cls.addClassCleanup(cls.server.stop)
        cls.inbox = support.Maildir(cls.server.folder / "state" / "sandbox")

    def setUp(self):
        self.folder = support.temporary_folder()

    def sendstep(self, *args, code=0, **how):
        ran = self.server.sendstep(*args, **how)
        self.assertEqual(code, ran.code, ran.out + ran.err)
        return ran

    def send(self, to, *args, **how):
        return self.sendstep("send", "--provider", "sandbox", "--from", "ada@example.com",
                             "--to", to, "--text", "Hello", *args, **how)

    def test_exit_code_tells_the_outcome(self):
        for to, code in [("bob@example.org", 0), ("not-an-address", 3), ("reject@example.org", 4),
                         ("tempfail@example.org", 5), ("drop-after-data@example.org", 7)]:
            with self.subTest(to):
                self.send(to, code=code)
        self.send("bob@example.org", "--to", "reject@example.org", code=6)

    def test_what_to_do_is_said_on_stderr(self):
        ran = self.send("reject@example.org", code=4)
        self.assertEqual("", ran.out)
        for words in ("550 5.1.1", "RECIPIENTS_REFUSED", "Check the recipients", "try again"):
            self.assertIn(words, ran.err)

    def test_every_part_of_an_email_has_a_flag(self):
        pdf = self.folder / "Rechnung für Müller 🎉.pdf"
        pdf.write_bytes(sample.pdf()[:100_000])
        png = self.folder / "Löwe 🦁.png"
        png.write_bytes(sample.png())
        html = self.folder / "body.html"
        html.write_text(sample.HTML)
        ran = self.sendstep(
            "send", "--json", "--provider", "sandbox", "--from", "Ada Lövelace 🚀 <ada@example.org>",
            "--to", "Jürgen Müller <juergen@example.org>", "--to", "plain@example.org",
            "--cc", "copy@example.org", "--bcc", "hidden@example.org",
            "--reply-to", "answers@example.org", "--subject", "Grüße 🎉", "--text", "Guten Tag",
            "--html-file", html, "--attach", pdf, "--inline", f"logo@sendstep={png}",
            "--header", "X-Workflow: täglich", "--in-reply-to", "<first@example.org>")
        self.assertEqual(4, len(ran.json["recipients"]))
        expected = {
            "from": {"email": "ada@example.org", "name": "Ada Lövelace 🚀"},
            "to": [{"email": "juergen@example.org", "name": "Jürgen Müller"},
                   {"email": "plain@example.org"}],
            "cc": [{"email": "copy@example.org"}],
            "replyTo": [{"email": "answers@example.org"}],
            "subject": "Grüße 🎉", "text": "Guten Tag", "html": sample.HTML,
            "attachments": [
                {"filename": pdf.name, "contentType": "application/pdf",
                 "content": base64.b64encode(pdf.read_bytes()).decode()},
                {"filename": png.name, "contentType": "image/png", "contentId": "logo@sendstep",
                 "content": base64.b64encode(png.read_bytes()).decode()}],
            "headers": [{"name": "X-Workflow", "value": "täglich"}],
            "inReplyTo": "<first@example.org>",
        }
        raw = self.inbox.wait_for(ran.json["messageId"])
        self.assertEqual([], parse_back.compare(expected, raw))

    def test_a_step_file_is_the_whole_step(self):
        step = self.folder / "step.yaml"
        step.write_text("""\
request_id: from-a-file
config:
  smtp: {provider: sandbox, username: ada}
email:
  from: {email: ada@example.org, name: Ada}
  to: [{email: bob@example.org}]
  subject: From a file
  html: <p>Hello</p>
""")
        ran = self.sendstep("send", "--json", "--step", step, "--subject", "From a flag",
                            env={"SENDSTEP_PASSWORD": self.password})
        self.assertEqual("from-a-file", ran.json["requestId"])
        self.assertIn(b"Subject: From a flag", self.inbox.wait_for(ran.json["messageId"]))

    def test_passwords_come_from_a_variable_or_a_file_and_never_from_a_flag(self):
        secret = self.folder / "secret"
        secret.write_text(self.password + "\n")
        self.send("bob@example.org", "--username", "ada", "--password-file", secret)
        self.send("bob@example.org", "--username", "ada", "--password-env", "MINE",
                  env={"MINE": self.password})
        ran = self.send("bob@example.org", "--username", "ada", "--password", "x", code=2)
        self.assertIn("--password-env", ran.err)

    def test_a_test_send_shows_the_stages_and_what_to_do_next(self):
        ran = self.sendstep("test", "--provider", "sandbox", "--from", "ada@example.com", "--to",
                            "bob@example.org", "--username", "ada",
                            env={"SENDSTEP_PASSWORD": self.password})
        for stage in ("dns", "tcp", "tls", "ehlo", "auth", "mail_from", "rcpt_to", "data"):
            self.assertRegex(ran.out, rf"(?m)^\s*{stage}\s+ok\s+[\d.]+ m?s")
        self.assertIn("next steps", ran.out)

    def test_an_uncertain_test_send_names_the_message_id_to_look_for(self):
        ran = self.sendstep("test", "--provider", "sandbox", "--from", "ada@example.com",
                            "--to", "drop-after-data@example.org", code=7)
        self.assertRegex(ran.out, r"(?m)^  message id  <\S+@example\.com>$")

    def test_a_transcript_holds_the_dialog_without_the_password(self):
        ran = self.sendstep("test", "--json", "--provider", "sandbox", "--from", "ada@example.com",
                            "--to", "bob@example.org", "--username", "ada",
                            env={"SENDSTEP_PASSWORD": self.password})
        transcript = "\n".join(ran.json["transcript"])
        for words in ("C: EHLO", "C: STARTTLS", "C: AUTH", "C: MAIL FROM", "S: 250"):
            self.assertIn(words, transcript)

    def test_validate_names_the_nearest_provider(self):
        ran = self.sendstep("validate", "--provider", "gmial", code=3)
        self.assertIn('"gmail"', ran.out + ran.err)

    def test_providers_names_the_nearest(self):
        self.assertIn('"gmail"', self.sendstep("providers", "gmial", code=2).err)

    def test_inbox_lists_and_shows_what_was_sent(self):
        ran = self.send("bob@example.org", "--subject", "Für den Posteingang", "--json")
        listed = json.loads(self.sendstep("inbox", "list", "--json").out)
        mine = [m for m in listed if m["subject"] == "Für den Posteingang"]
        self.assertEqual(1, len(mine))
        self.assertIn("Für den Posteingang", self.sendstep("inbox", "list").out)
        shown = self.sendstep("inbox", "show", "--headers", mine[0]["id"]).out
        self.assertIn(f"Message-ID: {ran.json['messageId']}", shown)

    def test_no_server_is_said_plainly(self):
        address = f"127.0.0.1:{servers.free_port()}"
        ran = support.sendstep("describe", "--server", address)
        self.assertNotEqual(0, ran.code)
        self.assertIn(address, ran.err)


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
