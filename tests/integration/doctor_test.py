#!/usr/bin/python3
"""The command sendstep doctor, and what TestSend and ValidateConfig say of a domain, against NSD
with a zone for each situation."""

import base64
import socket
import subprocess
import time
import unittest

import nsd
import runner
import servers
import support


def rsa_key(bits):
    private = subprocess.run(["openssl", "genrsa", str(bits)], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=private,
                         capture_output=True, check=True).stdout
    return base64.b64encode(der).decode()


def ed25519_key():
    private = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True,
                             check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], input=private,
                         capture_output=True, check=True).stdout
    return base64.b64encode(der[-32:]).decode()


KEY = rsa_key(2048)
GOOD = f"v=DKIM1; k=rsa; p={KEY}"


def mail(domain):
    return [(domain, "MX", f"10 mx.{domain}."), (f"mx.{domain}", "A", "192.0.2.25")]


def sendgrid(domain):
    return [(f"s{n}._domainkey.{domain}", "CNAME", f"s{n}.domainkey.u1.wl.sendgrid.net.")
            for n in (1, 2)]


def gmail(domain):
    return [(domain, "TXT", "v=spf1 include:_spf.google.com ~all"),
            (f"google._domainkey.{domain}", "TXT", GOOD)]


def dmarc(domain, policy):
    return [(f"_dmarc.{domain}", "TXT", policy)]


PROVIDERS = [
    ("s1.domainkey.u1.wl.sendgrid.net", "TXT", GOOD),
    ("s2.domainkey.u1.wl.sendgrid.net", "TXT", GOOD),
    ("sendgrid.net", "TXT", "v=spf1 ip4:167.89.0.0/17 ~all"),
    ("_spf.google.com", "TXT", "v=spf1 include:_netblocks.google.com include:_netblocks2.google.com "
                               "include:_netblocks3.google.com ~all"),
    ("_netblocks.google.com", "TXT", "v=spf1 ip4:35.190.247.0/24 ~all"),
    ("_netblocks2.google.com", "TXT", "v=spf1 ip6:2001:4860:4000::/36 ~all"),
    ("_netblocks3.google.com", "TXT", "v=spf1 ip4:172.217.0.0/19 ~all"),
    ("pm.mtasv.net", "TXT", "v=spf1 ip4:50.31.156.96/27 ~all"),
    ("feedback-smtp.us-east-1.amazonses.com", "A", "192.0.2.99"),
    ("amazonses.com", "TXT", "v=spf1 ip4:199.255.192.0/22 -all"),
    ("elsewhere.test", "TXT", GOOD),
    ("25.2.0.192.in-addr.arpa", "PTR", "mx.named.test."),
]

# What the help page of today describes: SPF lets nobody send, and DMARC asks for each policy.
DOCUMENTED = [row for policy in ("reject", "quarantine", "none")
              for row in mail(f"{policy}.test")
              + [(f"{policy}.test", "TXT", "v=spf1 -all")]
              + dmarc(f"{policy}.test", f"v=DMARC1; p={policy}")]


class Situation:
    """One domain of the table: its records, how it is asked about, what has to be found."""

    def __init__(self, name, records, find=(), provider="gmail", dmarc=None, args=(), miss=()):
        self.name, self.records, self.find = name, records, find
        self.provider, self.dmarc, self.args, self.miss = provider, dmarc, args, miss


