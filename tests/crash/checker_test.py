#!/usr/bin/python3
"""The checker of the crash tests finds what is planted, and nothing where all is well."""

import copy
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import checker  # noqa: E402
import runner  # noqa: E402

OK, REFUSED = "RECIPIENT_STATUS_ACCEPTED", "RECIPIENT_STATUS_REJECTED"


def email(key, *to, **more):
    return {"key": key, "to": list(to), **more}


def taken(key, recipient, at=50, message_id="<1@x>"):
    return {"event": "accepted", "key": key, "recipient": recipient, "at": at,
            "message_id": message_id, "connection": 1}


def dropped(key, at=50):
    return {"event": "dropped", "key": key, "at": at, "message_id": "<1@x>", "connection": 1}


def call(key, code="OK", recipients=(OK,), target=0, at=0, until=100, final=True, **more):
    line = {"key": key, "target": target, "at": at, "until": until, "code": code, "final": final,
            "gave_up": False, "message_id": "<1@x>", **more}
    if code == "OK":
        line["recipients"] = list(recipients)
    else:
        line.setdefault("reason", "DELIVERY_UNCERTAIN" if code == "DATA_LOSS" else "WHY")
        line.setdefault("text", "words")
    return line


def execution(key, state="SENT", statuses=(OK,)):
    return {"requestId": key, "state": f"EXECUTION_STATE_{state}", "messageId": "<1@x>",
            "recipients": [{"status": s, **({"index": i} if i else {})}
                           for i, s in enumerate(statuses)]}


def kill(at, target=0, failpoint=None):
    return {"target": target, "at": at, "until": at + 5, "failpoint": failpoint}


