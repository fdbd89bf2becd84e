#!/usr/bin/python3
"""Adds up what ./check ran: reads every result file of a folder (JUnit of ctest and GoogleTest, JSON
of the integration programs), prints each failure and each skip with its reason, and closes with
"N passed, N failed, N skipped". Exit code 1 when a test failed or none ran."""

import json
import re
import sys
import xml.etree.ElementTree as xml
from pathlib import Path


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add_xml(self, path):
        """JUnit, as ctest and GoogleTest write it, each in its own way."""
        for case in xml.parse(path).getroot().iter("testcase"):
            suite = case.get("classname")
            name = f"{path.stem}: " + ".".join(filter(None, [
                suite if suite != case.get("name") else "", case.get("name")]))
            if case.find("failure") is not None:
                self.failed.append(name)
            elif case.find("skipped") is not None:
                self.skipped.append(f"{name}: {self.reason_of(case) or 'no reason given'}")
            elif case.get("status") == "run":
                self.passed += 1
            else:
                self.skipped.append(f"{name}: {case.get('status')}")

    @staticmethod
    def reason_of(case):
        """What was said to GTEST_SKIP(): it follows the line that names its place."""
        output = case.findtext("system-out")
        if output is None:
            return case.find("skipped").get("message", "").partition("\n")[2].strip()
        match = re.search(r": Skipped\n(.*?)\n*\[  SKIPPED \]", output, re.DOTALL)
        return match[1].strip() if match else ""

    def add_program(self, path, report):
        self.passed += report["passed"]
        self.failed += [f"{path.stem}: {name}" for name in report["failed"]]
        self.skipped += [f"{path.stem}: {skip}" for skip in report["skipped"]]


def main(folder):
    tally = Tally()
    for path in sorted(Path(folder).iterdir()):
        if path.suffix == ".xml":
            tally.add_xml(path)
        else:
            tally.add_program(path, json.loads(path.read_text(encoding="utf-8")))
    for name in tally.failed:
        print(f"failed  {name}")
    for name in tally.skipped:
        print(f"skipped {name}")
    print(f"{tally.passed} passed, {len(tally.failed)} failed, {len(tally.skipped)} skipped")
    return 0 if tally.passed and not tally.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
