#!/usr/bin/python3
"""Holds the include directions: transport knows mail, providers accounts, plugin gRPC."""

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import runner  # noqa: E402

# Folder -> the project's folders whose headers its files may include. The longest prefix counts.
MAY_INCLUDE = {
    "transport": [],
    "transport/base": ["transport/base"],
    "transport/mime": ["transport/base", "transport/mime"],
    "transport/smtp": ["transport/base", "transport/smtp"],
    "transport/dns": ["transport/base", "transport/dns"],
    "transport/mailauth": ["transport/base", "transport/dns", "transport/mailauth"],
    "transport/net": ["transport/base", "transport/smtp", "transport/dns", "transport/net"],
    "providers": ["transport/base", "transport/smtp", "providers", "protos/sendstep/profile"],
    "providers/sandbox": ["transport/base", "transport/smtp", "providers"],
    "providers/doctor": [
        "transport/base", "transport/dns", "transport/mailauth", "providers",
        "protos/sendstep/profile",
    ],
    "plugin": ["transport", "providers", "plugin", "protos", "google/rpc"],
    "plugin/ledger": ["plugin/ledger", "protos/sendstep/ledger"],
    "clients": [
        "clients",
        "protos/sendstep/v1",
        "google/rpc",
        "plugin/status_details.h",
        "plugin/deliverability_mapping.h",
        "plugin/yaml_message.h",
        "providers/doctor",
        "providers/edit_distance.h",
    ],
}

# Folder -> what its files must not include, as patterns of the include's path.
MUST_NOT_INCLUDE = {
    "transport": r".*\.pb\.h|absl/|grpc|google/|fmt/|spdlog/|prometheus/|nlohmann/|yaml-cpp/|re2/",
    "transport/base": r"boost/asio|sys/socket|openssl/ssl",
    "transport/mime": r"boost/asio|sys/socket|openssl/ssl",
    "providers": r"grpc|google/protobuf/util|fmt/|spdlog/|prometheus/|CLI/|.*email_action",
    "clients": r"boost/asio",
}

# The plugin's files that know the contract's generated types; all others speak in commands,
# settings and reports.
CONTRACT_FILES = (
    r".*_mapping|.*_service|account|config_schema|describe|metrics|status_details")

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def sources():
    for folder in ("transport", "providers", "plugin", "clients"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cc") and "node_modules" not in path.parts:
                yield path.relative_to(ROOT)


def includes(path):
    """(path, quoted) of every include of one file."""
    for match in INCLUDE.finditer((ROOT / path).read_text(encoding="utf-8")):
        yield match.group(1) or match.group(2), match.group(1) is not None


def is_project(include):
    return (ROOT / include).is_file() or include.startswith("protos/")


def within(path, prefix):
    return str(path) == prefix or str(path).startswith(prefix + "/")


def rule_of(path, rules):
    """The rule of the longest folder that holds `path`."""
    found = [folder for folder in rules if within(path, folder)]
    return rules[max(found, key=len)] if found else None


def graph_of(edges):
    graph = {}
    for start, end in edges:
        graph.setdefault(start, set()).add(end)
    return graph


def cycle_in(graph):
    """A cycle of the graph as a list of nodes; empty: there is none."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return []
        path.append(node)
        for other in sorted(graph.get(node, ())):
            found = visit(other)
            if found:
                return found
        path.pop()
        done.add(node)
        return []

    for node in sorted(graph):
        found = visit(node)
        if found:
            return found
    return []


class Layering(unittest.TestCase):
    maxDiff = None

    def test_every_layer_has_sources(self):
        for folder in MAY_INCLUDE:
            self.assertTrue(any(within(path, folder) for path in sources()), folder)

    def test_includes_point_down_the_layers(self):
        wrong = []
        for path in sources():
            allowed = rule_of(path, MAY_INCLUDE)
            for include, quoted in includes(path):
                if quoted and is_project(include) and not any(within(include, a) for a in allowed):
                    wrong.append(f"{path} includes {include}")
        self.assertEqual([], wrong)

    def test_layers_do_not_use_libraries_that_are_not_theirs(self):
        wrong = []
        for path in sources():
            for folder, pattern in MUST_NOT_INCLUDE.items():
                if not within(path, folder):
                    continue
                for include, _ in includes(path):
                    if re.match(pattern, include):
                        wrong.append(f"{path} includes {include}")
        self.assertEqual([], wrong)

    def test_generated_types_of_the_contract_stop_at_the_plugins_edge(self):
        wrong = []
        for path in sources():
            if within(path, "clients"):
                continue
            for include, _ in includes(path):
                if not re.match(r"protos/sendstep/v1/|google/rpc/", include):
                    continue
                if not (within(path, "plugin") and re.fullmatch(CONTRACT_FILES, path.stem)):
                    wrong.append(f"{path} includes {include}")
        self.assertEqual([], wrong)

    def test_headers_have_no_cycle(self):
        edges = [
            (str(path), include)
            for path in sources()
            for include, quoted in includes(path)
            if quoted and (ROOT / include).is_file()
        ]
        self.assertEqual([], cycle_in(graph_of(edges)))

    def test_folders_have_no_cycle(self):
        edges = [
            (str(path.parent), str(Path(include).parent))
            for path in sources()
            for include, quoted in includes(path)
            if quoted and (ROOT / include).is_file() and Path(include).parent != path.parent
        ]
        self.assertEqual([], cycle_in(graph_of(edges)))

    def test_project_headers_are_included_from_the_root(self):
        wrong = []
        for path in sources():
            for include, quoted in includes(path):
                if quoted and not is_project(include) and (ROOT / path.parent / include).is_file():
                    wrong.append(f"{path} includes {include}")
        self.assertEqual([], wrong)

    def test_a_cycle_is_found(self):
        self.assertEqual(["a", "b", "c", "a"], cycle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}}))
        self.assertEqual([], cycle_in({"a": {"b", "c"}, "b": {"c"}}))


if __name__ == "__main__":
    runner.main()
