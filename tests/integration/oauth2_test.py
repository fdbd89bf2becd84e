#!/usr/bin/python3
"""Relays that fetch their own OAuth tokens, from an HTTPS endpoint of Python's own."""

import base64
import http.server
import json
import math
import ssl
import subprocess
import threading
import time
import unittest
import urllib.parse

import login_test
import runner
import scripted
import support

LOGIN = "ada@example.org"
EMAIL = {"to": [{"email": "bob@receiver.example"}], "subject": "Token", "text": "Hello"}


class Endpoint:
    """Gives a new token to each request, unless `answer(form)` says (status, body) instead."""

    def __init__(self, certificate):
        self.forms, self.tokens, self.life = [], [], 3600
        self.answer = None
        self.framing = "length"  # of answers: also "chunked", or "close"
        self.held = threading.Event()  # what is slow waits for it
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(body, strict_parsing=True))
                endpoint.forms.append(form)
                status, said, *location = (endpoint.answer or endpoint.token)(form)
                self.send_response(status)
                for where in location:
                    self.send_header("Location", where)
                said = said.encode()
                if endpoint.framing == "length":
                    self.send_header("Content-Length", str(len(said)))
                elif endpoint.framing == "endless":
                    self.send_header("Transfer-Encoding", "chunked")
                    said = b"1;" + b"x" * 100_000
                elif endpoint.framing == "chunked":
                    self.send_header("Transfer-Encoding", "chunked")
                    said = b"".join(b"%x\r\n%b\r\n" % (len(part), part)
                                    for part in (said[:9], said[9:], b""))
                self.end_headers()
                for part in (said[:1], said[1:]):
                    self.wfile.write(part)
                self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # the client has gone, as it shall here
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        # The handshake in the request's own thread: at the first read.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                  do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}/tenant/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def token(self, _form):
        self.tokens.append(support.watch.secret("token"))
        return 200, json.dumps({"access_token": self.tokens[-1], "token_type": "Bearer",
                                "expires_in": self.life})

    def slow(self, form):
        self.held.wait(60)
        return self.token(form)

    def stop(self):
        self.held.set()
        self._server.shutdown()
        self._server.server_close()


class TokenSession(login_test.OAuthSession):
    """Takes every token but those in `refused`."""

    def _on_auth(self, line):
        words = base64.b64decode(line.split(" ")[2]).decode()
        token = words.split("Bearer ")[1].rstrip("\x01")
        self._server.logins.append(token)
        self._server.token = "" if self._server.refuses(token) else token
        if self._server.token:
            return self._say("235 2.7.0 Accepted")
        self._say("334 e30=")
        self._line()
        return self._say("535 5.7.8 Token refused")


class OAuth2Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = support.Authority(support.temporary_folder())
        cls.secret = support.watch.secret("client-secret")

    def setUp(self):
        self.endpoint = Endpoint(self.authority.issue("endpoint"))
        self.addCleanup(self.endpoint.stop)
        self.smtp = scripted.ScriptedSmtp(self.authority, tls="starttls", session=TokenSession,
                                          offers=["AUTH XOAUTH2"])
        self.smtp.logins, self.smtp.refuses = [], lambda token: False
        self.addCleanup(self.smtp.stop)

    def relays(self, oauth2=None, **smtp):
        """A relays file of one relay."""
        oauth2 = {"token_url": self.endpoint.url, "scope": "https://mail.example/.default",
                  "ca_pem": self.authority.pem,
                  "client_credentials": {"client_id": "app-1",
                                         "client_secret": {"env": "APP_SECRET"}},
                  **(oauth2 or {})}
        oauth2 = {name: value for name, value in oauth2.items() if value is not None}
        relay = {"smtp": {"host": "127.0.0.1", "port": self.smtp.port, "tls": "TLS_MODE_STARTTLS",
                          "username": LOGIN, "domain": "client.example.org",
                          "ca_pem": self.authority.pem, **smtp}, "oauth2": oauth2}
        file = support.temporary_folder() / "relays.yaml"
        file.write_text(json.dumps({"default_relay": "company", "relays": {"company": relay}}))
        return file

    def start(self, oauth2=None, flags=()):
        self.server = support.Sendstepd("--relays-file", self.relays(oauth2), *flags,
                                        env={"APP_SECRET": self.secret})
        self.addCleanup(self.server.stop)

    def send(self, deadline=60):
        return self.server.execute({"email": EMAIL}, deadline)

    def assert_sent(self):
        answer = self.send()
        self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")

    def assert_not_fetched(self, reason, words, retryable, logged):
        answer = self.send()
        self.assertEqual(reason, answer.reason, answer.text)
        self.assertIn(words, answer.text)
        self.assertEqual("auth", answer.metadata["phase"])
        self.assertEqual(retryable, answer.metadata["retryable"])
        self.assertNotIn(self.endpoint.url.split("/")[2], json.dumps(answer.details) + answer.text)
        self.server.process.wait_line(f'"token_not_fetched".*{logged}', "stderr")
        self.assertEqual([], self.smtp.logins)

    def answers(self, status, body, *location):
        self.endpoint.answer = lambda form: (status, body, *location)
        self.start()


