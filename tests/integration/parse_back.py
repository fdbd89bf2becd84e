#!/usr/bin/python3
"""Parses a message strictly, with Python's email package, and compares it with what was to be sent.

compare(expected, raw) takes the email as it was asked for (JSON form of sendstep.v1.Email) and the
bytes that arrived, and returns the differences, none when they are equal. What mail servers add or
change on the way (trace fields, LF line ends in a mailbox) is no difference.

As a script: parse_back.py DIR compares every NAME.json with NAME.eml, which have to be as composed:
CRLF, at most 998 bytes a line. Prints the differences; exit code 1 when there are any, 2 when there
is nothing to compare.
"""
import base64
import email.errors
import email.header
import email.parser
import email.policy
import json
import pathlib
import re
import sys
import unicodedata
import urllib.parse

STRICT = email.policy.default.clone(raise_on_defect=True, max_line_length=998)
OCTET_STREAM = "application/octet-stream"


def compare(expected: dict, raw: bytes) -> list[str]:
    try:
        # A message is ASCII, or UTF-8 where an address needs SMTPUTF8.
        message = email.parser.Parser(policy=STRICT).parsestr(raw.decode("utf-8"))
        differences = _defects(message)
    except (email.errors.MessageError, UnicodeDecodeError) as error:
        return [f"not parsed: {type(error).__name__}: {error}"]
    differences += _compare_header(expected, message)
    differences += _compare_structure(expected, message)
    if not differences:
        differences += _compare_parts(expected, message)
    return differences


def _defects(message):
    defects = []
    for part in message.walk():
        defects += [f"defect in a part: {defect!r}" for defect in part.defects]
        for name, value in part.items():
            defects += [
                f"defect in {name}: {defect!r}"
                for defect in value.defects
                # As SMTPUTF8 wants it (RFC 6532).
                if not isinstance(defect, email.errors.NonASCIILocalPartDefect)
            ]
    return defects


# ------------------------------------------------------------------ header fields


def _compare_header(expected, message):
    actual = {
        "from": _mailboxes(message, "From"),
        "to": _mailboxes(message, "To"),
        "cc": _mailboxes(message, "Cc"),
        "replyTo": _mailboxes(message, "Reply-To"),
        "subject": str(message["Subject"] or ""),
        "inReplyTo": _ids(message["In-Reply-To"]),
        "references": _ids(message["References"]),
        "sender": _mailboxes(message, "Sender"),
        "unsubscribe": re.findall(r"<(.*?)>", message["List-Unsubscribe"] or ""),
        "oneClick": message["List-Unsubscribe-Post"],
        "priority": (message["Importance"], message["X-Priority"]),
    }
    wanted = {
        "from": _wanted_mailboxes([expected["from"]]) if "from" in expected else actual["from"],
        "to": _wanted_mailboxes(expected.get("to", [])),
        "cc": _wanted_mailboxes(expected.get("cc", [])),
        "replyTo": _wanted_mailboxes(expected.get("replyTo", [])),
        "subject": expected.get("subject", "").replace("\t", " "),
        "inReplyTo": [_bracketed(expected["inReplyTo"])] if expected.get("inReplyTo") else [],
        "references": [_bracketed(id) for id in expected.get("references", [])],
        "sender": _wanted_mailboxes([expected["sender"]] if "sender" in expected else []),
        **_wanted_extras(expected),
    }
    if any(header["name"] == "List-Unsubscribe" for header in expected.get("headers", [])):
        del wanted["unsubscribe"]  # compared as it is
    differences = [
        f"{name}: expected {wanted[name]!r}, got {actual[name]!r}"
        for name in wanted
        if actual[name] != wanted[name]
    ]
    for name in ("From", "Date", "Message-ID", "MIME-Version"):
        if len(message.get_all(name, [])) != 1:
            differences.append(f"{name}: {len(message.get_all(name, []))} times")
    if message["Bcc"] is not None:
        differences.append("Bcc: present")
    if message["Date"] is not None and message["Date"].datetime is None:
        differences.append(f"Date: {message['Date']!r} is none")
    return differences + _compare_custom_headers(expected, message)


def _wanted_extras(expected):
    unsubscribe = expected.get("unsubscribe", {})
    ways = [unsubscribe["url"]] if "url" in unsubscribe else []
    if "email" in unsubscribe:
        ways.append("mailto:" + urllib.parse.quote(unsubscribe["email"], safe="@+"))
    return {
        "unsubscribe": ways,
        "oneClick": "List-Unsubscribe=One-Click" if unsubscribe.get("oneClick") else None,
        "priority": {"PRIORITY_HIGH": ("high", "1"), "PRIORITY_LOW": ("low", "5")}.get(
            expected.get("priority"), (None, None)),
    }


