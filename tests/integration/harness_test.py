#!/usr/bin/python3
"""The watch over secrets finds what it is there to find."""

import base64
import unittest

import runner
import support


class Watch(unittest.TestCase):
    def leaks(self, said):
        watch = support.Watch()
        watch.secret("password", "canary-0123456789abcdef")
        watch.heard("log", said)
        return watch.leaks()

    def test_a_secret_is_found_as_it_is(self):
        self.assertEqual(["log shows the secret 'password' as it is"],
                         self.leaks("535 canary-0123456789abcdef refused"))

    def test_a_secret_is_found_in_hexadecimal(self):
        self.assertTrue(self.leaks("canary-0123456789abcdef".encode().hex()))

    def test_a_secret_is_found_in_base64_whatever_stands_before_it(self):
        for before in ("", "a", "ab", "\0user\0", "\0ada@example.org\0", "user=ada\1auth=Bearer "):
            for after in ("", "x", "\1\1"):
                text = base64.b64encode(f"{before}canary-0123456789abcdef{after}".encode())
                self.assertTrue(self.leaks(b"AUTH PLAIN " + text), (before, after))

    def test_other_text_is_no_leak(self):
        self.assertEqual([], self.leaks("AUTH PLAIN " + base64.b64encode(b"\0ada\0x").decode()))


if __name__ == "__main__":
    runner.main()
