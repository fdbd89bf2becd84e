#!/usr/bin/python3
"""Every way to log in: with Dovecot's SASL server behind Postfix, and with a server of Python's own
for what Dovecot does not have."""

import base64
import hashlib
import hmac
import json
import os
import re
import ssl
import time
import unittest

import runner
import scripted
import servers
import support

LOGIN = "ada@example.org"
DISABLED = "gone@example.org"
KNOWN = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5", "OAUTHBEARER", "XOAUTH2")

# What was seen: mechanism, server, login, and how it ended.
seen = []
EMAIL = {"from": {"email": LOGIN}, "to": [{"email": "bob@receiver.example"}],
         "subject": "Logged in", "text": "Hello"}


def encoded(text):
    return base64.b64encode(text.encode()).decode()


class LoginTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = support.Authority(support.temporary_folder())
        cls.password = support.watch.secret("password")
        cls.server = support.Sendstepd()
        cls.addClassCleanup(cls.server.stop)

    def settings(self, port, mechanism=None, **other):
        settings = {"host": "127.0.0.1", "port": port, "tls": "TLS_MODE_STARTTLS",
                    "username": LOGIN, "domain": "client.example.org",
                    "caPem": self.authority.pem, **other}
        if "oauth2Token" not in settings:
            settings.setdefault("password", {"value": self.password})
        if mechanism:
            settings["authMechanism"] = "AUTH_MECHANISM_" + mechanism.replace("-", "_")
        return {"smtp": settings}

    def scripted(self, session, *mechanisms):
        """Python knows tls-unique only, which ends with TLS 1.2."""
        server = scripted.ScriptedSmtp(
            self.authority, tls="starttls", session=session, newest_tls=ssl.TLSVersion.TLSv1_2,
            offers=["PIPELINING", "ENHANCEDSTATUSCODES", "AUTH " + " ".join(mechanisms)])
        server.password = self.password
        self.addCleanup(server.stop)
        return server

    def try_out(self, config):
        answer = self.server.call("TestSend", {"config": config, "email": EMAIL})
        self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")
        return answer.message

    def see(self, message, case, ending):
        spoken = " ".join(message["transcript"])
        named = re.search(r"C: AUTH (\S+)", spoken)
        seen.append((named.group(1) if named else "-", self.SERVER, case, ending))

    def assert_accepted(self, message, mechanism, case="right"):
        self.see(message, case, "accepted")
        self.assertTrue(message.get("accepted"), message.get("verdict"))
        spoken = [line for line in message["transcript"] if "AUTH " in line and "250" not in line]
        self.assertEqual(1, len(spoken), spoken)
        self.assertIn(f"AUTH {mechanism}", spoken[0])

    def assert_refused(self, message, reason, words="", case=""):
        self.assertFalse(message.get("accepted"))
        failure = message["failure"]
        code = failure.get("reply", {}).get("code", "")
        self.see(message, case, f"{code} {failure['reason'].removeprefix('REASON_')}, "
                                f"{failure['fault']}: {failure['message']}".strip())
        self.assertEqual(reason, failure["reason"])
        self.assertIn(words, json.dumps(failure))
        return failure


class ThroughDovecot(LoginTest):
    """Its SASL server is asked by Postfix."""

    SERVER = "Dovecot"
    MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5")

    @classmethod
    def setUpClass(cls):
        if why := servers.why_not_postfix():
            raise unittest.SkipTest(why)
        super().setUpClass()
        cls.postfix = servers.Postfix(cls.authority, {LOGIN: cls.password, DISABLED: cls.password},
                                      mechanisms="plain login cram-md5 scram-sha-256",
                                      disabled=[DISABLED])
        cls.addClassCleanup(cls.postfix.stop)
        cls.port = cls.postfix.ports["submission"]

    def test_each_mechanism_logs_in(self):
        for mechanism in self.MECHANISMS:
            with self.subTest(mechanism):
                self.assert_accepted(self.try_out(self.settings(self.port, mechanism)), mechanism)

    def test_each_mechanism_has_wrong_logins_refused(self):
        wrong = {"wrong password": {"password": {"value": support.watch.secret("wrong-password")}},
                 "unknown user": {"username": "nobody@example.org"},
                 "disabled user": {"username": DISABLED}}
        for mechanism in self.MECHANISMS:
            for case, other in wrong.items():
                with self.subTest(f"{mechanism}, {case}"):
                    message = self.try_out(self.settings(self.port, mechanism, **other))
                    failure = self.assert_refused(message, "REASON_AUTH_REFUSED", case=case)
                    self.assertEqual("FAULT_CONFIG", failure["fault"])
                    self.assertEqual(535, failure["reply"]["code"])

    def test_nothing_is_said_in_plaintext(self):
        config = self.settings(self.port, "PLAIN", tls="TLS_MODE_OFF")
        answer = self.server.call("TestSend", {"config": config, "email": EMAIL})
        self.assertIn("config.smtp.tls", json.dumps(answer.details) + json.dumps(answer.message))

    def test_scram_is_chosen_where_nothing_is_named(self):
        self.assert_accepted(self.try_out(self.settings(self.port)), "SCRAM-SHA-256")

    def test_a_mechanism_that_is_not_offered_is_named(self):
        message = self.try_out(self.settings(self.port, "SCRAM-SHA-256-PLUS"))
        self.assert_refused(message, "REASON_AUTH_NOT_OFFERED", "SCRAM-SHA-256-PLUS",
                            case="not offered")