def _compare_custom_headers(expected, message):
    wanted = {}
    for header in expected.get("headers", []):
        value = header.get("value", "").replace("\t", " ")
        wanted.setdefault(header["name"], []).append(value)
    differences = []
    for name, values in wanted.items():
        actual = [str(value) for value in message.get_all(name, [])]
        if actual != values:
            differences.append(f"{name}: expected {values!r}, got {actual!r}")
    return differences


def _mailboxes(message, name):
    addresses = []
    for field, source in message.raw_items():
        if field.lower() == name.lower():
            merged = _ENCODED_WORDS.sub(_merge_encoded_words, re.sub(r"\r?\n", "", source))
            addresses += STRICT.header_factory(name, merged).addresses
    return [(a.display_name, a.addr_spec) for a in addresses]


_ENCODED_WORDS = re.compile(r"=\?\S+\?=(?:\s+=\?\S+\?=)+")


def _merge_encoded_words(words):
    """Encoded words in a row as one. Between those of a name the strict parser (Python 3.11) keeps
    the blank that RFC 2047 6.2 drops."""
    text = str(email.header.make_header(email.header.decode_header(words.group())))
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="


def _wanted_mailboxes(mailboxes):
    wanted = []
    for mailbox in mailboxes:
        local, _, domain = mailbox["email"].rpartition("@")
        name = mailbox.get("name", "").replace("\t", " ")
        wanted.append((name if name.strip() else "", f"{local}@{_a_labels(domain)}"))
    return wanted


def _a_labels(domain):
    """A-labels of a domain (IDNA 2008). Python's own idna codec knows IDNA 2003 only."""
    if domain.startswith("["):
        return domain
    labels = unicodedata.normalize("NFKC", domain.lower()).split(".")
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in labels
    )


def _ids(field):
    return re.findall(r"<[^<>]*>", str(field or ""))


def _bracketed(id):
    return id if id.startswith("<") else f"<{id}>"


# ------------------------------------------------------------------ structure


def _wanted_type(attachment):
    """What a part of this type comes as: see Part in transport/mime/part.h."""
    declared = attachment.get("contentType", "").split(";")[0].strip().lower() or OCTET_STREAM
    if declared.startswith("multipart/"):
        return OCTET_STREAM
    if declared.startswith("message/") and not declared.startswith("message/global"):
        return declared if _is_7bit(_content(attachment)) else OCTET_STREAM
    return declared


def _is_7bit(content):
    lines = content.split(b"\r\n")
    return all(
        len(line) <= 998 and not set(line) & {0, 10, 13} and line.isascii() for line in lines
    )


def _wanted_structure(expected):
    html = bool(expected.get("html"))
    inline, files = _split_attachments(expected)
    files = files + _invitation(expected)
    bodies = []
    if expected.get("text") or _shows_words(expected.get("html")) or (not html and not files):
        bodies.append("text/plain")
    if html:
        bodies.append(_group("related", ["text/html"] + [_wanted_type(a) for a in inline]))
    if expected.get("calendar"):
        bodies.append("text/calendar")
    if not files:
        return _group("alternative", bodies)
    body = [_group("alternative", bodies)] if bodies else []
    return ["multipart/mixed"] + body + [_wanted_type(a) for a in files]


def _invitation(expected):
    """The calendar object as a file."""
    if not expected.get("calendar"):
        return []
    content = base64.b64encode(expected["calendar"].encode()).decode()
    return [{"filename": "invite.ics", "contentType": "application/ics", "content": content}]


def _shows_words(html):
    """Text is made of the HTML where there is none."""
    return bool(re.sub(r"<[^>]*>", "", html or "").strip())


def _group(subtype, members):
    return members[0] if len(members) == 1 else [f"multipart/{subtype}"] + members


def _split_attachments(expected):
    attachments = expected.get("attachments", [])
    inline = [a for a in attachments if expected.get("html") and a.get("contentId")]
    return inline, [a for a in attachments if a not in inline]


def _structure(part):
    kind = part.get_content_type()
    if part.get_content_maintype() != "multipart":
        return kind
    return [kind] + [_structure(child) for child in part.iter_parts()]


def _compare_structure(expected, message):
    wanted, actual = _wanted_structure(expected), _structure(message)
    return [] if wanted == actual else [f"structure: expected {wanted}, got {actual}"]


# ------------------------------------------------------------------ bodies and attachments


def _leaves(part):
    if part.get_content_maintype() == "multipart":
        return [leaf for child in part.iter_parts() for leaf in _leaves(child)]
    return [part]


