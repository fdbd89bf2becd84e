#!/usr/bin/python3
"""Every mistake that people make with SMTP settings, made against a real or a scripted server: the
explanation names it, says whose it is and what to do. Each explanation is printed."""

import textwrap
import unittest

import runner
import scripted
import servers
import support

LOGIN = "ada@example.org"

GMAIL_BAD_CREDENTIALS = (
    "535-5.7.8 Username and Password not accepted. For more information, go to\n"
    "535 5.7.8  https://support.google.com/mail/?p=BadCredentials d2e1a72fcca58-7b - gsmtp")
GMAIL_APP_PASSWORD = (
    "534-5.7.9 Application-specific password required. For more information, go to\n"
    "534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor 5b1f17b18 - gsmtp")
MICROSOFT_SMTP_AUTH_OFF = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
    "Visit https://aka.ms/smtp_auth_disabled for more information. [AM0PR01CA0001.eurprd01]")
SENDGRID_FROM = (
    "550 The from address does not match a verified Sender Identity. Mail cannot be sent until "
    "this error is resolved.")
SES_NOT_VERIFIED = (
    "554 Message rejected: Email address is not verified. The following identities failed the "
    "check in region EU-WEST-1: ada@example.org")


class Telltales(unittest.TestCase):
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

    def smtp(self, port, tls="TLS_MODE_STARTTLS", **other):
        settings = {
            "host": "127.0.0.1", "port": port, "tls": tls, "username": LOGIN,
            "password": {"value": self.password}, "domain": "client.example.org",
            "caPem": self.authority.pem, **other,
        }
        return {key: value for key, value in settings.items() if value is not None}

    def real(self, service):
        if self.postfix is None:
            self.skipTest(servers.why_not_postfix())
        return self.postfix.ports[service]

    def script(self, **how):
        server = scripted.ScriptedSmtp(self.authority, **{"tls": "starttls", **how})
        self.addCleanup(server.stop)
        return server

    @staticmethod
    def letter(sender=LOGIN, to="bob@receiver.example", text="Hello"):
        return {"from": {"email": sender}, "to": [{"email": to}], "subject": "Test", "text": text}

    def telltale(self, smtp, reason, fault, stage, *words, code="FAILED_PRECONDITION",
                 retryable="FALSE", email=None, deadline=20):
        """TestSend explains it, and Execute answers with the same reason and fault."""
        request = {"config": {"smtp": smtp}, "email": email or self.letter()}
        test = self.server.call("TestSend", request, deadline)
        self.assertTrue(test.ok, f"{test.code} {test.text}")
        self.assertFalse(test.message.get("accepted", False))
        failure = test.message["failure"]
        self.explain(failure["message"], failure["whatToDo"])
        self.assertEqual(f"REASON_{reason}", failure["reason"])
        self.assertEqual(f"FAULT_{fault}", failure["fault"])
        self.assertEqual(f"STAGE_{stage}", failure["stage"])
        self.assertEqual(f"RETRYABLE_{retryable}", failure["retryable"])
        told = " ".join([test.message["verdict"], failure["message"], failure["whatToDo"],
                         *test.message.get("nextSteps", [])])
        for word in words:
            self.assertIn(word.lower(), told.lower())
        failed = [c["stage"] for c in test.message["checks"] if c["status"] == "CHECK_STATUS_FAIL"]
        self.assertEqual([f"STAGE_{stage}"], failed)

        answer = self.server.execute(request, deadline)
        self.assertEqual(code, answer.code)
        self.assertEqual(reason, answer.reason)
        self.assertEqual(fault, answer.metadata["fault"])
        self.assertEqual(retryable.lower(), answer.metadata["retryable"])
        self.assertEqual(stage.lower(), answer.metadata["phase"])
        self.assertEqual(retryable == "TRUE", answer.retry_after() is not None)
        return test.message

    def explain(self, *sentences):
        """Prints what a person would read."""
        name = self.id().rpartition(".")[2].removeprefix("test_").replace("_", " ")
        print(f"\n  {name}:")
        print(textwrap.fill(" ".join(s for s in sentences if s), 96, initial_indent="    ",
                            subsequent_indent="    "), flush=True)

    def diagnosed(self, smtp, reason, severity, field, *words):
        """A static check finds it, before any packet."""
        answer = self.server.call("ValidateConfig", {"config": {"smtp": smtp}})
        self.assertTrue(answer.ok, answer.text)
        found = [d for d in answer.message.get("diagnostics", [])
                 if d["reason"] == f"REASON_{reason}" and d["field"] == field]
        self.assertEqual(1, len(found), answer.message.get("diagnostics"))
        self.explain(found[0]["message"], found[0].get("hint", ""))
        self.assertEqual(f"SEVERITY_{severity}", found[0]["severity"])
        told = (found[0]["message"] + " " + found[0].get("hint", "")).lower()
        for word in words:
            self.assertIn(word.lower(), told)
        self.assertEqual(severity != "ERROR", answer.message.get("valid", False))

    # ----------------------------------------------------------------------------------- TLS form

    def test_implicit_tls_spoken_to_a_starttls_port(self):
        self.telltale(self.smtp(self.real("submission"), "TLS_MODE_IMPLICIT"),
                      "TLS_ON_PLAINTEXT_PORT", "CONFIG", "TLS", "STARTTLS")

    def test_starttls_spoken_to_port_465(self):
        self.real("smtps")
        if self.postfix.host_465 is None:
            self.skipTest("this user finds no loopback address with port 465 free")
        self.telltale(self.smtp(465, host=self.postfix.host_465),
                      "PLAINTEXT_ON_TLS_PORT", "CONFIG", "EHLO", "465", "wants implicit TLS",
                      "you chose STARTTLS", deadline=10)

    def test_plaintext_spoken_to_a_server_that_answers_with_tls(self):
        # An alert of TLS 1.2, as stunnel and others send it to whom they do not understand.
        server = self.script(tls="none", greeting=b"\x15\x03\x03\x00\x02\x02\x46")
        self.telltale(self.smtp(server.port),
                      "PLAINTEXT_ON_TLS_PORT", "CONFIG", "EHLO", "implicit TLS")

    def test_starttls_chosen_for_port_465(self):
        self.diagnosed({"host": "mail.example.org", "port": 465, "tls": "TLS_MODE_STARTTLS"},
                       "WARNING", "WARNING", "config.smtp.tls", "465", "implicit TLS", "STARTTLS")

    def test_starttls_not_offered(self):
        self.telltale(self.smtp(self.real("no_tls")),
                      "STARTTLS_NOT_OFFERED", "CONFIG", "TLS", "STARTTLS")

    def test_certificate_of_an_unknown_authority(self):
        self.telltale(self.smtp(self.real("submission"), caPem=None),
                      "CERTIFICATE_INVALID", "CONFIG", "TLS", "ca_pem")

    def test_certificate_for_another_name(self):
        server = self.script(certificate=self.authority.issue("other", "DNS:mail.other.example"))
        self.telltale(self.smtp(server.port),
                      "CERTIFICATE_INVALID", "CONFIG", "TLS", "127.0.0.1")
        self.assertNotIn("AUTH", server.verbs())

    def test_certificate_that_has_expired(self):
        server = self.script(certificate=self.authority.issue("old", days=-1))
        self.telltale(self.smtp(server.port), "CERTIFICATE_INVALID", "PROVIDER", "TLS", "expired")
        self.assertNotIn("AUTH", server.verbs())

    # ------------------------------------------------------------------------------ host and port

    def test_nobody_listens_on_the_port(self):
        self.telltale(self.smtp(servers.free_port()), "CONNECTION_REFUSED", "NETWORK", "TCP", "port",
                      code="UNAVAILABLE", retryable="TRUE")

    def test_host_that_does_not_exist(self):
        # No resolver is asked for names under .onion (RFC 7686 2), not even this machine's.
        self.telltale(self.smtp(587, host="smtp.nowhere.onion"),
                      "HOST_NOT_FOUND", "CONFIG", "DNS", "smtp.nowhere.onion")

    def test_pop3_answers_on_port_110(self):
        host = servers.host_with_free(110)
        if host is None:
            self.skipTest("this user finds no loopback address with port 110 free")
        self.script(tls="none", greeting="+OK POP3 server ready", address=(host, 110))
        self.telltale(self.smtp(110, host=host), "PROTOCOL_ERROR", "CONFIG", "EHLO",
                      "Port 110 is POP3's", "587")

    def test_another_protocol_answers_on_a_port_of_its_own(self):
        for greeting, protocol in (("+OK POP3 server ready", "POP3"), ("* OK IMAP4rev1", "IMAP"),
                                   ("SSH-2.0-server", "SSH"), ("HTTP/1.1 400 Bad", "HTTP")):
            with self.subTest(protocol):
                server = self.script(tls="none", greeting=greeting)
                self.telltale(self.smtp(server.port), "PROTOCOL_ERROR", "CONFIG", "EHLO",
                              f"it speaks {protocol}")

    def test_greeting_refuses_this_client(self):
        server = self.script(tls="none", greeting="550 5.7.1 Your address is on a block list")
        self.telltale(self.smtp(server.port), "GREETING_REFUSED", "PROVIDER", "EHLO",
                      "does not serve this client")

    def test_port_110_is_taken_with_a_warning(self):
        self.diagnosed({"host": "mail.example.org", "port": 110},
                       "WARNING", "WARNING", "config.smtp.port", "POP3")

    def test_host_of_another_provider(self):
        self.diagnosed({"provider": "gmail", "host": "smtp.sendgrid.net"},
                       "WRONG_HOST", "ERROR", "config.smtp.host", "sendgrid", "gmail")

    def test_host_of_another_region(self):
        self.diagnosed({"provider": "ses", "region": "eu-west-1",
                        "host": "email-smtp.us-east-1.amazonaws.com"},
                       "WRONG_HOST", "ERROR", "config.smtp.host", "us-east-1", "eu-west-1")

    # ------------------------------------------------------------------------------ EHLO and AUTH

    def test_ehlo_name_is_refused(self):
        self.telltale(
            self.smtp(self.real("strict_helo"), domain="refused.example", username=None,
                      password=None),
            "EHLO_REFUSED", "CONFIG", "EHLO", "domain", "refused.example")

    def test_wrong_password(self):
        wrong = support.watch.secret("wrong-password")
        self.telltale(self.smtp(self.real("submission"), password={"value": wrong}),
                      "AUTH_REFUSED", "CONFIG", "AUTH", "password")

    def test_saml_password_at_gmail(self):
        server = self.script(replies={"AUTH": GMAIL_BAD_CREDENTIALS})
        self.telltale(self.smtp(server.port, provider="gmail"),
                      "AUTH_REFUSED", "CONFIG", "AUTH", "SAML", "app password")

    def test_app_password_needed_at_gmail(self):
        server = self.script(replies={"AUTH": GMAIL_APP_PASSWORD})
        self.telltale(self.smtp(server.port, provider="gmail"),
                      "APP_PASSWORD_REQUIRED", "CONFIG", "AUTH", "app password")

    def test_smtp_auth_disabled_by_an_administrator(self):
        server = self.script(replies={"AUTH": MICROSOFT_SMTP_AUTH_OFF})
        self.telltale(self.smtp(server.port, provider="microsoft365"),
                      "AUTH_DISABLED", "PROVIDER", "AUTH", "administrator")

    def test_no_auth_is_offered(self):
        server = self.script(offers=("PIPELINING",))
        self.telltale(self.smtp(server.port), "AUTH_NOT_OFFERED", "CONFIG", "AUTH", "AUTH")

    def test_auth_is_required(self):
        self.telltale(self.smtp(self.real("submission"), username=None, password=None),
                      "AUTH_REQUIRED", "CONFIG", "RCPT_TO", "username", "password")

    def test_credentials_over_plaintext_are_refused_before_any_packet(self):
        self.diagnosed({"host": "mail.example.org", "port": 25, "tls": "TLS_MODE_OFF",
                        "username": LOGIN, "password": {"value": self.password}},
                       "PLAINTEXT_CREDENTIALS", "ERROR", "config.smtp.tls", "plaintext")

    # ---------------------------------------------------------------------- sender and recipients

    def test_from_is_not_the_login(self):
        self.telltale(self.smtp(self.real("submission")),
                      "FROM_NOT_ALLOWED", "CONFIG", "RCPT_TO", "From",
                      email=self.letter(sender="eve@example.org"))

    def test_from_is_no_verified_sender_at_sendgrid(self):
        server = self.script(replies={"MAIL": SENDGRID_FROM})
        self.telltale(self.smtp(server.port, provider="sendgrid", username="apikey"),
                      "FROM_NOT_ALLOWED", "CONFIG", "MAIL_FROM", "verif")

    def test_address_is_not_verified_at_ses(self):
        server = self.script(replies={".": SES_NOT_VERIFIED})
        self.telltale(self.smtp(server.port, provider="ses", region="eu-west-1",
                                username="AKIAIOSFODNN7EXAMPLE"),
                      "FROM_NOT_ALLOWED", "CONFIG", "DATA", "verif")

    def test_recipient_is_refused(self):
        server = self.script(replies={"RCPT": "550 5.1.1 No such user"})
        message = self.telltale(self.smtp(server.port), "RECIPIENTS_REFUSED", "CONFIG", "RCPT_TO",
                                "recipient")
        refused = message["failure"]["recipients"][0]
        self.assertEqual(("bob@receiver.example", "RECIPIENT_STATUS_REJECTED", "No such user"),
                         (refused["email"], refused["status"], refused["reply"]["text"]))

    def test_message_is_too_large(self):
        smtp = self.smtp(self.real("small"), username=None, password=None)
        email = self.letter(text="A long line of text.\n" * 10_000)
        before = self.postfix.log().count(": client=")
        self.telltale(smtp, "MESSAGE_TOO_LARGE", "CONFIG", "MAIL_FROM",
                      str(servers.Postfix.SMALL), code="INVALID_ARGUMENT", email=email)
        self.assertEqual(before, self.postfix.log().count(": client="))

    # ---------------------------------------------------------------------------------- transport

    def test_server_drops_the_connection_before_the_message(self):
        server = self.script(replies={"MAIL": scripted.CLOSE})
        self.telltale(self.smtp(server.port), "CONNECTION_LOST", "NETWORK", "MAIL_FROM",
                      code="UNAVAILABLE", retryable="TRUE")

    def test_server_drops_the_connection_after_the_message(self):
        server = self.script(replies={".": scripted.CLOSE})
        self.telltale(self.smtp(server.port), "DELIVERY_UNCERTAIN", "NETWORK", "DATA",
                      code="DATA_LOSS", retryable="UNCERTAIN")

    def test_server_says_nothing_after_the_message_until_the_deadline(self):
        reply = scripted.Held(scripted.CLOSE)
        server = self.script(replies={".": reply})
        self.addCleanup(reply.release)
        request = {"request_id": "silent-server", "config": {"smtp": self.smtp(server.port)},
                   "email": self.letter()}
        answer = self.server.execute(request, deadline=5)
        self.assertEqual(("ABORTED", "REQUEST_IN_PROGRESS"), (answer.code, answer.reason))
        self.assertEqual(("true", "config"),
                         tuple(answer.metadata[key] for key in ("retryable", "phase")))
        self.assertTrue(reply.reached.is_set())
        # The server closes without a word: now, and for each later call, it is uncertain.
        reply.release()
        answer = self.server.execute(request)
        self.assertEqual(("DATA_LOSS", "DELIVERY_UNCERTAIN"), (answer.code, answer.reason))
        self.explain(answer.text, answer.metadata["what_to_do"])
        self.assertEqual(("uncertain", "data"),
                         tuple(answer.metadata[key] for key in ("retryable", "phase")))

    def test_server_asks_to_come_back_later(self):
        server = self.script(greeting="421 4.3.2 Service shutting down")
        self.telltale(self.smtp(server.port), "SERVER_UNAVAILABLE", "PROVIDER", "EHLO",
                      code="UNAVAILABLE", retryable="TRUE")


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
