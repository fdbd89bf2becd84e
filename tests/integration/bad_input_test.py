#!/usr/bin/python3
"""What is wrong with a request is said before anything is sent: INVALID_ARGUMENT, the field's path,
the reason; and nobody gets any mail."""

import copy
import unittest

import runner
import scripted
import support


def letter(**other):
    email = {"from": {"email": "ada@example.org"}, "to": [{"email": "bob@example.org"}],
             "subject": "Never sent", "text": "Never sent"}
    email.update(other)
    return {key: value for key, value in email.items() if value is not None}


BREAKS = {"CR": "\r", "LF": "\n", "CRLF": "\r\nBcc: eve@example.org", "NUL": "\0"}


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.password = support.watch.secret("password")
        cls.server = support.Sendstepd("--sandbox")
        cls.addClassCleanup(cls.server.stop)
        cls.listener = scripted.ScriptedSmtp()
        cls.addClassCleanup(cls.listener.stop)
        cls.inbox = support.Maildir(cls.server.folder / "state" / "sandbox")

    def smtp(self, **other):
        """Settings that would work, but for `other`."""
        settings = {"host": "127.0.0.1", "port": self.listener.port, "tls": "TLS_MODE_OFF",
                    "domain": "client.example.org", **other}
        return {"smtp": {key: value for key, value in settings.items() if value is not None}}

    def refused(self, request, field, reason, *words):
        request = {"config": {"smtp": {"provider": "sandbox"}}, "email": letter(), **request}
        answer = self.server.execute(copy.deepcopy(request))
        self.assertEqual("INVALID_ARGUMENT", answer.code, answer.text)
        found = [v for v in answer.violations
                 if v.get("field") == field and v.get("reason") == reason]
        self.assertTrue(found, f"no {reason} of {field} among {answer.violations}")
        for word in words:
            self.assertIn(word.lower(), found[0]["description"].lower())
        self.assertEqual("false", answer.metadata["retryable"])
        self.assertEqual([], self.inbox.messages())
        self.assertEqual([], self.listener.commands)

    def refused_email(self, email, field, reason, *words):
        with self.subTest(f"{field} {reason}"):
            self.refused({"email": email}, field, reason, *words)

    def refused_smtp(self, field, reason, *words, **smtp):
        with self.subTest(f"{field} {smtp}"):
            self.refused({"config": self.smtp(**smtp)}, f"config.smtp.{field}", reason,
                         *words)

    # ---------------------------------------------------------------------------------- the email

    def test_control_character_in_username_or_password(self):
        for bad in ("\t", "\v", "\x1b", "\x7f"):
            for field in ("username", "password"):
                login = {"username": "ada", "password": self.password}
                login[field] = f"{self.password}{bad}x"
                self.refused_smtp(field, "CONTROL_CHARACTER", allowPlaintextAuth=True,
                                  username=login["username"],
                                  password={"value": login["password"]})

    def test_recipient_is_missing(self):
        self.refused_email(letter(to=None), "email.to", "FIELD_REQUIRED")
        self.refused_email(letter(to=[{"name": "Bob"}]), "email.to[0].email", "FIELD_REQUIRED")

    def test_body_is_missing(self):
        self.refused_email(letter(text=None), "email.html", "FIELD_REQUIRED", "html", "text")

    def test_sender_is_missing(self):
        self.refused_email(letter(**{"from": None}), "email.from.email", "FIELD_REQUIRED")

    def test_address_is_malformed_and_the_part_is_named(self):
        for address, word in [
            ("bob", "@"), ("@example.org", "local part"), ("bob@", "domain"),
            ("bob@exa mple.org", "domain"), ("bob@example..org", "domain"),
            ("bob..bob@example.org", "local part"), ("bob@[300.1.1.1]", "address literal"),
            ("a" * 65 + "@example.org", "local part"), ("bob@-example.org", "domain"),
            ("Bob <bob@example.org>", ""), ("bob@example.org, eve@example.org", ""),
        ]:
            with self.subTest(address):
                self.refused({"email": letter(to=[{"email": address}])}, "email.to[0].email",
                             "ADDRESS_INVALID", word)
        self.refused_email(letter(**{"from": {"email": "ada"}}), "email.from.email",
                           "ADDRESS_INVALID")
        for name in ("cc", "bcc", "replyTo"):
            self.refused_email(letter(**{name: [{"email": "x"}]}),
                               f"email.{name.replace('replyTo', 'reply_to')}[0].email",
                               "ADDRESS_INVALID")
        self.refused_email(letter(envelopeSender="x"), "email.envelope_sender", "ADDRESS_INVALID")

    def test_line_break_or_nul_in_a_header_bound_field(self):
        bob = {"email": "bob@example.org"}
        for kind, text in BREAKS.items():
            bad = f"a{text}b"
            file = {"filename": "a.txt", "content": "eA=="}
            for email, field in [
                (letter(subject=bad), "email.subject"),
                (letter(**{"from": {"email": "ada@example.org", "name": bad}}), "email.from.name"),
                (letter(**{"from": {"email": f"ada{text}@example.org"}}), "email.from.email"),
                (letter(to=[{**bob, "name": bad}]), "email.to[0].name"),
                (letter(to=[{"email": f"bob@example.org{text}"}]), "email.to[0].email"),
                (letter(cc=[{**bob, "name": bad}]), "email.cc[0].name"),
                (letter(bcc=[{"email": f"bob{text}@example.org"}]), "email.bcc[0].email"),
                (letter(replyTo=[{**bob, "name": bad}]), "email.reply_to[0].name"),
                (letter(headers=[{"name": "X-A", "value": bad}]), "email.headers[0].value"),
                (letter(headers=[{"name": f"X-A{text}", "value": "v"}]), "email.headers[0].name"),
                (letter(inReplyTo=f"<a{text}@b.example>"), "email.in_reply_to"),
                (letter(references=[f"<a{text}@b.example>"]), "email.references[0]"),
                (letter(envelopeSender=f"a{text}@b.example"), "email.envelope_sender"),
                (letter(attachments=[{**file, "filename": bad}]), "email.attachments[0].filename"),
                (letter(attachments=[{**file, "contentType": f"text/plain{text}"}]),
                 "email.attachments[0].content_type"),
                (letter(attachments=[{**file, "contentId": bad}]),
                 "email.attachments[0].content_id"),
            ]:
                with self.subTest(f"{kind} in {field}"):
                    self.refused({"email": email}, field, "CONTROL_CHARACTER")

    def test_code_point_that_narrows_to_a_line_break_or_nul(self):
        for code_point in ("\u010a", "\u010d", "\u0100", "\u560a", "\U0001f60d"):
            for email, field in [
                (letter(to=[{"email": f"bob{code_point}rcpt@example.org"}]), "email.to[0].email"),
                (letter(headers=[{"name": f"X{code_point}Bcc", "value": "v"}]),
                 "email.headers[0].name"),
                (letter(inReplyTo=f"<a{code_point}@b.example>"), "email.in_reply_to"),
            ]:
                with self.subTest(f"U+{ord(code_point):04X} in {field}"):
                    self.refused({"email": email}, field, "CONTROL_CHARACTER")

    def test_header_name_is_reserved(self):
        for name in ("Subject", "bcc", "From", "To", "Date", "Message-ID", "MIME-Version",
                     "Content-Type", "Received", "Return-Path", "DKIM-Signature"):
            with self.subTest(name):
                self.refused({"email": letter(headers=[{"name": name, "value": "v"}])},
                             "email.headers[0].name", "HEADER_REFUSED")

    def test_header_name_is_malformed(self):
        for name in ("X A", "X:A", "Ümlaut", "X" * 200):
            with self.subTest(name):
                self.refused({"email": letter(headers=[{"name": name, "value": "v"}])},
                             "email.headers[0].name", "HEADER_REFUSED")
        self.refused_email(letter(headers=[{"value": "v"}]), "email.headers[0].name",
                           "FIELD_REQUIRED")

    def test_content_id_is_there_twice(self):
        part = {"filename": "a.png", "content": "eA==", "contentId": "logo"}
        self.refused_email(letter(attachments=[part, {**part, "contentId": "<logo>"}]),
                           "email.attachments[1].content_id", "CONTENT_ID_DUPLICATE")

    def test_more_recipients_than_the_limit_which_is_named(self):
        limit = self.server.call("Describe", {}).message["limits"]["maxRecipients"]
        many = [{"email": f"bob{i}@example.org"} for i in range(limit + 1)]
        self.refused_email(letter(to=many), "email.to", "LIMIT_EXCEEDED", str(limit))

    def test_more_bytes_than_the_limit_which_is_named(self):
        """Within what gRPC receives, but over the limit of one header line."""
        self.refused_email(letter(subject="x" * 10_000), "email.subject", "LIMIT_EXCEEDED", "8192")

    # ------------------------------------------------------------------------------- the settings

    def test_port_is_out_of_range(self):
        self.refused_smtp("port", "FIELD_INVALID", "1", "65535", port=0)
        self.refused_smtp("port", "FIELD_INVALID", "1", "65535", port=65536)

    def test_provider_is_unknown_and_the_nearest_is_suggested(self):
        self.refused_smtp("provider", "PROVIDER_UNKNOWN", "sendgrid", provider="sendgird")

    def test_server_url_has_a_path_a_query_or_a_wrong_scheme(self):
        for host, word in [("http://smtp.example.org/mail", "path"),
                           ("smtp.example.org?x=1", "query"),
                           ("ftp://smtp.example.org", "scheme"),
                           ("smtp://ada:secret@smtp.example.org", "credentials")]:
            self.refused_smtp("host", "HOST_INVALID", word, host=host)

    def test_tls_settings_contradict(self):
        self.refused_smtp("tls", "SETTINGS_CONTRADICT", host="smtps://mail.example.org", port=None,
                          tls="TLS_MODE_STARTTLS")

    def test_username_without_password_and_the_reverse(self):
        self.refused_smtp("password", "CREDENTIALS_INCOMPLETE", username="ada")
        self.refused_smtp("username", "CREDENTIALS_INCOMPLETE", password={"value": self.password})

    def test_password_and_token_exclude_each_other(self):
        self.refused_smtp("oauth2_token", "SETTINGS_CONTRADICT", username="ada",
                          password={"value": self.password}, oauth2Token={"value": self.password},
                          tls="TLS_MODE_STARTTLS")

    def test_caller_sends_a_secret_reference(self):
        for kind, name in (("env", "HOME"), ("file", "/etc/hostname")):
            self.refused_smtp(f"password.{kind}", "SECRET_REFERENCE_REFUSED", username="ada",
                              password={kind: name})
            self.refused_smtp(f"oauth2_token.{kind}", "SECRET_REFERENCE_REFUSED", username="ada",
                              oauth2Token={kind: name})

    # -------------------------------------------------------------------------------- all at once

    def test_every_fault_of_a_request_is_named_at_once(self):
        answer = self.server.execute({
            "config": self.smtp(port=0), "email": {"subject": "a\nb", "to": [{"email": "x"}]}})
        self.assertEqual("INVALID_ARGUMENT", answer.code)
        self.assertLessEqual(
            {"config.smtp.port", "email.subject", "email.to[0].email", "email.html"},
            set(answer.fields))

    def test_the_same_fault_is_a_diagnostic_of_validate_config(self):
        answer = self.server.call("ValidateConfig", {
            "config": {"smtp": {"provider": "sandbox"}}, "email": letter(subject="a\nb")})
        self.assertTrue(answer.ok)
        self.assertFalse(answer.message.get("valid", False))
        self.assertIn(("email.subject", "REASON_CONTROL_CHARACTER"),
                      [(d["field"], d["reason"]) for d in answer.message["diagnostics"]])


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
