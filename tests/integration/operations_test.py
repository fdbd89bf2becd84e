#!/usr/bin/python3
"""What an operator relies on: probes, metrics, draining, relays, logs."""

import json
import re
import signal
import socket
import unittest

import runner
import scripted
import support


def letter(to, **other):
    return {"from": {"email": "ada@example.org"}, "to": [{"email": to}], "subject": "Operations",
            "text": "Hello", **other}


class Operations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = support.Authority(support.temporary_folder())

    def start(self, *flags, env=None):
        server = support.Sendstepd("--sandbox", *flags, env=env)
        self.addCleanup(server.stop)
        return server

    def held_send(self, verb, **email):
        """A request whose `verb` gets no reply until the test releases it, and that reply."""
        reply = scripted.Held("250 2.0.0 OK")
        provider = scripted.ScriptedSmtp(self.authority, tls="starttls", replies={verb: reply})
        self.addCleanup(provider.stop)
        self.addCleanup(reply.release)
        smtp = {"host": "127.0.0.1", "port": provider.port, "tls": "TLS_MODE_STARTTLS",
                "username": "ada", "password": {"value": support.watch.secret("drained")},
                "domain": "client.example.org", "caPem": self.authority.pem}
        return reply, {"request_id": "held-1", "config": {"smtp": smtp},
                       "email": letter("bob@example.org", **email)}

    def send_in_flight(self, server, verb=".", **email):
        """A call whose `verb` is on its way, and the reply to it, which the test releases."""
        reply, request = self.held_send(verb, **email)
        call = server.call_in_background("Execute", request)
        support.until(lambda: reply.reached.is_set() or not call.is_alive(), "the message")
        self.assertTrue(call.is_alive(), getattr(call, "answer", None))
        return call, reply

    def test_probes_answer(self):
        server = self.start()
        self.assertEqual(200, server.get("/healthz")[0])
        self.assertEqual(200, server.get("/readyz")[0])
        self.assertEqual(404, server.get("/secrets")[0])

    def test_sigterm_finishes_what_is_in_flight_and_exits_0(self):
        server = self.start()
        call, reply = self.send_in_flight(server)
        self.assertEqual(1, server.in_flight())
        server.process.send_signal(signal.SIGTERM)
        support.until(lambda: server.get("/readyz")[0] == 503, "not ready")
        self.assertEqual(200, server.get("/healthz")[0])
        reply.release()
        call.join()
        self.assertTrue(call.answer.ok, call.answer.text)
        self.assertEqual("OUTCOME_SENT", call.answer.message["outcome"])
        self.assertEqual(0, server.process.wait())

    def test_no_new_call_is_taken_while_draining(self):
        server = self.start()
        call, reply = self.send_in_flight(server)
        server.process.send_signal(signal.SIGTERM)
        support.until(
            lambda: support.grpcurl("-max-time", "5", server.address,
                                    f"{support.SERVICE}/Describe").code != 0,
            "a new call refused")
        reply.release()
        call.join()
        self.assertTrue(call.answer.ok, call.answer.text)
        self.assertEqual(0, server.process.wait())

    def test_send_cut_off_by_the_drain_timeout_is_uncertain(self):
        server = self.start("--drain-timeout", "4s")
        call, _ = self.send_in_flight(server)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, server.process.wait())
        call.join()
        self.assertEqual(("DATA_LOSS", "DELIVERY_UNCERTAIN", "uncertain"),
                         (call.answer.code, call.answer.reason, call.answer.metadata["retryable"]))

        self.assertEqual("PLUGIN", call.answer.metadata["fault"])

    def assert_shutting_down(self, answer, phase):
        self.assertEqual(("UNAVAILABLE", "SHUTTING_DOWN", "true", phase),
                         (answer.code, answer.reason, answer.metadata["retryable"],
                          answer.metadata["phase"]), answer.text)
        self.assertIsNotNone(answer.retry_after())

    def test_send_cut_off_before_its_message_was_not_sent(self):
        for timeout in ("0s", "2s"):
            with self.subTest(timeout):
                server = self.start("--drain-timeout", timeout)
                call, _ = self.send_in_flight(server, "MAIL")
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(0, server.process.wait())
                call.join()
                self.assert_shutting_down(call.answer, "mail_from")

    def test_send_cut_off_while_it_connects_was_not_sent(self):
        # Nobody accepts, and the queue is full: the next connection hangs.
        listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(listener.close)
        for _ in range(4):
            waiting = socket.socket()
            self.addCleanup(waiting.close)
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        server = self.start("--drain-timeout", "2s")
        call = server.call_in_background("Execute", {
            "request_id": "stopped-1",
            "config": {"smtp": {"host": "127.0.0.1", "port": listener.getsockname()[1]}},
            "email": letter("bob@example.org")})
        support.until(lambda: server.in_flight() == 1, "the call")
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, server.process.wait())
        call.join()
        self.assert_shutting_down(call.answer, "tcp")

    def assert_overloaded(self, answer, flag):
        self.assertEqual(
            ("RESOURCE_EXHAUSTED", "OVERLOADED", "PLUGIN", "true"),
            (answer.code, answer.reason, answer.metadata["fault"], answer.metadata["retryable"]),
            answer.text)
        self.assertNotIn("phase", answer.metadata)
        self.assertEqual(1, answer.retry_after())
        self.assertIn(f"({flag})", answer.text)

    @staticmethod
    def gauge(server, name):
        return float(re.search(rf"^{name} (\S+)$", server.get("/metrics")[1], re.MULTILINE)[1])

    def test_call_beyond_the_limit_of_calls_is_refused_and_nothing_is_sent(self):
        server = self.start("--max-in-flight", "1")
        call, reply = self.send_in_flight(server)
        sandbox = {"config": {"smtp": {"provider": "sandbox"}},
                   "email": letter("bob@example.org")}
        for method in ("Execute", "TestSend", "ValidateConfig"):
            with self.subTest(method):
                request = {**sandbox, "request_id": "beyond"} if method == "Execute" else sandbox
                self.assert_overloaded(server.call(method, request), "--max-in-flight")
        _, text = server.get("/metrics")
        self.assertIn('sendstep_overload_refusals_total{limit="calls"} 3\n', text)
        self.assertEqual("1", server.call("Describe", {}).message["limits"]["maxInFlight"])
        found = server.call("GetExecution", {"request_id": "held-1"})
        self.assertTrue(found.ok, found.text)
        reply.release()
        call.join()
        self.assertTrue(call.answer.ok, call.answer.text)
        inbox = support.Maildir(server.folder / "state" / "sandbox")
        self.assertEqual([], inbox.messages())
        support.until(lambda: server.execute({**sandbox, "request_id": "beyond"}).ok, "room again")
        self.assertEqual(1, len(inbox.messages()))

    def test_request_bytes_beyond_the_limit_are_refused_until_there_is_room(self):
        server = self.start("--max-in-flight-bytes", "64KiB")
        call, reply = self.send_in_flight(server, text="x" * 40_000)
        held = self.gauge(server, "sendstep_request_bytes_in_flight")
        self.assertGreater(held, 40_000)
        large = {"config": {"smtp": {"provider": "sandbox"}},
                 "email": letter("bob@example.org", text="y" * 40_000)}
        self.assert_overloaded(server.execute(large), "--max-in-flight-bytes")
        small = server.execute({"config": {"smtp": {"provider": "sandbox"}},
                                "email": letter("bob@example.org")})
        self.assertTrue(small.ok, small.text)
        reply.release()
        call.join()
        support.until(lambda: server.execute(large).ok, "room again")

    def test_room_is_kept_for_a_send_that_goes_on_without_its_caller(self):
        server = self.start("--max-in-flight", "1")
        reply, request = self.held_send(".")
        caller = server.call_from_a_process("Execute", request)
        support.until(reply.reached.is_set, "the message")
        caller.kill()
        support.until(lambda: server.in_flight() == 0, "the caller's leave")
        self.assert_overloaded(server.call("ValidateConfig", {}), "--max-in-flight")
        self.assertGreater(self.gauge(server, "sendstep_request_bytes_in_flight"), 0)
        reply.release()
        support.until(lambda: self.gauge(server, "sendstep_request_bytes_in_flight") == 0, "room")
        self.assertTrue(server.call("ValidateConfig", {}).ok)
        self.assertEqual(0, server.stop())

    def test_request_that_never_finds_room_is_refused_for_good(self):
        server = self.start("--max-in-flight-bytes", "64KiB")
        answer = server.execute({"config": {"smtp": {"provider": "sandbox"}},
                                 "email": letter("bob@example.org", text="x" * 70_000)})
        self.assertEqual(("INVALID_ARGUMENT", "LIMIT_EXCEEDED", "false", ["email"]),
                         (answer.code, answer.reason, answer.metadata["retryable"],
                          answer.fields), answer.text)
        self.assertIn("64KiB at once (--max-in-flight-bytes)", answer.violations[0]["description"])
        limits = server.call("Describe", {}).message["limits"]
        self.assertEqual((65536, 65536),
                         (int(limits["maxRequestBytes"]), int(limits["maxInFlightBytes"])))

    def test_metrics_contain_the_request(self):
        server = self.start()
        sent = server.execute({"config": {"smtp": {"provider": "sandbox"}},
                               "email": letter("bob@example.org")})
        self.assertTrue(sent.ok, sent.text)
        refused = server.execute({"config": {"smtp": {"provider": "sandbox"}},
                                  "email": letter("reject@example.org")})
        self.assertFalse(refused.ok)
        _, text = server.get("/metrics")
        requests = dict(re.findall(r"^sendstep_requests_total\{(.*)\} (\S+)$", text, re.MULTILINE))
        counted = {(outcome, reason): float(value)
                   for labels, value in requests.items()
                   for method, outcome, reason in [self.labels(labels)]
                   if method == "Execute" and float(value) > 0}
        self.assertEqual(2, sum(counted.values()), counted)
        self.assertIn("RECIPIENTS_REFUSED", {reason for _, reason in counted})
        self.assertRegex(text, r'sendstep_stage_seconds_count\{stage="\w*data"\} 1')
        self.assertRegex(text, r'sendstep_smtp_replies_total\{class="2xx"\} [1-9]')
        # The recipient's, and that of the DATA which was sent along with it.
        self.assertRegex(text, r'sendstep_smtp_replies_total\{class="5xx"\} 2')

    @staticmethod
    def labels(text):
        found = dict(re.findall(r'(\w+)="([^"]*)"', text))
        return found["method"], found["outcome"], found["reason"]

    def test_logs_are_json_lines_with_the_requests_own_fields(self):
        server = self.start()
        sent = server.execute({
            "request_id": "logged-1", "config": {"smtp": {"provider": "sandbox"}},
            "email": letter("bob@example.org"),
            "context": {"workflow_id": "invoices", "run_id": "run-7", "step_id": "mail"}})
        self.assertTrue(sent.ok, sent.text)
        self.assertEqual(0, server.stop())
        lines = [json.loads(line) for line in server.process.output("stderr").splitlines()]
        mine = [line for line in lines if line.get("request_id") == "logged-1"]
        self.assertEqual(1, len(mine), lines)
        self.assertEqual("invoices", mine[0]["workflow_id"])
        self.assertEqual("run-7", mine[0]["run_id"])
        self.assertEqual("mail", mine[0]["step_id"])

    def test_relay_sends_with_the_operators_secret(self):
        """No secret crosses the wire, and the default sender is used."""
        folder = support.temporary_folder()
        relays = folder / "relays.yaml"
        relays.write_text("""\
default_relay: house
relays:
  house:
    smtp:
      provider: sandbox
      username: house
      password: {env: HOUSE_PASSWORD}
      default_from: {email: house@example.org, name: House}
    allowed_from_domains: [example.org]
""")
        server = self.start("--relays-file", relays,
                            env={"HOUSE_PASSWORD": support.watch.secret("house")})
        email = {"to": [{"email": "bob@example.org"}], "subject": "Relay", "text": "Hello"}
        for config in ({}, {"relay": "house"}):
            answer = server.execute({"config": config, "email": email})
            self.assertTrue(answer.ok, answer.text)
            self.assertEqual("house@example.org", answer.message["fromUsed"]["email"])
        answer = server.execute({"email": letter("bob@example.org")})
        self.assertTrue(answer.ok, answer.text)
        answer = server.execute({"email": {**email, "from": {"email": "eve@elsewhere.example"}}})
        self.assertEqual(("FAILED_PRECONDITION", "SENDER_NOT_ALLOWED"),
                         (answer.code, answer.reason))
        answer = server.execute({"config": {"relay": "hous"}, "email": email})
        self.assertEqual("RELAY_UNKNOWN", answer.reason)
        described = server.call("Describe", {}).message
        self.assertEqual((["house"], "house"), (described["relays"], described["defaultRelay"]))

    def test_the_maildir_is_the_owners_alone(self):
        server = self.start()
        mode = (server.folder / "state" / "sandbox").stat().st_mode & 0o777
        self.assertEqual(0o700, mode)

    def test_listening_beyond_this_machine_needs_a_word(self):
        ran = support.run([support.BUILD / "sendstepd", "--listen", "0.0.0.0:0", "--state-dir",
                           support.temporary_folder()])
        self.assertEqual(2, ran.code)
        self.assertIn("--allow-plaintext-listen", ran.err)

    def test_a_unix_socket_serves(self):
        folder = support.temporary_folder()
        process = support.Process(
            [support.BUILD / "sendstepd", "--listen", f"unix:{folder}/s", "--http-listen", "off",
             "--state-dir", folder / "state", "--sandbox"])
        self.addCleanup(process.stop)
        self.assertEqual(f"unix:{folder}/s",
                         process.wait_line(r"^listening (\S+)", "stdout").group(1))
        ran = support.sendstep("describe", "--server", f"unix:{folder}/s", "--json")
        self.assertEqual(0, ran.code, ran.err)
        self.assertEqual("sendstep", ran.json["name"])
        self.assertEqual(0, process.stop())


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
