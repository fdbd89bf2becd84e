"""Judges a run of the crash tests by what its witnesses wrote: the sink (each recipient it took, on
disk before it said so), the callers (each answer), the ledger at the end, and the harness (when it
killed what). It proves, for each key (one email, one request_id):

  duplicate    no recipient was taken twice, unless the caller asked to resend what is uncertain
  lost         who was said to have the email, has it; every call came to an end
  not failed   what was said to have failed was taken for nobody
  uncertain    a key is uncertain only where the end of its message may have been cut off: the
               sink dropped the connection there, or a call of the key was under way at a server
               that was killed (at a failpoint inside the gate, where it is known), or while the
               database was down
  refused      nobody but those whom the sink refuses for good was refused for good
  forgotten    the ledger knows every key that a caller got an answer for, and says the same
  unfinished   no execution is under way once everybody has gone
  message id   all messages of a key carry the same

Each witness is a list of dictionaries, as the programs write them; times are milliseconds since
1970. Pure: reads and writes nothing.
"""

import json
from dataclasses import dataclass, field

# From the gate's record on, until the outcome is recorded, a crash leaves what nobody can know.
INSIDE_THE_GATE = {"gated", "end_sent", "verdict"}

# Answers that say that nobody has the email (a final FAILED_PRECONDITION, INVALID_ARGUMENT, ...).
NOTHING_SENT = {"FAILED_PRECONDITION", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED",
                "PERMISSION_DENIED", "INTERNAL"}


@dataclass
class Run:
    """What the witnesses of one run wrote.

    emails   key, to, resend: what was asked for
    sink     event ("accepted", "dropped"), key, recipient, at, message_id
    calls    key, target, at, until, code, reason, final, gave_up, recipients, message_id
    ledger   requestId, state, recipients, messageId: as ListExecutions says it; None: there is none
    kills    target (None: the database), at, until, failpoint (or None), paused (true: it was
             stopped and went on, so that its call may have had its answer after all)
    alone    one call at a time: a kill at a failpoint hits that call and no other
    """
    emails: list
    sink: list
    calls: list
    ledger: list = None
    kills: list = field(default_factory=list)
    alone: bool = False


@dataclass
class Verdict:
    violations: list = field(default_factory=list)  # (kind, key, text)
    keys: int = 0
    sends: int = 0  # calls
    accepted: int = 0
    uncertain: int = 0
    kills: int = 0

    def count(self, *kinds):
        return sum(kind in kinds for kind, _, _ in self.violations)

    @property
    def duplicates(self):
        return self.count("duplicate")

    @property
    def lost(self):
        return self.count("lost")

    @property
    def others(self):
        return len(self.violations) - self.duplicates - self.lost


def behaviour(address):
    """The word before the first dot, without its number: see sink.cc."""
    return address.split("@")[0].split(".")[0].rstrip("0123456789")


class _Key:
    """All that was written about one key."""

    def __init__(self, email):
        self.key = email["key"]
        self.email = email
        self.accepted = []
        self.dropped = []
        self.calls = []
        self.execution = None

    @property
    def recipients(self):
        return list(dict.fromkeys(self.email["to"]))

    def times(self, recipient):
        return sum(line["recipient"] == recipient for line in self.accepted)

    def finals(self):
        return [call for call in self.calls if call["final"]]

    def story(self):
        lines = [("sink", line) for line in self.accepted + self.dropped]
        lines += [("call", line) for line in self.calls]
        lines.sort(key=lambda line: line[1].get("until", line[1].get("at", 0)))
        lines += [("ledger", self.execution)]
        return "\n".join(f"    {source:6} {json.dumps(line)}" for source, line in lines)


def judge(run):
    keys = {email["key"]: _Key(email) for email in run.emails}
    verdict = Verdict(keys=len(keys), sends=len(run.calls), kills=len(run.kills))
    _collect(run, keys, verdict)
    for entry in keys.values():
        for kind, text in _faults(run, entry):
            verdict.violations.append((kind, entry.key, f"{text}\n{entry.story()}"))
        verdict.uncertain += _is_uncertain(entry)
    return verdict


def _collect(run, keys, verdict):
    for line in run.sink:
        entry = keys.get(line["key"])
        if entry is None:
            verdict.violations.append(("stranger", line["key"], f"nobody sent it: {line}"))
        elif line["event"] == "accepted":
            entry.accepted.append(line)
            verdict.accepted += 1
        else:
            entry.dropped.append(line)
    for call in run.calls:
        keys[call["key"]].calls.append(call)
    for execution in run.ledger or []:
        entry = keys.get(execution["requestId"])
        if entry is None:
            verdict.violations.append(("stranger", execution["requestId"], str(execution)))
        else:
            entry.execution = execution


def _faults(run, entry):
    yield from _duplicates(run, entry)
    yield from _lost(run, entry)
    yield from _wrongly_failed(entry)
    yield from _unexplained(run, entry)
    yield from _wrongly_refused(entry)
    yield from _message_ids(entry)
    if run.ledger is not None:
        yield from _disagreement(entry)