class Fetched(OAuth2Test):
    def test_one_token_serves_many_emails(self):
        self.start()
        self.assertEqual([], self.endpoint.forms)
        for _ in range(3):
            self.assert_sent()
        self.assertEqual([{"grant_type": "client_credentials", "client_id": "app-1",
                           "client_secret": self.secret,
                           "scope": "https://mail.example/.default"}], self.endpoint.forms)
        self.assertEqual(set(self.endpoint.tokens), set(self.smtp.logins))

    def test_one_fetch_serves_those_who_come_at_once(self):
        self.endpoint.answer = self.endpoint.slow
        self.start()
        calls = [self.server.call_in_background(
            "Execute", {"email": EMAIL, "request_id": f"at-once-{i}"}) for i in range(4)]
        support.until(lambda: self.endpoint.forms and self.server.in_flight() == 4, "four calls")
        self.endpoint.held.set()
        for call in calls:
            call.join()
            self.assertTrue(call.answer.ok, call.answer.text)
        self.assertEqual(1, len(self.endpoint.forms))

    def test_an_answer_ends_as_its_framing_says(self):
        self.start()
        self.endpoint.life = 1
        for framing in ("chunked", "close"):
            with self.subTest(framing):
                self.endpoint.framing = framing
                asked = len(self.endpoint.forms)
                support.until(lambda: self.send().ok and len(self.endpoint.forms) > asked, framing)

    def test_an_expired_token_is_replaced(self):
        self.endpoint.life = 1
        self.start()
        self.assert_sent()
        support.until(lambda: self.send().ok and len(self.endpoint.forms) > 1, "a second token")

    def test_a_service_account_signs_what_it_asks(self):
        key = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA"], capture_output=True,
                             check=True).stdout.decode()
        support.watch.secret("private-key", key.split("\n")[3])
        file = support.temporary_folder() / "key.json"
        file.write_text(json.dumps({"type": "service_account", "client_email": "robot@example.org",
                                    "private_key_id": "k1", "private_key": key,
                                    "token_uri": self.endpoint.url}))
        self.start({"token_url": None, "client_credentials": None,
                    "service_account": {"key": {"file": str(file)}, "subject": LOGIN}})
        self.assert_sent()
        form = self.endpoint.forms[0]
        self.assertEqual("urn:ietf:params:oauth:grant-type:jwt-bearer", form["grant_type"])
        claims = form["assertion"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
        self.assertEqual(3600, claims.pop("exp") - claims.pop("iat"))
        self.assertEqual({"iss": "robot@example.org", "sub": LOGIN, "aud": self.endpoint.url,
                          "scope": "https://mail.example/.default"}, claims)

    def test_validation_fetches_only_to_connect(self):
        self.start()
        answer = self.server.call("ValidateConfig", {})
        self.assertTrue(answer.message.get("valid"), answer)
        self.assertEqual([], self.endpoint.forms)
        answer = self.server.call("ValidateConfig", {"depth": "VALIDATE_DEPTH_CONNECT"})
        self.assertTrue(answer.message.get("valid"), answer)
        self.assertEqual(self.endpoint.tokens, self.smtp.logins)


class RefusedByTheMailServer(OAuth2Test):
    def test_a_refused_token_is_replaced_and_the_email_sent(self):
        self.smtp.refuses = lambda token: token == self.endpoint.tokens[0]
        self.start()
        answer = self.server.call("TestSend", {"email": EMAIL})
        self.assertTrue(answer.message.get("accepted"), answer)
        self.assertEqual(self.endpoint.tokens, self.smtp.logins)
        self.assertEqual(2, len(self.smtp.logins))
        self.assertEqual({"CHECK_STATUS_PASS"},
                         {check["status"] for check in answer.message["checks"]})

    def test_a_second_refusal_is_the_answer(self):
        self.smtp.refuses = lambda token: True
        self.start()
        answer = self.send()
        self.assertEqual("AUTH_REFUSED", answer.reason)
        self.assertEqual("false", answer.metadata["retryable"])
        self.assertEqual(2, len(self.endpoint.forms))
        self.send()  # no third token within the minute
        self.assertEqual(2, len(self.endpoint.forms))


class NotFetched(OAuth2Test):
    def test_a_revoked_grant_is_the_operators(self):
        self.answers(400, json.dumps({"error": "invalid_grant", "error_description": "tenant x"}))
        self.assert_not_fetched("AUTH_REFUSED", "could not be fetched: invalid_grant", "false",
                                "invalid_grant")

    def test_an_endpoint_in_trouble_is_not_hammered(self):
        self.answers(503, "busy")
        self.assert_not_fetched("AUTH_UNAVAILABLE", "HTTP status 503", "true", "503")
        began = time.monotonic()
        for _ in range(10):
            self.assertIn("503", self.send().text)
        # A failure stands for 1 s, then 2 s and so on.
        self.assertLessEqual(len(self.endpoint.forms), 2 + math.log2(
            1 + time.monotonic() - began))

    def test_what_is_no_json_is_no_token(self):
        self.answers(200, "<html>")
        self.assert_not_fetched("AUTH_UNAVAILABLE", "no JSON", "true", "no JSON")

    def test_a_huge_answer_is_not_read(self):
        self.answers(200, json.dumps({"access_token": "x" * 100_000}))
        self.assert_not_fetched("AUTH_UNAVAILABLE", "makes no sense", "true", "body limit")

    def test_an_endless_line_is_not_read(self):
        self.answers(200, "")
        self.endpoint.framing = "endless"
        self.assert_not_fetched("AUTH_UNAVAILABLE", "makes no sense", "true", "too long")

    def test_a_redirect_is_not_followed(self):
        self.answers(302, "", self.endpoint.url)
        self.assert_not_fetched("AUTH_REFUSED", "HTTP status 302", "false", "302")
        self.assertEqual(1, len(self.endpoint.forms))

    def test_a_certificate_that_is_not_trusted_gets_no_secret(self):
        other = support.Authority(support.temporary_folder())
        self.start({"ca_pem": other.pem})
        self.assert_not_fetched("CERTIFICATE_INVALID", "certificate", "false", "certificate")
        self.assertEqual([], self.endpoint.forms)

    def test_a_slow_endpoint_has_no_more_than_the_callers_time(self):
        self.endpoint.answer = self.endpoint.slow
        self.start()
        answer = self.send(deadline=2)
        self.assertEqual("AUTH_UNAVAILABLE", answer.reason, answer.text)
        self.assertIn("timeout", answer.text)
        self.endpoint.held.set()
        self.assert_sent()  # the fetch goes on without the call that began it
        self.assertEqual(1, len(self.endpoint.forms))

    def test_a_certificate_for_another_name_gets_no_secret(self):
        self.endpoint.stop()
        self.endpoint = Endpoint(self.authority.issue("other", "DNS:other.example"))
        self.addCleanup(self.endpoint.stop)
        self.start()
        self.assert_not_fetched("CERTIFICATE_INVALID", "certificate", "false", "certificate")
        self.assertEqual([], self.endpoint.forms)

    def test_an_expired_certificate_gets_no_secret(self):
        self.endpoint.stop()
        self.endpoint = Endpoint(self.authority.issue("expired", days=-1))
        self.addCleanup(self.endpoint.stop)
        self.start()
        self.assert_not_fetched("CERTIFICATE_INVALID", "certificate", "false", "certificate")
        self.assertEqual([], self.endpoint.forms)

    def test_a_stop_does_not_wait_for_the_endpoint(self):
        self.endpoint.answer = self.endpoint.slow
        self.start(flags=("--drain-timeout", "100ms"))
        calls = [self.server.call_in_background("Execute", {"email": EMAIL, "request_id": "stopped"}),
                 self.server.call_in_background("TestSend", {"email": EMAIL}),
                 self.server.call_in_background("ValidateConfig",
                                                {"depth": "VALIDATE_DEPTH_CONNECT"})]
        support.until(lambda: self.endpoint.forms, "the fetch")
        for method in ("Execute", "TestSend", "ValidateConfig"):
            support.until(lambda m=method: self.server.in_flight(m) == 1, f"{method} under way")
        began = time.monotonic()
        self.server.stop()
        self.assertLess(time.monotonic() - began, 5)
        for call in calls:
            call.join()
            self.assertEqual("UNAVAILABLE", call.answer.code)


class RelaysFile(OAuth2Test):
    def refused(self, words, oauth2=None, **smtp):
        ran = support.run([support.BUILD / "sendstepd", "--listen", "127.0.0.1:0", "--state-dir",
                           support.temporary_folder() / "state", "--relays-file",
                           self.relays(oauth2, **smtp)])
        self.assertNotEqual(0, ran.code)
        self.assertIn("company", ran.err)
        self.assertIn(words, ran.err)

    def test_what_cannot_work_is_named(self):
        self.refused("oauth2.token_url", {"token_url": "http://127.0.0.1/token"})
        self.refused("oauth2.token_url", {"token_url": None})
        self.refused("smtp.username", username="")
        self.refused("smtp.password", password={"value": support.watch.secret("password")})
        self.refused("smtp.oauth2_token", oauth2_token={"env": "TOKEN"})
        self.refused("oauth2.ca_pem", {"ca_pem": "nothing"})
        self.refused("client_id", {"client_credentials": {}})
        self.refused("oauth2", {"client_credentials": None})
        for key in ("no JSON", "{}", json.dumps({"client_email": "a", "private_key": "b"})):
            self.refused("oauth2.service_account.key", {
                "client_credentials": None,
                "service_account": {"key": {"value": key}, "subject": LOGIN}})


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
