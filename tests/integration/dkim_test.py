#!/usr/bin/python3
"""Emails that the server signed are delivered and then verified by two programs that are not ours:
opendkim-testmsg (OpenDKIM) and python3-dkim. What was changed on the way fails in both."""

import base64
import json
import re
import secrets
import unittest

import dkim

import runner
import sample
import servers
import support

SENDER = "ada@example.org"
RECIPIENT = "juergen@receiver.example"
KEYS = {  # of example.org, by selector
    "rsa": ["-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ed": ["-algorithm", "ed25519"],
}
RELAYS = {"rsa": ["rsa"], "ed": ["ed"], "both": ["rsa", "ed"]}  # -> selectors


def email(**fields):
    return {"from": {"email": SENDER}, "to": [{"email": RECIPIENT}], "subject": "Invoice",
            "text": "Hello\n", **fields}


def attachment(content, **fields):
    return {"content": base64.b64encode(content).decode(), **fields}


FORMS = {
    "text": email(),
    "html and text": email(html="<p>Hello</p>  \n<p>Jürgen</p>",
                           text="Hello  \n\n\nJürgen \n\n\n"),
    "non-ASCII subject": email(subject="Grüße aus Köln 🎉 – " + "sehr lang " * 20),
    "no subject": {"from": {"email": SENDER}, "to": [{"email": RECIPIENT}], "text": "Hello"},
    "attachment of 3 MB": email(attachments=[
        attachment(sample.pdf(), filename="Rechnung.pdf", contentType="application/pdf")]),
    "inline image": email(html='<img src="cid:logo@x">', attachments=[
        attachment(sample.png(), filename="a.png", contentType="image/png", contentId="logo@x")]),
    "unsubscribe": email(unsubscribe={
        "url": "https://example.org/leave?list=1", "email": "leave@example.org", "oneClick": True}),
    "sender of a domain below": email(**{"from": {"email": "ada@mail.example.org"}}),
    "all at once": sample.email(),
}


class Verifiers:
    """Both of them. Without a name server of its own OpenDKIM cannot be asked."""

    def __init__(self, texts):
        self.texts = texts
        self.why_not_opendkim = servers.why_not_name_server()
        self.name_server = None if self.why_not_opendkim else servers.NameServer(texts)

    def verdicts(self, raw):
        """(selector, verifier) -> whether the signature is good, of each signature alone."""
        found = {}
        message = re.sub(rb"\r?\n", b"\r\n", raw)
        for signature, alone in each_signature(message):
            selector = re.search(rb"\bs=([^;\s]+)", signature)[1].decode()
            found[selector, "python3-dkim"] = self._is_good(alone)
            if self.name_server is not None:
                ran = self.name_server.run(["/usr/sbin/opendkim-testmsg"], stdin=alone)
                assert ran.code in (0, 70), ran.err
                found[selector, "opendkim"] = ran.code == 0
        return found

    def _is_good(self, message):
        try:
            return dkim.DKIM(message).verify(dnsfunc=self._text)
        except dkim.ValidationError:  # says what of it is wrong
            return False

    def _text(self, name, timeout=5):
        return self.texts.get(name.decode().rstrip(".")).encode()

    def stop(self):
        if self.name_server is not None:
            self.name_server.stop()


def fields_of(message):
    """Header fields with their line ends, and what follows them."""
    header, _, body = message.partition(b"\r\n\r\n")
    return re.findall(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*", header + b"\r\n"), b"\r\n" + body


def is_signature(field):
    return field.lower().startswith(b"dkim-signature:")


def each_signature(message):
    """(signature, the message with that one alone): a verifier is content with one that is good."""
    fields, rest = fields_of(message)
    others = [field for field in fields if not is_signature(field)]
    for field in fields:
        if is_signature(field):
            yield field, b"".join([field, *others]) + rest


def openssl(*argv):
    ran = support.run(["openssl", *argv])
    assert ran.code == 0, ran.err
    return ran.out


def make_key(folder, name, options):
    """A private key's file, which is a secret from now on, and the record of its public key."""
    file = folder / f"{name}.pem"
    openssl("genpkey", *options, "-quiet", "-out", str(file))
    lines = file.read_text().splitlines()[1:-1]
    # The first half of an RSA key is public.
    for number, line in enumerate(lines[len(lines) // 2:]):
        if len(line) >= 20:
            support.watch.secret(f"line {number} of the key {name}", line)
    der = base64.b64decode("".join(
        openssl("pkey", "-in", str(file), "-pubout").splitlines()[1:-1]))
    if "ed25519" in options:
        return file, f"v=DKIM1; k=ed25519; p={base64.b64encode(der[-32:]).decode()}"
    return file, f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


class SignedEmails(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = support.temporary_folder()
        cls.keys, texts = {}, {}
        for selector, options in KEYS.items():
            file, texts[f"{selector}._domainkey.example.org"] = make_key(
                cls.folder, selector, options)
            cls.keys[selector] = {"domain": "example.org", "selector": selector,
                                  "private_key": {"file": str(file)}}
        texts["ed._domainkey.xn--bcher-kva.example"] = texts["ed._domainkey.example.org"]
        cls.verifiers = Verifiers(texts)
        cls.addClassCleanup(cls.verifiers.stop)
        print(f"     OpenDKIM: {cls.verifiers.why_not_opendkim or 'verifies RSA and Ed25519'}")
        sandbox = {"provider": "sandbox"}
        relays = {name: cls.relay(sandbox, *(cls.keys[s] for s in selectors))
                  for name, selectors in RELAYS.items()}
        relays["idn"] = cls.relay(sandbox, {**cls.keys["ed"], "domain": "bücher.example"})
        cls.postfix = None
        if not servers.why_not_postfix():
            authority = support.Authority(support.temporary_folder())
            cls.postfix = servers.Postfix(authority, {})
            cls.addClassCleanup(cls.postfix.stop)
            for name, service in (("postfix", "open"), ("small", "small")):
                relays[name] = cls.relay({"host": "127.0.0.1", "port": cls.postfix.ports[service],
                                          "ca_pem": authority.pem}, *cls.keys.values())
        file = cls.folder / "relays.json"
        file.write_text(json.dumps({"relays": relays}))
        cls.server = support.Sendstepd("--sandbox", "--relays-file", file)
        cls.addClassCleanup(cls.server.stop)
        cls.inbox = support.Maildir(cls.server.folder / "state" / "sandbox")

    @staticmethod
    def relay(smtp, *keys):
        return {"smtp": smtp, "dkim": list(keys), "allowed_from_domains": [
            "example.org", "mail.example.org", "bücher.example", "elsewhere.example"]}

    def send(self, relay, fields, inbox=None):
        """The message as it was delivered."""
        answer = self.server.execute({"config": {"relay": relay}, "email": fields})
        self.assertTrue(answer.ok, f"{answer.code}: {answer.text}")
        return (inbox or self.inbox).wait_for(answer.message["messageId"])

    def assert_good(self, raw, selectors):
        verifiers = ["python3-dkim"] + ["opendkim"] * (self.verifiers.name_server is not None)
        self.assertEqual({(s, v): True for s in selectors for v in verifiers},
                         self.verifiers.verdicts(raw))

    def test_each_form_of_message_verifies_with_each_key(self):
        for relay, selectors in RELAYS.items():
            for form, fields in FORMS.items():
                with self.subTest(f"{form}, {relay}"):
                    self.assert_good(self.send(relay, fields), selectors)

    def test_each_form_of_message_verifies_behind_postfix(self):
        if self.postfix is None:
            self.skipTest(servers.why_not_postfix())
        for form, fields in FORMS.items():
            with self.subTest(form):
                self.assert_good(self.send("postfix", fields, self.postfix.maildir), KEYS)

    def test_a_domain_of_other_letters_signs_by_its_a_labels(self):
        raw = self.send("idn", email(**{"from": {"email": "ada@bücher.example"}}))
        self.assertIn(b"d=xn--bcher-kva.example;", raw)
        self.assert_good(raw, ["ed"])

    def test_utf8_headers_verify(self):
        raw = self.send("both", email(**{"from": {"email": "jürgen@example.org"}}))
        self.assertIn("From: jürgen@example.org".encode(), raw)
        self.assert_good(raw, KEYS)

    def test_what_is_changed_on_the_way_fails_in_both(self):
        message = re.sub(rb"\r?\n", b"\r\n", self.send("both", FORMS["unsubscribe"]))
        self.assert_good(message, KEYS)
        signature = rb"DKIM-Signature: "
        added = {name: message.replace(signature, name.encode() + b": <eve@elsewhere.example>\r\n"
                                       + signature, 1)
                 for name in ("From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID",
                              "MIME-Version", "Content-Type", "List-Unsubscribe")}
        changed = {
            "body": message.replace(b"Hello", b"Hallo"),
            "line at the end": message + b"more\r\n",
            "subject": message.replace(b"Subject: Invoice", b"Subject: Invoices"),
            "one click": message.replace(b"List-Unsubscribe-Post:", b"List-Unsubscribe-Past:"),
            "time": re.sub(rb"(DKIM-Signature:[^;]*;[^;]*;[^;]*;[^;]*;[^;]*; *(?:\r\n *)?t=)\d",
                           rb"\g<1>0", message),
        }
        for what, tampered in {**added, **changed}.items():
            with self.subTest(what):
                self.assertNotEqual(message, tampered)
                verdicts = self.verifiers.verdicts(tampered)
                self.assertEqual(set(KEYS), {selector for selector, _ in verdicts})
                self.assertEqual({False}, set(verdicts.values()), verdicts)

    def test_what_a_relay_may_do_on_the_way_does_no_harm(self):
        """Trace fields, other folding and blanks, empty lines at the end (RFC 6376 3.4.2, 3.4.4)."""
        message = re.sub(rb"\r?\n", b"\r\n", self.send("both", FORMS["unsubscribe"]))
        message = message.replace(b"Subject: Invoice", b"SUBJECT:  Invoice\t")
        message = message.replace(b"DKIM-Signature: v=1; ", b"dkim-signature:v=1;\r\n\t ")
        self.assert_good(b"Received: by a.example\r\n" + message + b"\r\n\r\n", KEYS)

    def test_a_sender_no_key_is_for_is_not_signed_and_the_log_says_so_once(self):
        before = len(self.said_unsigned())
        raw = self.send("both", email(**{"from": {"email": "ada@elsewhere.example"}}))
        self.assertNotIn(b"DKIM-Signature", raw)
        message_id = re.search(rb"^Message-ID: (\S+)", raw, re.MULTILINE)[1].decode()
        said = support.until(lambda: self.said_unsigned()[before:], "a line of the log")
        self.assertEqual([("info", "both", message_id)],
                         [(line["level"], line["relay"], line["message_id"]) for line in said])

    def said_unsigned(self):
        lines = map(json.loads, self.server.process.output("stderr").splitlines())
        return [line for line in lines if line["event"] == "dkim_unsigned"]

    def test_the_signature_counts_for_the_size(self):
        if self.postfix is None:
            self.skipTest(servers.why_not_postfix())

        def execute(sender, lines):
            return self.server.execute({"config": {"relay": "small"}, "email": email(
                **{"from": {"email": sender}}, text=("x" * 60 + "\r\n") * lines)})

        unsigned = "ada@elsewhere.example"
        lines = 1000
        lines += (servers.Postfix.SMALL - int(execute(unsigned, lines).message["sizeBytes"])) // 62
        self.assertTrue(execute(unsigned, lines).ok)
        self.assertEqual("MESSAGE_TOO_LARGE", execute(SENDER, lines).reason)
        self.assertTrue(execute(SENDER, lines - 50).ok)

    def test_a_key_that_is_gone_sends_nothing(self):
        file = self.folder / "passing.pem"
        file.write_bytes((self.folder / "ed.pem").read_bytes())
        relays = self.folder / "passing.json"
        relays.write_text(json.dumps({"relays": {"r": self.relay({"provider": "sandbox"}, {
            "domain": "example.org", "selector": "s", "private_key": {"file": str(file)}})}}))
        server = support.Sendstepd("--sandbox", "--relays-file", relays)
        self.addCleanup(server.stop)
        request = {"config": {"relay": "r"}, "email": email()}
        self.assertTrue(server.execute({**request}).ok)
        for spoil in (lambda: file.write_text("no key"), file.unlink):
            spoil()
            answer = server.execute({**request, "request_id": secrets.token_hex(8)})
            self.assertEqual("SECRET_UNAVAILABLE", answer.reason)
        self.assertEqual(1, len(support.Maildir(server.folder / "state" / "sandbox").messages()))

    def test_a_key_that_cannot_sign_is_named_and_the_server_does_not_start(self):
        short, _ = make_key(self.folder, "short", ["-algorithm", "rsa", "-pkeyopt",
                                                   "rsa_keygen_bits:1000"])
        encrypted = self.folder / "encrypted.pem"
        openssl("pkey", "-in", str(self.folder / "rsa.pem"), "-aes128", "-passout", "pass:word",
                "-out", str(encrypted))
        for file, why in ((short, "1000 bits"), (encrypted, "encrypted")):
            relays = self.folder / "bad.json"
            relays.write_text(json.dumps({"relays": {"house": self.relay(
                {"provider": "sandbox"}, self.keys["ed"],
                {"domain": "example.org", "selector": "s", "private_key": {"file": str(file)}})}}))
            ran = support.run([support.BUILD / "sendstepd", "--listen", "127.0.0.1:0", "--sandbox",
                               "--state-dir", self.folder / "state", "--relays-file", relays])
            self.assertNotEqual(0, ran.code)
            detail = json.loads(ran.err.splitlines()[-1])["detail"]
            self.assertIn('relay "house": dkim[1].private_key: the private key', detail)
            self.assertIn(why, detail)

    def test_a_short_key_signs_and_the_log_advises_against_it(self):
        file, text = make_key(self.folder, "old", ["-algorithm", "rsa", "-pkeyopt",
                                                   "rsa_keygen_bits:1024"])
        relays = self.folder / "old.json"
        relays.write_text(json.dumps({"relays": {"r": self.relay({"provider": "sandbox"}, {
            "domain": "example.org", "selector": "old", "private_key": {"file": str(file)}})}}))
        server = support.Sendstepd("--sandbox", "--relays-file", relays)
        self.addCleanup(server.stop)
        line = json.loads(server.process.wait_line(".*dkim_key_short.*", "stderr")[0])
        self.assertEqual(("warning", "r", "dkim[0].private_key", 1024),
                         (line["level"], line["relay"], line["field"], line["bits"]))


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