def situations():
    def domain(name, *records, base=True):
        whole = f"{name}.test"
        rows = mail(whole) if base else []
        return rows + [(f"{label}.{whole}" if label else whole, kind, data)
                       for label, kind, data in records]

    spf = ("", "TXT", "v=spf1 include:_spf.google.com ~all")
    key = ("google._domainkey", "TXT", GOOD)
    policy = ("_dmarc", "TXT", "v=DMARC1; p=reject")
    many = " ".join(f"include:i{n}.many.test" for n in range(11))
    voids = " ".join(f"a:void{n}.voids.test" for n in range(3))
    return [
        Situation("well", domain("well", spf, key, policy), dmarc="CAN_PASS_YES",
                  miss=("spf.", "dkim.", "dmarc.", "domain.", "from.")),
        # The domain itself.
        Situation("missing", [], ["domain.missing"]),
        Situation("nullmx", domain("nullmx", ("", "MX", "0 ."), spf, key, policy, base=False),
                  ["domain.null_mx"]),
        Situation("nomx", domain("nomx", spf, key, policy, base=False), ["domain.no_mx"]),
        Situation("hollowmx", [("hollowmx.test", "MX", "10 gone.hollowmx.test.")],
                  ["domain.mx_without_address"]),
        Situation("noname", mail("noname.test"), ["ip.no_name"], args=["--ip", "192.0.2.77"]),
        Situation("named", mail("named.test"), miss=["ip."], args=["--ip", "192.0.2.25"]),
        # SPF.
        Situation("nospf", domain("nospf", policy), ["spf.missing"], dmarc="CAN_PASS_NO"),
        Situation("twospf", domain("twospf", spf, ("", "TXT", "v=spf1 mx -all"), policy),
                  ["spf.several"], dmarc="CAN_PASS_NO"),
        Situation("glued", domain("glued", ("", "TXT", "v=spf1 ip4:192.0.2.7~all"), policy),
                  ["spf.syntax"], dmarc="CAN_PASS_NO"),
        Situation("many", domain("many", ("", "TXT", f"v=spf1 {many} -all"), policy)
                  + [(f"i{n}.many.test", "TXT", "v=spf1 -all") for n in range(11)],
                  ["spf.too_many_lookups"], dmarc="CAN_PASS_NO"),
        Situation("voids", domain("voids", ("", "TXT", f"v=spf1 {voids} -all"), policy),
                  ["spf.too_many_voids"], dmarc="CAN_PASS_NO"),
        Situation("loop", domain("loop", ("", "TXT", "v=spf1 include:loop.test -all"), policy),
                  ["spf.loop"], dmarc="CAN_PASS_NO"),
        Situation("hollow", domain("hollow", ("", "TXT", "v=spf1 include:mx.hollow.test -all"),
                                   policy),
                  ["spf.include_without_record"], dmarc="CAN_PASS_NO"),
        Situation("redirect", domain("redirect",
                                     ("", "TXT", "v=spf1 mx -all redirect=_spf.google.com"), policy),
                  ["spf.redirect_ignored"], dmarc="CAN_PASS_NO"),
        Situation("dead", domain("dead", ("", "TXT", "v=spf1 -all include:_spf.google.com"), policy),
                  ["spf.dead_terms", "spf.not_reached"], dmarc="CAN_PASS_NO"),
        Situation("plusall", domain("plusall", ("", "TXT", "v=spf1 +all")), ["spf.all_pass"]),
        Situation("noall", domain("noall", ("", "TXT", "v=spf1 include:_spf.google.com")),
                  ["spf.no_all"], dmarc="CAN_PASS_YES"),
        Situation("ptr", domain("ptr", ("", "TXT", "v=spf1 ptr include:_spf.google.com -all")),
                  ["spf.ptr"]),
        Situation("unreached", domain("unreached", ("", "TXT", "v=spf1 mx -all"), policy),
                  ["spf.not_reached"], dmarc="CAN_PASS_NO"),
        # DKIM.
        Situation("nokey", domain("nokey", spf), ["dkim.none"]),
        Situation("wrongtarget", domain("wrongtarget",
                                        ("s1._domainkey", "CNAME", "elsewhere.test."), policy),
                  ["dkim.wrong_target"], provider="sendgrid", dmarc="CAN_PASS_NO"),
        Situation("dangling", domain("dangling",
                                     ("s1._domainkey", "CNAME", "gone.wl.sendgrid.net."), policy),
                  ["dkim.dangling_cname"], provider="sendgrid", dmarc="CAN_PASS_NO"),
        Situation("copied", domain("copied", ("s1._domainkey", "TXT", GOOD)), ["dkim.copied_key"],
                  provider="sendgrid"),
        Situation("revoked", domain("revoked", ("google._domainkey", "TXT", "v=DKIM1; p=")),
                  ["dkim.revoked"]),
        Situation("testing", domain("testing", ("google._domainkey", "TXT",
                                                f"v=DKIM1; k=rsa; t=y; p={KEY}")),
                  ["dkim.testing"]),
        Situation("short", domain("short", ("google._domainkey", "TXT",
                                            f"v=DKIM1; k=rsa; p={rsa_key(512)}")),
                  ["dkim.short_key"]),
        Situation("broken", domain("broken", ("google._domainkey", "TXT", "v=DKIM1; p=%%%")),
                  ["dkim.bad_key"]),
        Situation("ed25519", domain("ed25519", ("google._domainkey", "TXT",
                                                f"v=DKIM1; k=ed25519; p={ed25519_key()}")),
                  ["dkim.ed25519_only"]),
        Situation("ownselector", domain("ownselector", ("k7._domainkey", "TXT", GOOD), policy),
                  provider="mailgun", dmarc="CAN_PASS_YES", args=["--selector", "k7"]),
        Situation("unguessable", domain("unguessable", ("k7._domainkey", "TXT", GOOD), policy),
                  provider="ses", dmarc="CAN_PASS_UNKNOWN"),
        # DMARC.
        Situation("nodmarc", domain("nodmarc", spf, key), ["dmarc.missing"], dmarc="CAN_PASS_YES"),
        Situation("apex", domain("apex", ("", "TXT", "v=DMARC1; p=reject")), ["dmarc.at_apex"]),
        Situation("twodmarc", domain("twodmarc", policy, ("_dmarc", "TXT", "v=DMARC1; p=none")),
                  ["dmarc.several"]),
        Situation("case", domain("case", ("_dmarc", "TXT", "v=dmarc1; p=reject")),
                  ["dmarc.version_case"]),
        Situation("badvalue", domain("badvalue", ("_dmarc", "TXT", "v=DMARC1; p=refuse")),
                  ["dmarc.bad_value"]),
        Situation("pct", domain("pct", ("_dmarc", "TXT", "v=DMARC1; p=reject; pct=20")),
                  ["dmarc.removed_tag"]),
        Situation("rua", domain("rua", ("_dmarc", "TXT",
                                        "v=DMARC1; p=none; rua=mailto:d@reports.test"))
                  + mail("reports.test"), ["dmarc.rua_not_authorized"]),
        Situation("strict", domain("strict", ("_dmarc", "TXT", "v=DMARC1; p=reject; aspf=s"),
                                   ("pm-bounces", "CNAME", "pm.mtasv.net.")),
                  provider="postmark", dmarc="CAN_PASS_NO"),
        Situation("returnpath", domain("returnpath", policy,
                                       ("pm-bounces", "CNAME", "pm.mtasv.net.")),
                  provider="postmark", dmarc="CAN_PASS_YES"),
        Situation("send", domain("send", policy,
                                 ("send", "MX", "10 feedback-smtp.us-east-1.amazonses.com."),
                                 ("send", "TXT", "v=spf1 include:amazonses.com ~all")),
                  provider="resend", dmarc="CAN_PASS_YES"),
        # The rest.
        Situation("extras", domain("extras", spf, key, policy,
                                   ("_mta-sts", "TXT", "v=STSv1; id=1"),
                                   ("_smtp._tls", "TXT", "v=TLSRPTv1; rua=mailto:t@extras.test"),
                                   ("default._bimi", "TXT", "v=BIMI1; l=https://extras.test/l.svg")),
                  ["mta_sts.present", "tls_rpt.present", "bimi.present"]),
        Situation("logo", domain("logo", ("default._bimi", "TXT", "v=BIMI1; l=https://a.test/l.svg")),
                  ["bimi.without_policy"]),
        Situation("long", domain("long", ("", "TXT", "v=spf1 include:_spf.google.com ~all"),
                                 *[("", "TXT", f"site-verification-{n}=" + "x" * 230)
                                   for n in range(40)], key, policy), dmarc="CAN_PASS_YES"),
    ]


