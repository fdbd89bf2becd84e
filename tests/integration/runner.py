"""Runs the test cases of one program and says what ran: a line per test, then
"N passed, N failed, N skipped", each skip with its reason.

With TEST_RESULTS set, the counts and skips are also left in $TEST_RESULTS-<program>.json, for
./check to add up.
"""

import json
import os
import sys
import time
import traceback
import unittest
from pathlib import Path


class _Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.passed = 0
        self.failed = []
        self._broken = set()

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()

    def _say(self, verdict, test, note=""):
        took = time.monotonic() - getattr(self, "_began", time.monotonic())
        print(f"{verdict:4} {_name(test)} ({took:.2f} s){note}", flush=True)

    def _fail(self, test, error):
        self._broken.add(test.id())
        self.failed.append(_name(test))
        self._say("FAIL", test)
        print("".join(_frames_of_ours(error)), flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        if test.id() not in self._broken:
            self.passed += 1
            self._say("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._broken.add(test.id())
            self._fail(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._say("skip", test, f": {reason}")


def main(*after):
    """Runs every TestCase of __main__, then each function of `after` as one more test."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    for function in after:
        suite.addTest(unittest.FunctionTestCase(function))
    if len(sys.argv) > 1:  # parts of names: only these
        suite = unittest.TestSuite(
            test for test in _flatten(suite) if any(part in test.id() for part in sys.argv[1:]))
    result = _Result()
    suite.run(result)
    skips = [f"{_name(test)}: {reason}" for test, reason in result.skipped]
    prefix = os.environ.get("TEST_RESULTS")
    if prefix:
        counts = {"passed": result.passed, "failed": result.failed, "skipped": skips}
        Path(f"{prefix}-{Path(sys.argv[0]).stem}.json").write_text(json.dumps(counts))
    print(f"{result.passed} passed, {len(result.failed)} failed, {len(skips)} skipped")
    sys.exit(0 if not result.failed and result.passed + len(skips) > 0 else 1)


def _frames_of_ours(error):
    kind, value, trace = error
    report = traceback.TracebackException(kind, value, trace)
    report.stack = traceback.StackSummary.from_list(
        [f for f in report.stack if Path(f.filename).parent.name != "unittest"])
    return report.format()


def _name(test):
    return test.id().removeprefix("__main__.")


def _flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flatten(test)
        else:
            yield test
