#!/usr/bin/python3
"""Every command of README.md is run: each ```sh block that follows the line <!-- test --> runs in a
shell of its own, in order, in one folder, against a server with a sandbox. A block that cannot run
here says why in the line before it: <!-- not run: reason -->. ./demo and ./check need no mark.

In the commands $SERVER is the address of the server under test, which 127.0.0.1:7070 and
127.0.0.1:7071, the default addresses, stand for as well; sendstep, sendstepd and grpcurl are the
ones just built.
"""

import os
import re
import unittest

import runner
import support

RUN_BY_CHECK = {"./demo", "./demo --once", "./check", "./check --quick"}
README = support.SOURCE / "README.md"
BLOCK = re.compile(r"^(?:<!-- *(test|not run: [^\n]*?) *-->\n+)?```(?:sh|bash|console)\n(.*?)^```",
                   re.MULTILINE | re.DOTALL)


def blocks():
    """(line number, mark, commands) of every block of shell commands."""
    text = README.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        yield text.count("\n", 0, match.start(2)) + 1, match.group(1) or "", match.group(2)


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not README.exists():
            raise unittest.SkipTest("there is no README.md")
        cls.password = support.watch.secret("password")
        cls.folder = support.temporary_folder()
        cls.server = support.Sendstepd("--sandbox")
        cls.addClassCleanup(cls.server.stop)

    def run_block(self, commands):
        for port, address in (("7070", self.server.address), ("7071", self.server.http)):
            commands = re.sub(rf"\b(127\.0\.0\.1|localhost):{port}\b", address, commands)
        commands = re.sub(r"(\./)?build/\w+/(sendstepd?)\b", rf"{support.BUILD}/\2", commands)
        environment = {
            "PATH": f"{support.BUILD}:{support.TOOLS}:{os.environ['PATH']}",
            "SERVER": self.server.address,
            "SENDSTEP_SERVER": self.server.address,
            "SENDSTEP_PASSWORD": self.password,
            "HOME": str(self.folder),
        }
        return support.run(["bash", "-euo", "pipefail", "-c", commands], env=environment,
                           cwd=self.folder)

    def test_every_block_of_commands_is_run_or_says_why_not(self):
        unmarked = [f"README.md:{line}" for line, mark, commands in blocks()
                    if not mark and not set(commands.splitlines()) <= RUN_BY_CHECK]
        self.assertEqual([], unmarked)
        self.assertTrue(any(mark == "test" for _, mark, _ in blocks()))

    def test_the_commands_work(self):
        for line, mark, commands in blocks():
            if mark != "test":
                print(f"     README.md:{line} {mark or 'is run by ./check'}")
                continue
            with self.subTest(f"README.md:{line}"):
                ran = self.run_block(commands)
                self.assertEqual(0, ran.code, f"{commands}\n{ran.out}{ran.err}")

    def test_the_relays_files_are_ones_that_the_server_takes(self):
        texts = re.findall(r"^```yaml\n(.*?)^```", README.read_text(encoding="utf-8"),
                           re.MULTILINE | re.DOTALL)
        self.assertEqual(3, len(texts))
        for text, relays in zip(texts, (["company"], ["google", "microsoft"], ["house"])):
            file = self.folder / f"{relays[0]}.yaml"
            # Where the commands put the key.
            file.write_text(text.replace("/etc/sendstep", str(self.folder)), encoding="utf-8")
            server = support.Sendstepd("--relays-file", str(file),
                                       env={"SES_SMTP_PASSWORD": self.password})
            self.addCleanup(server.stop)
            self.assertEqual(relays, server.call("Describe", {}).message["relays"])


if __name__ == "__main__":
    runner.main(support.test_no_secret_was_shown)
