#!/usr/bin/python3
"""A mail domain in place of a host: its SRV records, of a real DNS server, lead to a real mail
server, or to one that is not to be trusted."""

import json
import socket
import unittest

import nsd
import runner
import servers
import support

LOGIN = "ada@example.test"
EMAIL = {"from": {"email": LOGIN}, "to": [{"email": "bob@receiver.example"}], "text": "Hello"}


class Discovery(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if why := servers.why_not_postfix() or nsd.why_not():
            raise unittest.SkipTest(why)
        cls.authority = support.Authority(support.temporary_folder())
        cls.password = support.watch.secret("password")
        cls.postfix = servers.Postfix(
            cls.authority, {LOGIN: cls.password},
            names="DNS:mail.example.test,DNS:mx.hoster.test,DNS:confirmed.test")
        cls.addClassCleanup(cls.postfix.stop)
        smtps, submission = (cls.postfix.ports[name] for name in ("smtps", "submission"))
        both = (f"_submissions._tcp SRV 0 0 {smtps} {{0}}\n"
                f"_submission._tcp SRV 0 0 {submission} {{0}}\n")
        cls.nsd = nsd.Nsd({
            "example.test": "mail A 127.0.0.1\n" + both.format("mail"),
            "starttls.test": f"_submissions._tcp SRV 0 0 0 .\n"
                             f"_submission._tcp SRV 0 0 {submission} mail.example.test.\n",
            "confirmed.test": both.format("mail.example.test."),
            "hoster.test": "mx A 127.0.0.1\n",
            "elsewhere.test": both.format("mx.hoster.test."),
            "priorities.test": f"_submissions._tcp SRV 20 0 {submission} nowhere\n"
                               f"_submissions._tcp SRV 10 0 {smtps} nowhere.example.test.\n",
            "off.test": "_submissions._tcp SRV 0 0 0 .\n_submission._tcp SRV 0 0 0 .\n",
            "none.test": "",
        })
        cls.addClassCleanup(cls.nsd.stop)
        cls.server = support.Sendstepd("--dns-server", cls.nsd.address)
        cls.addClassCleanup(cls.server.stop)

    def config(self, domain, **other):
        return {"smtp": {"discoverDomain": domain, "username": LOGIN, "caPem": self.authority.pem,
                         "password": {"value": self.password}, "domain": "client.example.org",
                         **other}}

    def try_out(self, domain, **other):
        answer = self.server.call("TestSend", {"config": self.config(domain, **other),
                                               "email": {**EMAIL, "subject": "Tried"}})
        self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")
        return answer.message

    def assert_fails(self, message, reason, *words):
        self.assertFalse(message.get("accepted"))
        failure = message["failure"]
        self.assertEqual(reason, failure["reason"])
        for word in words:
            self.assertIn(word, json.dumps(failure))
        return failure

    def test_execute_sends_through_the_server_that_is_found(self):
        answer = self.server.execute({"config": self.config("example.test"), "request_id": "found",
                                      "email": {**EMAIL, "subject": "Found by Execute"}})
        self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")
        self.postfix.maildir.wait_for("Found by Execute")

    def test_an_email_that_was_sent_is_not_sent_again_where_dns_fails_later(self):
        email = {**EMAIL, "subject": "Sent before DNS failed"}
        for domain, dedupe in (("example.test", "DEDUPE_FIRST"),
                               ("refused.example", "DEDUPE_REPLAYED")):
            answer = self.server.execute({"config": self.config(domain), "request_id": "again",
                                          "email": email})
            self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")
            self.assertEqual(dedupe, answer.message.get("dedupe"))

    def test_validate_shows_host_port_and_form(self):
        answer = self.server.call("ValidateConfig", {"config": self.config("Example.TEST"),
                                                     "depth": "VALIDATE_DEPTH_CONNECT"})
        self.assertTrue(answer.message.get("valid"), answer.text)
        effective = answer.message["effective"]
        self.assertEqual("mail.example.test", effective["host"])
        self.assertEqual(self.postfix.ports["smtps"], effective["port"])
        self.assertEqual("TLS_MODE_IMPLICIT", effective["tls"])
        self.assertEqual("example.test", effective["discoverDomain"])

    def test_without_network_nothing_is_asked(self):
        answer = self.server.call("ValidateConfig", {"config": self.config("none.test")})
        self.assertTrue(answer.message.get("valid"), answer.text)
        self.assertNotIn("port", answer.message["effective"])

    def test_the_form_of_tls_that_is_named_is_the_one_asked_for(self):
        answer = self.server.call("ValidateConfig", {
            "config": self.config("example.test", tls="TLS_MODE_STARTTLS"),
            "depth": "VALIDATE_DEPTH_CONNECT"})
        self.assertTrue(answer.message.get("valid"), answer.text)
        self.assertEqual(self.postfix.ports["submission"], answer.message["effective"]["port"])

    def test_a_certificate_for_the_domain_confirms_a_server_elsewhere(self):
        message = self.try_out("confirmed.test")
        self.assertTrue(message.get("accepted"), message.get("verdict"))
        self.assertIn("mail.example.test", message["verdict"])

    def test_a_server_elsewhere_is_not_trusted_for_dns_alone(self):
        message = self.try_out("elsewhere.test")
        port = self.postfix.ports["smtps"]
        self.assert_fails(message, "REASON_CERTIFICATE_INVALID",
                          f"mx.hoster.test:{port}", "not elsewhere.test",
                          f"write mx.hoster.test into host and {port} into port")
        self.assertNotIn("AUTH", json.dumps(message.get("transcript", [])))

    def test_advice_about_the_server_elsewhere_works(self):
        config = {"smtp": {**self.config("")["smtp"], "host": "mx.hoster.test",
                           "port": self.postfix.ports["submission"]}}
        answer = self.server.call("TestSend", {"config": config, "email": EMAIL})
        self.assertTrue(answer.message.get("accepted"), answer.text)

    def test_a_service_that_is_not_offered_leaves_the_other(self):
        # Its server lies elsewhere, which the certificate says: the way there is what counts.
        message = self.try_out("starttls.test")
        self.assert_fails(message, "REASON_CERTIFICATE_INVALID",
                          f"mail.example.test:{self.postfix.ports['submission']}")

    def test_the_lowest_priority_comes_first(self):
        self.assert_fails(self.try_out("priorities.test"), "REASON_HOST_NOT_FOUND",
                          "nowhere.example.test, which the SRV records of priorities.test name")

    def test_no_records_say_what_was_asked(self):
        message = self.try_out("none.test")
        failure = self.assert_fails(message, "REASON_HOST_NOT_FOUND",
                                    "_submissions._tcp.none.test", "_submission._tcp.none.test",
                                    "there are none", "into host")
        self.assertEqual("FAULT_CONFIG", failure["fault"])
        self.assertEqual("STAGE_DNS", failure["stage"])
        self.assert_fails(self.try_out("off.test"), "REASON_HOST_NOT_FOUND",
                          "the domain offers no mail submission")
        answer = self.server.execute({"config": self.config("none.test"), "request_id": "none",
                                      "email": EMAIL})
        self.assertFalse(answer.ok)
        self.assertEqual("HOST_NOT_FOUND", answer.reason)

    def test_a_dns_failure_may_pass(self):
        answer = self.server.execute({"config": self.config("refused.example"),
                                      "request_id": "refused", "email": EMAIL})
        self.assertEqual("UNAVAILABLE", answer.code)
        self.assertEqual("DNS_FAILED", answer.reason)
        self.assertIn("REFUSED", answer.text)

    def test_settings_that_contradict_are_named(self):
        answer = self.server.call("TestSend", {
            "config": self.config("example.test", host="mail.example.test", tls="TLS_MODE_OFF"),
            "email": EMAIL})
        self.assertEqual("INVALID_ARGUMENT", answer.code)
        for field in ("host", "discover_domain", "tls"):
            self.assertIn(f"config.smtp.{field}", answer.fields)

    def test_the_command_line_takes_a_domain(self):
        ran = self.server.sendstep("validate", "--discover", "none.test", "--depth", "connect", "--username",
                                   LOGIN, "--domain", "client.example.org",
                                   env={"SENDSTEP_PASSWORD": self.password})
        self.assertNotEqual(0, ran.code)
        self.assertIn("_submissions._tcp.none.test", ran.out + ran.err)


class DnsServers(unittest.TestCase):
    def test_a_silent_dns_server_ends_at_the_callers_deadline(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            server = support.Sendstepd("--dns-server", f"127.0.0.1:{silent.getsockname()[1]}")
            self.addCleanup(server.stop)
            answer = server.execute({"config": {"smtp": {"discoverDomain": "example.test"}},
                                     "email": EMAIL}, deadline=2)
        self.assertEqual("UNAVAILABLE", answer.code)
        self.assertEqual("TIMEOUT", answer.reason)
        self.assertEqual("dns", answer.metadata.get("phase"))

    def test_a_list_that_cannot_be_read_is_quoted_at_the_start(self):
        ran = support.run([support.BUILD / "sendstepd", "--dns-server", "127.0.0.1:x"])
        self.assertEqual(2, ran.code)
        self.assertIn('"127.0.0.1:x" is not a DNS server', ran.err)


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
