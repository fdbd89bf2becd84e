#!/usr/bin/python3
"""The settings that users were told for years: every row works as it was written."""

import unittest

import runner
import support

# provider, server, username, domain. Port 587 and TLS on for all.
ROWS = [
    ("gmail-relay", "smtp-relay.gmail.com", "user@yourdomain.com", "yourdomain.com"),
    ("gmail", "smtp.gmail.com", "user@yourdomain.com", "yourdomain.com"),
    ("mandrill", "smtp.mandrillapp.com", "contact@yourdomain.com", "yourdomain.com"),
    ("mailgun", "smtp.mailgun.org", "smtpuser@yourdomain.com", "yourdomain.com"),
    ("sendgrid", "smtp.sendgrid.net", "apikey", "yourdomain.com"),
    ("ses", "email-smtp.eu-west-1.amazonaws.com", "AKIAIOSFODNN7EXAMPLE", "yourdomain.com"),
]
PROFILES = ["brevo", "custom", "elasticemail", "fastmail", "gmail", "gmail-relay", "icloud",
            "mailersend", "mailgun", "mailjet", "mandrill", "microsoft365", "postmark", "resend",
            "sandbox", "sendgrid", "ses", "smtp2go", "sparkpost", "yahoo", "zoho"]


class DocumentedSettings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.password = support.watch.secret("password")
        cls.server = support.Sendstepd()
        cls.addClassCleanup(cls.server.stop)

    def providers(self):
        ran = self.server.sendstep("providers", "--json")
        self.assertEqual(0, ran.code, ran.err)
        return {p["id"]: p for p in ran.json["providers"]}

    def test_all_profiles_are_listed(self):
        self.assertEqual(PROFILES, sorted(self.providers()))
        ran = self.server.sendstep("providers")
        self.assertEqual(0, ran.code, ran.err)
        for profile in PROFILES:
            self.assertRegex(ran.out, rf"(?m)^\s*{profile}\b")

    def test_every_row_comes_out_as_documented(self):
        told = self.server.sendstep("providers").out
        profiles = self.providers()
        for provider, host, username, domain in ROWS:
            with self.subTest(provider):
                profile = profiles[provider]
                listed = profile["host"]
                self.assertEqual(host, listed.replace("{region}", "eu-west-1"))
                self.assertEqual(587, profile["defaultPort"])
                self.assertIn({"port": 587, "tls": "TLS_MODE_STARTTLS"}, profile["ports"])
                self.assertIn(domain, profile["domainHelp"])
                self.assertIn(listed, told)
                if provider == "sendgrid":
                    self.assertEqual("apikey", profile["fixedUsername"])
                elif provider not in ("mandrill", "ses"):
                    self.assertIn("@yourdomain.com", profile["usernameExample"])

    def validate(self, *flags):
        ran = self.server.sendstep("validate", "--json", *flags,
                                   env={"STEP_PASSWORD": self.password})
        return ran

    def test_exactly_these_settings_are_valid_with_starttls_required(self):
        for provider, host, username, domain in ROWS:
            for server in (host, f"http://{host}/"):
                with self.subTest(server):
                    ran = self.validate("--host", server, "--port", "587", "--tls", "on",
                                        "--username", username, "--password-env", "STEP_PASSWORD",
                                        "--domain", domain)
                    self.assertEqual(0, ran.code, ran.err + ran.out)
                    answer = ran.json
                    errors = [d for d in answer.get("diagnostics", [])
                              if d["severity"] == "SEVERITY_ERROR"]
                    self.assertEqual([], errors)
                    self.assertTrue(answer["valid"])
                    effective = answer["effective"]
                    self.assertEqual(provider, effective["provider"])
                    self.assertEqual(host, effective["host"])
                    self.assertEqual(587, effective["port"])
                    self.assertEqual("TLS_MODE_STARTTLS", effective["tls"])
                    self.assertEqual(domain, effective["domain"])
                    self.assertNotIn(self.password, ran.out)

    def test_the_host_names_its_provider_in_a_warning(self):
        ran = self.validate("--host", "smtp.sendgrid.net", "--username", "apikey",
                            "--password-env", "STEP_PASSWORD")
        warnings = [d["message"] for d in ran.json["diagnostics"]]
        self.assertTrue(any("sendgrid" in w.lower() for w in warnings), warnings)

    def test_port_25_is_the_default_of_an_unknown_server(self):
        ran = self.validate("--host", "mail.yourdomain.com", "--tls", "on")
        self.assertEqual(25, ran.json["effective"]["port"])
        self.assertEqual("TLS_MODE_STARTTLS", ran.json["effective"]["tls"])

    def test_every_documented_port_is_taken(self):
        for port in ("25", "587", "110", "465", "2525"):
            with self.subTest(port):
                ran = self.validate("--host", "mail.yourdomain.com", "--port", port, "--tls", "on")
                self.assertEqual(0, ran.code, ran.err)
                form = "TLS_MODE_IMPLICIT" if port == "465" else "TLS_MODE_STARTTLS"
                self.assertEqual(form, ran.json["effective"]["tls"])


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