class Doctor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if why := nsd.why_not():
            raise unittest.SkipTest(why)
        cls.situations = situations()
        records = PROVIDERS + DOCUMENTED + [row for s in cls.situations for row in s.records]
        records += mail("gmail.com") + dmarc("gmail.com", "v=DMARC1; p=none; sp=quarantine")
        records += mail("parent.test") + dmarc("parent.test", "v=DMARC1; p=none; sp=quarantine; "
                                               "np=reject") + mail("child.parent.test")
        cls.dns = nsd.Nsd(nsd.root(records))
        cls.addClassCleanup(cls.dns.stop)

    def doctor(self, *args, code=None, dns=None):
        ran = support.sendstep("doctor", *args, "--dns-server", dns or self.dns.address)
        if code is not None:
            self.assertEqual(code, ran.code, ran.out + ran.err)
        return ran

    def test_each_situation_of_the_table_is_found(self):
        for situation in self.situations:
            with self.subTest(situation.name):
                ran = self.doctor(f"{situation.name}.test", "--provider", situation.provider,
                                  *situation.args, "--json")
                self.assertIn(ran.code, (0, 3), ran.err)
                found = [finding["id"] for finding in ran.json["findings"]]
                said = ran.json["dmarc"].removeprefix("CAN_PASS_").lower()
                print(f"{situation.name:13} {situation.provider:9} {said:8} "
                      f"{ran.json['queries']:2} questions  {', '.join(found)}")
                for wanted in situation.find:
                    self.assertIn(wanted, found)
                for unwanted in situation.miss:
                    self.assertEqual([], [f for f in found if f.startswith(unwanted)])
                if situation.dmarc:
                    self.assertEqual(situation.dmarc, ran.json["dmarc"], ran.out)
                self.assertLessEqual(ran.json["queries"], 40)

    def test_the_three_documented_policies_get_verdict_and_fix(self):
        outcomes = {"reject": ("RECEIVER_ACTION_REFUSE", "will be refused"),
                    "quarantine": ("RECEIVER_ACTION_SPAM_FOLDER", "will go to the spam folder"),
                    "none": ("RECEIVER_ACTION_NOTHING", "counts as not authenticated")}
        for policy, (action, words) in outcomes.items():
            for provider in ("sendgrid", "gmail"):
                with self.subTest(policy=policy, provider=provider):
                    ran = self.doctor(f"{policy}.test", "--provider", provider, code=3)
                    print(f"\n$ sendstep doctor {policy}.test --provider {provider}\n{ran.out}")
                    self.assertIn(words, ran.out.splitlines()[0])
                    answer = self.doctor(f"{policy}.test", "--provider", provider, "--json").json
                    self.assertEqual("CAN_PASS_NO", answer["dmarc"])
                    self.assertEqual(action, answer["ifItFails"])
                    fixes = {(fix["type"], fix["name"]): fix["value"] for fix in answer["fixes"]}
                    if provider == "sendgrid":
                        self.assertEqual("s1.domainkey.*.sendgrid.net",
                                         fixes["CNAME", f"s1._domainkey.{policy}.test"])
                        self.assertNotIn(("TXT", f"{policy}.test"), fixes)
                    else:
                        self.assertEqual("v=spf1 include:_spf.google.com -all",
                                         fixes["TXT", f"{policy}.test"])
                        self.assertIn(("TXT", f"google._domainkey.{policy}.test"), fixes)

    def test_what_a_fix_says_makes_the_verdict_pass(self):
        mended = mail("mended.test") + dmarc("mended.test", "v=DMARC1; p=reject")
        broken = self.doctor("reject.test", "--provider", "gmail", "--json").json
        for fix in broken["fixes"]:
            if fix["fromAccount"]:
                continue
            mended.append((fix["name"].replace("reject.test", "mended.test"), fix["type"],
                           fix["value"]))
        other = nsd.Nsd(nsd.root(PROVIDERS + mended))
        self.addCleanup(other.stop)
        answer = self.doctor("mended.test", "--provider", "gmail", "--json", dns=other.address).json
        self.assertEqual("CAN_PASS_YES", answer["dmarc"], answer["summary"])

    def test_a_subdomain_inherits_the_policy_above_it(self):
        for domain, action in (("child.parent.test", "RECEIVER_ACTION_SPAM_FOLDER"),
                               ("ghost.parent.test", "RECEIVER_ACTION_REFUSE")):
            with self.subTest(domain):
                answer = self.doctor(domain, "--provider", "gmail", "--json").json
                self.assertEqual("_dmarc.parent.test", answer["dmarcPolicy"]["name"])
                self.assertEqual(action, answer["ifItFails"])

    def test_a_free_mailbox_through_another_provider_is_named(self):
        found = self.doctor("gmail.com", "--provider", "sendgrid", "--json").json["findings"]
        self.assertIn("from.free_mail", [finding["id"] for finding in found])
        found = self.doctor("gmail.com", "--provider", "gmail", "--json").json["findings"]
        self.assertNotIn("from.free_mail", [finding["id"] for finding in found])

    def test_dns_that_is_dead_or_silent_leaves_everything_undetermined(self):
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        for kind, address in (("dead", f"127.0.0.1:{servers.free_port()}"),
                              ("silent", f"127.0.0.1:{silent.getsockname()[1]}")):
            with self.subTest(kind):
                answer = self.doctor("reject.test", "--provider", "sendgrid", "--json", "--timeout",
                                     "3", code=0, dns=address).json
                self.assertEqual("CAN_PASS_UNKNOWN", answer["dmarc"])
                self.assertEqual("RECEIVER_ACTION_UNKNOWN", answer["ifItFails"])
                self.assertEqual([], answer["fixes"])

    def test_questions_of_a_typical_domain_run_side_by_side(self):
        for domain, provider in (("well.test", "gmail"), ("returnpath.test", "postmark")):
            rounds = nsd.Rounds(self.dns)
            self.addCleanup(rounds.stop)
            self.doctor(domain, "--provider", provider, "--json", code=0, dns=rounds.address)
            print(f"\n{domain} through {provider}: {rounds.queries} DNS questions, "
                  f"{rounds.rounds} one after another")
            self.assertLessEqual(rounds.queries, 40)
            self.assertLessEqual(rounds.rounds, 5)

    def test_what_is_typed_wrong_is_named(self):
        for words, args in (("--provider", ["well.test", "--provider", "sendgird"]),
                            ("DOMAIN", ["192.0.2.1", "--provider", "gmail"]),
                            ("DOMAIN", ["a..test", "--provider", "gmail"]),
                            ("DOMAIN", ["x" * 300 + ".test", "--provider", "gmail"]),
                            ("--selector", ["well.test", "--selector", "a b"]),
                            ("--ip", ["spf", "--ip", "nonsense"]),
                            ("--ip", ["well.test", "--ip", "nonsense"])):
            with self.subTest(args=args):
                ran = self.doctor(*args)
                self.assertIn(ran.code, (2, 3))
                self.assertIn(words, ran.err)

    def test_spf_is_one_line_for_scripts(self):
        for ip, sender, result in (("172.217.0.9", "a@well.test", "pass"),
                                   ("192.0.2.9", "a@well.test", "softfail"),
                                   ("192.0.2.9", "a@reject.test", "fail"),
                                   ("192.0.2.9", "a@glued.test", "permerror"),
                                   ("192.0.2.9", "a@missing.test", "none")):
            with self.subTest(sender=sender, ip=ip):
                ran = self.doctor("spf", "--ip", ip, "--sender", sender, "--helo", "h.test", code=0)
                self.assertEqual(1, ran.out.count("\n"))
                self.assertEqual(result, ran.out.split()[0])

    def test_a_test_send_says_what_the_providers_acceptance_does_not(self):
        server = support.Sendstepd("--sandbox", "--dns-server", self.dns.address)
        self.addCleanup(server.stop)
        config = {"smtp": {"provider": "custom", "host": "127.0.0.1", "port": 1, "tls": "TLS_MODE_OFF",
                           "domain": "client.test"}}
        request = {"config": config, "to": [{"email": "bob@well.test"}],
                   "email": {"from": {"email": "ada@reject.test"}}}
        answer = server.call("TestSend", request).message
        self.assertEqual("reject.test", answer["deliverability"]["domain"])
        self.assertEqual("CAN_PASS_NO", answer["deliverability"]["dmarc"])
        request["skipDeliverability"] = True
        self.assertNotIn("deliverability", server.call("TestSend", request).message)
        validate = {"config": {"smtp": {"provider": "sendgrid", "username": "apikey",
                                        "password": {"value": support.watch.secret("key")},
                                        "dkimSelectors": ["s1"]}},
                    "email": {"from": {"email": "ada@quarantine.test"},
                              "to": [{"email": "bob@well.test"}], "subject": "s", "text": "t"}}
        self.assertNotIn("deliverability", server.call("ValidateConfig", validate).message)
        validate["deliverability"] = True
        answer = server.call("ValidateConfig", validate).message
        self.assertTrue(answer["valid"], answer)
        self.assertEqual("RECEIVER_ACTION_SPAM_FOLDER", answer["deliverability"]["ifItFails"])
        validate["config"]["smtp"]["dkimSelectors"] = ["a b"]
        self.assertEqual("config.smtp.dkim_selectors[0]",
                         server.call("ValidateConfig", validate).message["diagnostics"][0]["field"])


