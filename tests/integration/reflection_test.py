#!/usr/bin/python3
"""A generic gRPC client that has never seen the proto file can list and call the service."""

import base64
import email
import json
import socket
import unittest

import runner
import scripted
import support

# Frames and flags of HTTP/2 (RFC 9113 6).
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4
METHODS = ["Describe", "Execute", "GetExecution", "ListExecutions", "ResolveExecution", "TestSend",
           "ValidateConfig"]


def raw_call(address, method, message, timeout):
    """The message that answers a call with this grpc-timeout, which no client library sends; empty:
    a status answers it."""
    def frame(kind, flags, stream, payload):
        return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
                + payload)

    def header(name, value):
        return bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()

    headers = b"".join(header(*pair) for pair in (
        (":method", "POST"), (":scheme", "http"), (":path", f"/{support.SERVICE}/{method}"),
        (":authority", address), ("content-type", "application/grpc"), ("te", "trailers"),
        ("grpc-timeout", timeout)))
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), support.PATIENCE) as connection:
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"")
            + frame(HEADERS, END_HEADERS, 1, headers)
            + frame(DATA, END_STREAM, 1, b"\0" + len(message).to_bytes(4, "big") + message))
        stream, answer = connection.makefile("rb"), b""
        while head := stream.read(9):
            payload = stream.read(int.from_bytes(head[:3], "big"))
            answer += payload if head[3] == DATA else b""
            if head[3] in (DATA, HEADERS) and head[4] & END_STREAM:
                break
    return answer[5:]


class Reflection(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Sendstepd("--sandbox")
        cls.addClassCleanup(cls.server.stop)

    def grpcurl(self, *args):
        ran = support.grpcurl(*args)
        self.assertEqual(0, ran.code, ran.err)
        return ran.out

    def test_services_are_listed(self):
        services = self.grpcurl(self.server.address, "list").split()
        for service in (support.SERVICE, "grpc.health.v1.Health"):
            self.assertIn(service, services)

    def test_every_listed_service_is_described(self):
        services = self.grpcurl(self.server.address, "list").split()
        described = self.grpcurl(self.server.address, "describe")
        for service in services:
            self.assertIn(f"service {service.rpartition('.')[2]} ", described)
            self.assertIn(" is a service", self.grpcurl(self.server.address, "describe", service))

    def test_methods_are_listed(self):
        listed = self.grpcurl(self.server.address, "list", support.SERVICE).split()
        self.assertEqual([f"{support.SERVICE}.{m}" for m in METHODS], listed)

    def test_secrets_are_marked_in_the_described_message(self):
        self.assertIn("sendstep.v1.secret",
                      self.grpcurl(self.server.address, "describe", "sendstep.v1.Secret"))

    def test_an_email_is_sent(self):
        request = {
            "request_id": "reflection-1",
            "config": {"smtp": {"provider": "sandbox", "username": "ada", "password": {
                "value": support.watch.secret("password")}}},
            "email": {"from": {"email": "ada@example.org"}, "to": [{"email": "bob@example.org"}],
                      "subject": "By reflection", "html": "<p>Hello</p>"},
        }
        out = self.grpcurl("-d", json.dumps(request), self.server.address,
                           f"{support.SERVICE}/Execute")
        answer = json.loads(out)
        self.assertEqual("OUTCOME_SENT", answer["outcome"])
        self.assertEqual("reflection-1", answer["request_id"])
        inbox = support.Maildir(self.server.folder / "state" / "sandbox")
        self.assertIn(b"Subject: By reflection", inbox.wait_for(answer["message_id"]))

    def test_status_details_are_readable(self):
        request = {"request_id": "reflection-2", "email": {"subject": "No recipient"}}
        ran = support.grpcurl("-format-error", "-d", json.dumps(request),
                              self.server.address, f"{support.SERVICE}/Execute")
        status = json.loads(ran.err)
        self.assertEqual("INVALID_ARGUMENT", support.CODES[status["code"]])
        details = {d["@type"].rpartition(".")[2]: d for d in status["details"]}
        self.assertEqual("sendstep", details["ErrorInfo"]["domain"])
        self.assertIn("email.to", [v["field"] for v in details["BadRequest"]["field_violations"]])

    def test_health_is_serving(self):
        for service in ("", support.SERVICE):
            out = self.grpcurl("-d", json.dumps({"service": service}), self.server.address,
                               "grpc.health.v1.Health/Check")
            self.assertEqual("SERVING", json.loads(out)["status"])

    def test_describe_brings_a_json_schema_that_marks_secrets(self):
        answer = self.server.call("Describe", {})
        self.assertEqual("sendstep", answer.message["name"])
        schema = json.loads(answer.message["configSchema"])
        self.assertEqual("https://json-schema.org/draft/2020-12/schema", schema["$schema"])
        self.assertEqual({"config", "email"}, set(schema["properties"]))
        self.assertIn('"writeOnly": true', json.dumps(schema))
        limits = answer.message["limits"]
        self.assertEqual(40 << 20, int(limits["maxRequestBytes"]))
        self.assertEqual(10_000, int(limits["maxInFlight"]))
        self.assertEqual(1 << 30, int(limits["maxInFlightBytes"]))

    def test_a_deadline_of_millennia_is_no_short_one(self):
        request = b"\x0a\x0b\x0a\x09\x0a\x07sandbox"  # config.smtp.provider
        answer = raw_call(self.server.address, "ValidateConfig", request, timeout="99999999H")
        self.assertTrue(answer.startswith(b"\x08\x01"), answer)  # valid

    def test_the_answer_of_a_long_test_fits_a_client_that_takes_4_mib(self):
        """What grpcurl takes, as every gRPC client unless told otherwise."""
        reply = "\n".join([f"250-2.1.5 {'x' * 2000}"] * 30 + [f"250 2.1.5 {'x' * 2000}"])
        listener = scripted.ScriptedSmtp(replies={"RCPT": reply})
        self.addCleanup(listener.stop)
        answer = self.server.call("TestSend", {
            "config": {"smtp": {"host": "127.0.0.1", "port": listener.port, "tls": "TLS_MODE_OFF",
                                "domain": "client.example.org"}},
            "to": [{"email": f"recipient-{i}@example.org"} for i in range(1000)],
            "email": {"from": {"email": "ada@example.org"}}})
        self.assertTrue(answer.ok, answer.text)
        self.assertEqual(1000, len(answer.message["result"]["recipients"]))
        self.assertEqual(512, len(answer.message["result"]["recipients"][999]["reply"]["text"]))
        self.assertRegex(answer.message["transcript"][-1], r"^\[lines left out: \d+\]$")

    def test_an_attachment_of_any_bytes_arrives(self):
        content = bytes(range(256)) * 40
        answer = self.server.execute({
            "config": {"smtp": {"provider": "sandbox"}},
            "email": {"from": {"email": "ada@example.org"}, "to": [{"email": "bob@example.org"}],
                      "subject": "Bytes", "text": "See the file.",
                      "attachments": [{"filename": "all.bin",
                                       "content": base64.b64encode(content).decode()}]}})
        self.assertTrue(answer.ok, answer.text)
        inbox = support.Maildir(self.server.folder / "state" / "sandbox")
        raw = inbox.wait_for(answer.message["messageId"])
        part = [p for p in email.message_from_bytes(raw).walk() if p.get_filename() == "all.bin"]
        self.assertEqual(content, part[0].get_payload(decode=True))


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