class ScramSession(scripted.Session):
    """SCRAM as a server (RFC 5802), bound by tls-unique where the client asks for it."""

    ITERATIONS = 4096

    def _ask(self, words):
        self._say("334 " + base64.b64encode(words.encode()).decode())
        return base64.b64decode(self._line() or "").decode(errors="replace")

    def _binding(self):
        return self._connection.get_channel_binding("tls-unique")

    def _final(self, signature):
        return "v=" + base64.b64encode(signature).decode()

    def _on_auth(self, line):
        first = base64.b64decode(line.split(" ")[2]).decode()
        flag, _, bare = first.split(",", 2)
        header = f"{flag},,".encode()
        if flag.startswith("p="):
            assert flag == "p=tls-unique", flag
            header += self._binding()
        nonce = bare.split("r=")[1] + base64.b64encode(os.urandom(9)).decode()
        salt = os.urandom(16)
        server_first = f"r={nonce},s={base64.b64encode(salt).decode()},i={self.ITERATIONS}"
        answer = self._ask(server_first)
        if not answer.startswith("c="):
            return self._say("501 5.7.0 Cancelled")
        without_proof, proof = answer.rsplit(",p=", 1)
        salted = hashlib.pbkdf2_hmac("sha256", self._server.password.encode(), salt,
                                     self.ITERATIONS)
        exchange = ",".join((bare, server_first, without_proof)).encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), exchange, "sha256")
        expected = bytes(a ^ b for a, b in zip(client_key, signature))
        same_channel = without_proof == f"c={base64.b64encode(header).decode()},r={nonce}"
        if base64.b64decode(proof) != expected or not same_channel:
            return self._say("535 5.7.8 Authentication failed")
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self._ask(self._final(hmac.digest(server_key, exchange, "sha256")))
        return self._say("235 2.7.0 Accepted")


class InBetween(ScramSession):
    """Passes the exchange on over a TLS connection of its own."""

    def _binding(self):
        return b"of another connection"


class Impostor(ScramSession):
    """Lets everyone in and knows no password."""

    def _on_auth(self, line):
        return self._say("235 2.7.0 Accepted")


class Guesser(ScramSession):
    def _final(self, signature):
        return super()._final(os.urandom(32))


class Hasty(ScramSession):
    ITERATIONS = 1