class Ended(unittest.TestCase):
    """A diagnosis under way, with DNS and an SMTP server that say nothing."""

    def setUp(self):
        self.dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.smtp = socket.create_server(("127.0.0.1", 0))
        self.dns.bind(("127.0.0.1", 0))
        for opened in (self.dns, self.smtp):
            self.addCleanup(opened.close)
        self.server = support.Sendstepd("--dns-server", f"127.0.0.1:{self.dns.getsockname()[1]}",
                                        "--drain-timeout", "100ms")
        self.addCleanup(self.server.stop)
        self.request = {"config": {"smtp": {"host": "127.0.0.1", "port": self.smtp.getsockname()[1],
                                            "tls": "TLS_MODE_OFF", "domain": "client.test"}},
                        "to": [{"email": "bob@well.test"}],
                        "email": {"from": {"email": "ada@well.test"}}}

    def under_way(self):
        self.dns.recvfrom(4096)
        self.smtp.accept()[0].detach()

    def test_a_stop_breaks_it_off(self):
        call = self.server.call_in_background("TestSend", self.request)
        self.under_way()
        began = time.monotonic()
        self.server.stop()
        self.assertLess(time.monotonic() - began, 4)  # a diagnosis has 5 s
        call.join()
        self.assertEqual("UNAVAILABLE", call.answer.code)
        self.assertNotIn("internal_error", self.server.process.output("stderr"))

    def test_a_caller_that_leaves_ends_it(self):
        caller = self.server.call_from_a_process("TestSend", self.request)
        self.under_way()
        caller.kill()
        ended = self.server.process.wait_line(r'"method":"TestSend".*"outcome":"(\w+)".*'
                                              r'"took_ms":(\d+)', "stderr")
        self.assertEqual("cancelled", ended.group(1))
        self.assertLess(int(ended.group(2)), 4000)
        self.assertNotIn("internal_error", self.server.process.output("stderr"))

    def test_a_deadline_that_passes_is_answered_with_what_is_known(self):
        answer = self.server.call("TestSend", self.request, deadline=2)
        self.assertEqual("CAN_PASS_UNKNOWN", answer.message["deliverability"]["dmarc"])
        self.assertEqual("REASON_TIMEOUT", answer.message["failure"]["reason"])


if __name__ == "__main__":
    runner.main()