def _duplicates(run, entry):
    allowed = 1
    if entry.email.get("resend"):
        allowed += len(list(_causes(run, entry)))
    for recipient in entry.recipients:
        times = entry.times(recipient)
        if times > allowed:
            yield "duplicate", f"{recipient} has it {times} times"


def _lost(run, entry):
    if not entry.calls:
        yield "lost", "no call came to an end"
    elif any(call.get("gave_up") for call in entry.calls):
        yield "lost", "a call was retried to the end and never came to an end"
    said = [("a caller was told", call.get("recipients", []))
            for call in entry.calls if call["code"] == "OK"]
    if entry.execution:
        said.append(("the ledger says", [r.get("status", "") for r in
                                         sorted(entry.execution.get("recipients", []),
                                                key=lambda r: r.get("index", 0))]))
    for who, statuses in said:
        for recipient, status in zip(entry.recipients, statuses):
            if status == "RECIPIENT_STATUS_ACCEPTED" and not entry.times(recipient):
                yield "lost", f"{who} that {recipient} has it, and it has not"
            if status == "RECIPIENT_STATUS_REJECTED" and entry.times(recipient):
                yield "not failed", f"{who} that {recipient} was refused, and it has it"
    for call in entry.calls:
        if call["code"] == "OK" and "RECIPIENT_STATUS_ACCEPTED" not in call.get("recipients", []):
            yield "lost", "a caller was told OK, and that nobody has it"
        elif call["code"] == "OK" and len(call["recipients"]) != len(entry.recipients):
            yield "lost", "a caller was not told of every recipient"


def _wrongly_failed(entry):
    if not entry.accepted:
        return
    if entry.execution and entry.execution["state"] == "EXECUTION_STATE_FAILED":
        yield "not failed", "the ledger says that it failed, and it was taken"
    for call in entry.finals():
        if call["code"] in NOTHING_SENT:
            yield "not failed", f"a caller was told {call['code']}, and it was taken"


def _is_uncertain(entry):
    state = (entry.execution or {}).get("state")
    return (state == "EXECUTION_STATE_UNCERTAIN" or
            any(call["code"] == "DATA_LOSS" for call in entry.calls))


def _causes(run, entry):
    """What may have cut off the end of a message of this key."""
    yield from entry.dropped
    for kill in run.kills:
        if run.alone and kill["failpoint"] and kill["failpoint"] not in INSIDE_THE_GATE:
            continue
        if any(_befell(kill, call) for call in entry.calls):
            yield kill


def _befell(kill, call):
    if kill["target"] is not None and (
            kill["target"] != call["target"] or (call["final"] and not kill.get("paused"))):
        return False
    return call["at"] <= kill["until"] and call["until"] >= kill["at"]


def _unexplained(run, entry):
    if _is_uncertain(entry) and not any(True for _ in _causes(run, entry)):
        yield "uncertain", "it is uncertain, and nothing happened inside the gate"


def _wrongly_refused(entry):
    for call in entry.finals():
        for recipient, status in zip(entry.recipients, call.get("recipients", [])):
            if (status == "RECIPIENT_STATUS_REJECTED") != (behaviour(recipient) == "hard"):
                yield "refused", f"{recipient} is {status}"
        if call["code"] == "FAILED_PRECONDITION":
            words = {behaviour(recipient) for recipient in entry.recipients}
            if "bad" not in words and words != {"hard"}:
                yield "refused", f"a caller was told {call['reason']}, and the sink refuses nothing"
        elif call["code"] != "OK" and call["reason"] != "DELIVERY_UNCERTAIN":
            yield "refused", f"a caller was told {call['code']} {call['reason']}: {call['text']}"


def _message_ids(entry):
    ids = {line["message_id"] for line in entry.accepted + entry.dropped + entry.calls
           if line.get("message_id")}
    if entry.execution and entry.execution.get("messageId"):
        ids.add(entry.execution["messageId"])
    if len(ids) > 1:
        yield "message id", f"several: {sorted(ids)}"


def _disagreement(entry):
    finals = entry.finals()
    if entry.execution is None:
        if finals:
            yield "forgotten", "a caller has an answer, and the ledger does not know it"
        return
    state = entry.execution["state"].removeprefix("EXECUTION_STATE_")
    if state in ("RESERVED", "COMMITTING", "PENDING"):
        yield "unfinished", f"it is {state} at the end"
    if any(call["code"] == "OK" for call in finals) and state != "SENT":
        yield "forgotten", f"a caller was told OK, and the ledger says {state}"
    if state == "SENT" and not any(call["code"] == "OK" for call in finals):
        # An owner that learns late makes SENT of what somebody was told is uncertain.
        if not any(call["code"] == "DATA_LOSS" for call in finals):
            yield "forgotten", "the ledger says SENT, and no caller was told"