class Checker(unittest.TestCase):
    def setUp(self):
        """One of each: delivered, delivered in part, failed, uncertain by a drop and by a kill."""
        self.run = checker.Run(
            emails=[email("sent", "ok.1@x"), email("part", "hard.2@x", "ok.2@x"),
                    email("failed", "bad.3@x"), email("drop", "after1.4@x"),
                    email("killed", "ok.5@x")],
            sink=[taken("sent", "ok.1@x"), taken("part", "ok.2@x"), taken("drop", "after1.4@x"),
                  dropped("drop")],
            calls=[call("sent"), call("part", recipients=(REFUSED, OK)),
                   call("failed", "FAILED_PRECONDITION"), call("drop", "DATA_LOSS"),
                   call("killed", "UNAVAILABLE", final=False, reason="", at=200, until=300),
                   call("killed", "DATA_LOSS", at=310, until=400)],
            ledger=[execution("sent"), execution("part", statuses=(REFUSED, OK)),
                    execution("failed", "FAILED", ()), execution("drop", "UNCERTAIN", ()),
                    execution("killed", "UNCERTAIN", ())],
            kills=[kill(299)])

    def kinds(self, run=None):
        return sorted({kind for kind, _, _ in checker.judge(run or self.run).violations})

    def find(self, lines, key):
        return next(line for line in lines if line.get("key", line.get("requestId")) == key)

    def test_a_good_run_passes(self):
        verdict = checker.judge(self.run)
        self.assertEqual([], verdict.violations)
        self.assertEqual((5, 6, 3, 2, 1), (verdict.keys, verdict.sends, verdict.accepted,
                                           verdict.uncertain, verdict.kills))

    def test_a_run_without_a_ledger_is_judged_by_the_others(self):
        self.run.ledger = None
        self.assertEqual([], self.kinds())

    def test_duplicate(self):
        self.run.sink.append(taken("sent", "ok.1@x", at=60))
        self.assertEqual(["duplicate"], self.kinds())

    def test_duplicate_is_shown_with_the_lines_of_all_logs(self):
        self.run.sink.append(taken("sent", "ok.1@x", at=60))
        (_, key, text), = checker.judge(self.run).violations
        self.assertEqual("sent", key)
        self.assertEqual(2, text.count("    sink "))
        self.assertEqual(1, text.count("    call "))
        self.assertEqual(1, text.count("    ledger "))

    def test_a_duplicate_of_an_uncertain_email_is_one(self):
        self.run.sink.append(taken("drop", "after1.4@x", at=60))
        self.assertEqual(["duplicate"], self.kinds())

    def resent(self, times):
        """The dropped email, sent again as its caller wished."""
        self.find(self.run.emails, "drop")["resend"] = True
        self.run.sink += [taken("drop", "after1.4@x", at=60)] * times
        self.find(self.run.calls, "drop")["final"] = False
        self.run.calls.append(call("drop"))
        self.run.ledger[3] = execution("drop")

    def test_resending_what_is_uncertain_is_no_duplicate(self):
        self.resent(1)
        self.assertEqual([], self.kinds())

    def test_resending_more_often_than_it_was_cut_off_is_a_duplicate(self):
        self.resent(2)
        self.assertEqual(["duplicate"], self.kinds())

    def test_lost(self):
        self.run.sink.remove(taken("sent", "ok.1@x"))
        self.assertEqual(["lost"], self.kinds())

    def test_lost_for_one_of_several(self):
        self.run.sink.remove(taken("part", "ok.2@x"))
        self.assertEqual(["lost"], self.kinds())

    def test_lost_by_the_ledger_alone(self):
        self.run.calls[0] = call("sent", "DATA_LOSS")
        self.run.sink[0] = dropped("sent")
        self.assertEqual(["lost"], self.kinds())

    def test_never_finished(self):
        self.find(self.run.calls, "sent").update(
            code="UNAVAILABLE", final=False, gave_up=True, recipients=[])
        self.assertIn("lost", self.kinds())

    def test_no_answer_at_all(self):
        self.run.calls = [line for line in self.run.calls if line["key"] != "sent"]
        self.assertIn("lost", self.kinds())

    def test_ok_with_nobody_accepted(self):
        self.find(self.run.calls, "sent")["recipients"] = []
        self.assertEqual(["lost"], self.kinds())

    def test_failed_but_taken(self):
        self.run.sink.append(taken("failed", "bad.3@x"))
        self.assertEqual(["not failed"], self.kinds())

    def test_failed_in_the_ledger_alone_but_taken(self):
        self.find(self.run.ledger, "killed")["state"] = "EXECUTION_STATE_FAILED"
        self.run.sink.append(taken("killed", "ok.5@x"))
        self.assertEqual(["not failed"], self.kinds())

    def test_refused_but_taken(self):
        self.run.sink.append(taken("part", "hard.2@x"))
        self.assertEqual(["not failed"], self.kinds())

    def test_uncertain_without_a_cause(self):
        self.run.kills = []
        self.assertEqual(["uncertain"], self.kinds())

    def test_uncertain_in_the_ledger_alone_without_a_cause(self):
        self.find(self.run.ledger, "failed")["state"] = "EXECUTION_STATE_UNCERTAIN"
        self.assertEqual(["uncertain"], self.kinds())

    def test_a_kill_of_another_server_is_no_cause(self):
        self.run.kills = [kill(299, target=1)]
        self.assertEqual(["uncertain"], self.kinds())

    def test_a_kill_before_the_call_is_no_cause(self):
        self.run.kills = [kill(150)]
        self.assertEqual(["uncertain"], self.kinds())

    def test_a_kill_is_no_cause_for_a_call_that_was_answered(self):
        self.run.kills = [kill(399)]
        self.assertEqual(["uncertain"], self.kinds())

    def test_a_pause_is_a_cause_for_a_call_that_was_answered(self):
        self.run.kills = [{**kill(399), "paused": True}]
        self.assertEqual([], self.kinds())

    def test_the_database_down_is_a_cause(self):
        self.run.kills = [kill(299, target=None)]
        self.assertEqual([], self.kinds())

    def test_a_failpoint_outside_the_gate_is_no_cause_for_a_call_alone(self):
        for name, expected in (("begin", ["uncertain"]), ("reserved", ["uncertain"]),
                               ("before_gate", ["uncertain"]), ("gated", []), ("end_sent", []),
                               ("verdict", []), ("settled", ["uncertain"])):
            with self.subTest(name):
                run = copy.deepcopy(self.run)
                run.kills = [kill(299, failpoint=name)]
                run.alone = True
                self.assertEqual(expected, self.kinds(run))

    def test_a_refusal_by_nobody(self):
        self.find(self.run.calls, "sent").update(code="FAILED_PRECONDITION", reason="WHY")
        self.run.sink.remove(taken("sent", "ok.1@x"))
        self.run.ledger[0] = execution("sent", "FAILED", ())
        self.assertEqual(["refused"], self.kinds())

    def test_an_answer_no_one_should_get(self):
        self.run.calls[-1].update(code="INTERNAL", reason="INTERNAL")
        self.assertEqual(["refused"], self.kinds())

    def test_forgotten_by_the_ledger(self):
        del self.run.ledger[0]
        self.assertEqual(["forgotten"], self.kinds())

    def test_ledger_and_caller_disagree(self):
        self.find(self.run.ledger, "sent").update(state="EXECUTION_STATE_FAILED", recipients=[])
        self.assertEqual(["forgotten", "not failed"], self.kinds())

    def test_under_way_at_the_end(self):
        self.find(self.run.ledger, "failed")["state"] = "EXECUTION_STATE_COMMITTING"
        self.assertEqual(["unfinished"], self.kinds())

    def test_another_message_id(self):
        self.run.sink[0]["message_id"] = "<2@x>"
        self.assertEqual(["message id"], self.kinds())

    def test_mail_of_no_request(self):
        self.run.sink.append(taken("other", "ok.9@x"))
        self.assertEqual(["stranger"], self.kinds())


if __name__ == "__main__":
    runner.main()