class ThroughAScriptedServer(LoginTest):
    SERVER = "scripted"

    def scram(self, session, mechanism, offered):
        server = self.scripted(session, *offered)
        return self.try_out(self.settings(server.port, mechanism))

    def test_scram_plus_is_bound_to_the_connection(self):
        both = ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "PLAIN")
        self.assert_accepted(self.scram(ScramSession, None, both), "SCRAM-SHA-256-PLUS")

    def test_scram_plus_is_not_passed_on_by_someone_in_between(self):
        message = self.scram(InBetween, None, ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"))
        self.assert_refused(message, "REASON_AUTH_REFUSED", case="passed on by another")

    def test_a_server_that_proves_nothing_is_not_trusted(self):
        for session in (Impostor, Guesser):
            with self.subTest(session.__name__):
                message = self.scram(session, None, ("SCRAM-SHA-256",))
                self.assert_refused(message, "REASON_PROTOCOL_ERROR", "does not prove",
                                    case="server proves nothing")

    def test_a_server_that_asks_for_a_cheap_proof_gets_none(self):
        message = self.scram(Hasty, None, ("SCRAM-SHA-256",))
        self.assert_refused(message, "REASON_PROTOCOL_ERROR", "asks for 1 iterations",
                            case="server asks for too little")


class OAuthSession(scripted.Session):
    def _on_auth(self, line):
        mechanism, initial = line.split(" ")[1:]
        words = base64.b64decode(initial).decode()
        self._server.said = words
        if self._server.token in words:
            return self._say("235 2.7.0 Accepted")
        self._say("334 " + encoded('{"status":"invalid_token","schemes":"bearer"}'))
        self._server.said = self._line()
        return self._say("535 5.7.8 Token refused")


class ThroughDovecotWithAToken(LoginTest):
    """Dovecot checks JSON Web Tokens by itself (RFC 7519), signed with a key that it knows."""

    SERVER = "Dovecot"
    MECHANISMS = ("OAUTHBEARER", "XOAUTH2")

    @classmethod
    def setUpClass(cls):
        if why := servers.why_not_postfix():
            raise unittest.SkipTest(why)
        super().setUpClass()
        cls.key = os.urandom(32)
        folder = support.temporary_folder()
        keys = folder / "keys/default/HS256"  # of any client, by algorithm
        keys.mkdir(parents=True)
        (keys / "default").write_text(base64.b64encode(cls.key).decode())
        oauth2 = folder / "oauth2.conf"
        oauth2.write_text(f"""\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = email
tokeninfo_url = http://127.0.0.1:9/
""")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        cls.postfix = servers.Postfix(
            cls.authority, {LOGIN: cls.password}, mechanisms="oauthbearer xoauth2",
            dovecot=f"""\
passdb {{
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = {oauth2}
}}
""")
        cls.addClassCleanup(cls.postfix.stop)
        cls.port = cls.postfix.ports["submission"]

    def token(self, key=None, email=LOGIN, lives=300):
        now = int(time.time())
        claims = {"iss": "https://issuer.example", "sub": email, "email": email, "iat": now - 600,
                  "nbf": now - 600, "exp": now + lives}
        signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
                          for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        mac = hmac.digest(key or self.key, signed.encode(), "sha256")
        token = signed + "." + base64.urlsafe_b64encode(mac).decode().rstrip("=")
        return {"value": support.watch.secret("token", token)}

    def test_each_mechanism_logs_in(self):
        for mechanism in self.MECHANISMS:
            with self.subTest(mechanism):
                settings = self.settings(self.port, mechanism, oauth2Token=self.token())
                message = self.try_out(settings)
                self.assert_accepted(message, mechanism)

    def test_each_mechanism_has_wrong_tokens_refused(self):
        wrong = {"expired": self.token(lives=-60), "another key's": self.token(os.urandom(32)),
                 "another user's": self.token(email="eve@example.org"),
                 "no token": {"value": support.watch.secret("no-token")}}
        for mechanism in self.MECHANISMS:
            for name, token in wrong.items():
                with self.subTest(f"{mechanism}, {name}"):
                    message = self.try_out(self.settings(self.port, mechanism, oauth2Token=token))
                    failure = self.assert_refused(message, "REASON_AUTH_REFUSED",
                                                  case=f"token: {name}")
                    self.assertEqual("FAULT_CONFIG", failure["fault"])
                    self.assertIn("token", failure["message"] + failure["whatToDo"])


class WithAToken(LoginTest):
    SERVER = "scripted"

    def oauth(self, offered, token=None, mechanism=None):
        server = self.scripted(OAuthSession, *offered)
        server.token = support.watch.secret("token")
        config = self.settings(server.port, mechanism,
                               oauth2Token={"value": token or server.token})
        return server, self.try_out(config)

    def test_oauthbearer_is_chosen_before_xoauth2(self):
        server, message = self.oauth(("XOAUTH2", "OAUTHBEARER", "PLAIN"))
        self.assert_accepted(message, "OAUTHBEARER")
        self.assertEqual(f"n,a={LOGIN},\x01auth=Bearer {server.token}\x01\x01", server.said)

    def test_a_refused_token_ends_the_exchange_as_each_mechanism_has_it(self):
        for mechanism, end in (("OAUTHBEARER", "AQ=="), ("XOAUTH2", "")):
            with self.subTest(mechanism):
                expired = support.watch.secret("expired-token")
                server, message = self.oauth((mechanism,), expired, mechanism)
                self.assertEqual(end, server.said)
                failure = self.assert_refused(message, "REASON_AUTH_REFUSED", case="token: refused")
                self.assertIn("token", failure["message"] + failure["whatToDo"])

    def test_a_mechanism_that_does_not_take_what_is_given_is_named(self):
        config = self.settings(1, "PLAIN", oauth2Token={"value": support.watch.secret("token")})
        answer = self.server.execute({"config": config, "email": EMAIL})
        self.assertEqual("INVALID_ARGUMENT", answer.code)
        self.assertIn("auth_mechanism", answer.text)


def test_each_mechanism_was_seen_to_be_accepted_and_refused():
    """Prints the table."""
    rows = sorted(set(seen), key=lambda row: (KNOWN.index(row[0]) if row[0] in KNOWN else 99, row))
    print(f"\n{'mechanism':20} {'server':9} {'login':28} how it ended")
    for mechanism, server, case, ending in rows:
        print(f"{mechanism:20} {server:9} {case:28} {ending}")
    for mechanism in KNOWN if not servers.why_not_postfix() else ():
        endings = [ending for name, _, _, ending in rows if name == mechanism]
        assert "accepted" in endings, mechanism
        assert any(ending != "accepted" for ending in endings), mechanism


if __name__ == "__main__":
    runner.main(test_each_mechanism_was_seen_to_be_accepted_and_refused,
                support.test_no_secret_was_shown)