def _compare_parts(expected, message):
    """The structure is already known to be right."""
    leaves = _leaves(message)
    inline, files = _split_attachments(expected)
    differences = []
    made = not expected.get("text") and _shows_words(expected.get("html"))
    if leaves[0].get_content_type() == "text/plain" and made:
        if not leaves.pop(0).get_content().strip():
            differences.append("the text made of the HTML is empty")
    elif leaves[0].get_content_type() == "text/plain" and (expected.get("text") or not files):
        differences += _compare_text("text", expected.get("text", ""), leaves.pop(0))
    if expected.get("html"):
        differences += _compare_text("html", expected["html"], leaves.pop(0))
    # Inline parts stand beside the HTML, the calendar behind both.
    shown = leaves[: len(inline)]
    del leaves[: len(inline)]
    if expected.get("calendar"):
        part = leaves.pop(0)
        differences += _compare_text("calendar", expected["calendar"], part)
        if f"METHOD:{part.get_param('method')}" not in expected["calendar"]:
            differences.append(f"calendar: method {part.get_param('method')}")
    leaves = shown + leaves
    files = files + _invitation(expected)
    for number, attachment in enumerate(inline + files, 1):
        disposition = "inline" if attachment in inline else "attachment"
        differences += [
            f"attachment {number}: {difference}"
            for difference in _compare_attachment(attachment, disposition, leaves.pop(0))
        ]
    return differences + [f"surplus part: {leaf.get_content_type()}" for leaf in leaves]


def _compare_text(name, wanted, part):
    charset = part.get_content_charset()
    if charset != "utf-8":
        return [f"{name}: charset {charset}"]
    actual = part.get_content()
    if _lines(actual) == _lines(wanted):
        return []
    return [f"{name}: expected {_short(wanted)}, got {_short(actual)}"]


def _lines(text):
    """With LF only, and without the line break that a message ends in anyhow."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n")


def _compare_attachment(wanted, disposition, part):
    actual = {
        "filename": part.get_filename() or "",
        "name": part.get_param("name") or "",
        "contentId": (part["Content-ID"] or "").strip(),
        "disposition": part.get_content_disposition(),
    }
    filename = wanted.get("filename", "").replace("\t", " ")
    content_id = wanted.get("contentId", "")
    expected = {
        "filename": filename,
        "name": filename,
        "contentId": f"<{content_id}>" if content_id else "",
        "disposition": disposition,
    }
    differences = [
        f"{name}: expected {expected[name]!r}, got {actual[name]!r}"
        for name in expected
        if actual[name] != expected[name]
    ]
    wanted_bytes, actual_bytes = _content(wanted), _part_bytes(part)
    if part.get_content_maintype() == "message":
        wanted_bytes, actual_bytes = _unix_lines(wanted_bytes), _unix_lines(actual_bytes)
    if wanted_bytes != actual_bytes:
        differences.append(f"content: expected {_short(wanted_bytes)}, got {_short(actual_bytes)}")
    return differences


def _content(attachment):
    return base64.b64decode(attachment.get("content", ""), validate=True)


def _part_bytes(part):
    if part.get_content_maintype() != "message":
        return part.get_payload(decode=True)
    keep = part.policy.clone(refold_source="none", raise_on_defect=False)
    return b"".join(inner.as_bytes(policy=keep) for inner in part.get_payload())


def _unix_lines(content):
    return content.replace(b"\r\n", b"\n").rstrip(b"\n")


def _short(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(value)} in all)"


# ------------------------------------------------------------------ script


def _check_wire_form(raw):
    """As it was composed, before any server touched it."""
    differences = []
    if re.search(rb"\r(?!\n)|(?<!\r)\n", raw) or not raw.endswith(b"\r\n"):
        differences.append("a line does not end in CRLF")
    if b"\0" in raw:
        differences.append("a NUL")
    longest = max(len(line) for line in raw.split(b"\r\n"))
    if longest > 998:
        differences.append(f"a line of {longest} bytes")
    return differences


def main(folder):
    names = sorted(pathlib.Path(folder).glob("*.json"))
    failed = 0
    for name in names:
        raw = name.with_suffix(".eml").read_bytes()
        expected = json.loads(name.read_text(encoding="utf-8"))
        differences = _check_wire_form(raw) + compare(expected, raw)
        failed += bool(differences)
        print(f"{name.stem}: {'equal' if not differences else 'DIFFERENT'}")
        for difference in differences:
            print(f"  {difference}")
    if not names:
        print(f"nothing to compare in {folder}")
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: parse_back.py DIR")
    sys.exit(main(sys.argv[1]))
