#!/usr/bin/python3
"""A relay behind a proxy: microsocks speaks SOCKS5, tinyproxy HTTP CONNECT."""

import json
import secrets
import unittest

import runner
import servers
import support

LOGIN = "ada@example.org"


class Proxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = support.temporary_folder()
        cls.authority = support.Authority(support.temporary_folder())
        cls.password = support.watch.secret("password")
        # tinyproxy takes letters and digits only.
        cls.proxy_password = support.watch.secret("proxy password", secrets.token_hex(16))
        cls.smtp = servers.Aiosmtpd(cls.authority, {LOGIN: cls.password})
        cls.addClassCleanup(cls.smtp.stop)
        cls.socks, cls.closed_socks, cls.http, cls.closed = servers.free_ports(4)
        cls.start(["microsocks", "-i", "127.0.0.1", "-p", str(cls.socks)], cls.socks)
        cls.start(["microsocks", "-i", "127.0.0.1", "-p", str(cls.closed_socks), "-u", "ada", "-P",
                   cls.proxy_password], cls.closed_socks)
        config = cls.folder / "tinyproxy.conf"
        config.write_text(f"Port {cls.http}\nListen 127.0.0.1\nBasicAuth ada {cls.proxy_password}\n"
                          f"ConnectPort {cls.smtp.port}\nConnectPort {cls.closed}\n")
        cls.start(["tinyproxy", "-d", "-c", config], cls.http)
        relays = cls.folder / "relays.json"
        relays.write_text(json.dumps({"relays": cls.relays()}))
        cls.server = support.Sendstepd("--relays-file", relays)
        cls.addClassCleanup(cls.server.stop)

    @classmethod
    def start(cls, command, port):
        cls.addClassCleanup(support.Process(command).stop)
        support.until(lambda: servers.greets(port), f"{command[0]} on port {port}")

    @classmethod
    def relays(cls):
        login = {"username": "ada", "password": {"value": cls.proxy_password}}
        wrong = {"username": "ada", "password": {"value": support.watch.secret("wrong password")}}
        http = {"kind": "PROXY_KIND_HTTP_CONNECT"}
        at = lambda port, **more: {"host": "127.0.0.1", "port": port, **more}
        return {
            "socks": cls.relay(at(cls.socks)),
            "socks-by-name": cls.relay(at(cls.socks), host="localhost"),
            "socks-login": cls.relay(at(cls.closed_socks, **login)),
            "socks-no-login": cls.relay(at(cls.closed_socks)),
            "socks-wrong-login": cls.relay(at(cls.closed_socks, **wrong)),
            "socks-nobody-behind": cls.relay(at(cls.socks), port=cls.closed),
            "http": cls.relay(at(cls.http, **http, **login)),
            "http-no-login": cls.relay(at(cls.http, **http)),
            "http-other-port": cls.relay(at(cls.http, **http, **login), port=cls.socks),
            "http-nobody-behind": cls.relay(at(cls.http, **http, **login), port=cls.closed),
            "no-such-host": cls.relay({"host": "proxy.invalid", "port": 1080}),
            "nobody": cls.relay(at(cls.closed)),
            "no-proxy": cls.relay(at(cls.smtp.port)),
        }

    @classmethod
    def relay(cls, proxy, host="127.0.0.1", port=None):
        return {"proxy": proxy, "smtp": {
            "host": host, "port": port or cls.smtp.port, "tls": "TLS_MODE_STARTTLS",
            "username": LOGIN, "password": {"value": cls.password}, "caPem": cls.authority.pem,
            "domain": "client.example.org"}}

    def send(self, relay):
        return self.server.execute({
            "config": {"relay": relay},
            "email": {"to": [{"email": "bob@example.org"}], "subject": relay, "text": "Hello"}})

    def arrives(self, relay):
        answer = self.send(relay)
        self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")
        self.assertTrue(answer.message["tls"]["version"].startswith("TLSv1."))
        self.assertIsNotNone(self.smtp.find(answer.message["messageId"]))

    def fails(self, relay, code, says, retryable, phase="tcp"):
        answer = self.send(relay)
        self.assertEqual((code, "PROXY_FAILED"), (answer.code, answer.reason), answer.text)
        self.assertIn(says, answer.text)
        self.assertEqual((retryable, phase),
                         (answer.metadata["retryable"], answer.metadata["phase"]))
        return answer

    def test_socks(self):
        self.arrives("socks")

    def test_socks_looks_the_name_up(self):
        self.arrives("socks-by-name")

    def test_socks_with_login(self):
        self.arrives("socks-login")

    def test_http(self):
        self.arrives("http")

    def test_login_that_is_missing_or_wrong(self):
        self.fails("socks-no-login", "FAILED_PRECONDITION", "wants a username", "false")
        self.fails("socks-wrong-login", "FAILED_PRECONDITION", "does not take this", "false")
        answer = self.fails("http-no-login", "FAILED_PRECONDITION", "status 40", "false")
        self.assertEqual("PLUGIN", answer.metadata["fault"])

    def test_port_that_the_proxy_does_not_allow(self):
        self.fails("http-other-port", "FAILED_PRECONDITION", "status 403", "false")

    def test_nobody_behind_the_proxy(self):
        self.fails("socks-nobody-behind", "UNAVAILABLE", "refused the connection", "true")
        self.fails("http-nobody-behind", "UNAVAILABLE", "status 50", "true")

    def test_no_proxy_there(self):
        self.fails("nobody", "UNAVAILABLE", "no way to the proxy", "true")

        self.fails("no-such-host", "FAILED_PRECONDITION", "no way to the proxy", "false", phase="dns")

    def test_proxy_that_is_a_mail_server(self):
        self.fails("no-proxy", "FAILED_PRECONDITION", "does not speak SOCKS5", "false")


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
