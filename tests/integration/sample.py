"""The rich email that every route has to carry unchanged: HTML, text, a PDF of 3 MB, an inline PNG;
umlauts and an emoji in subject, names and file names."""

import base64
import functools
import random
import struct
import zlib

BCC = "hidden@receiver.example"


@functools.cache
def pdf():
    """A PDF of one page and 3 MB, with every byte value in its stream."""
    stream = random.Random(1).randbytes(3_000_000)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
    ]
    out, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%b"
        b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, len(out)))


@functools.cache
def png():
    """An orange square of 16 by 16 pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xff\x80\x00" * 16) * 16
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


TEXT = """Guten Tag, Jürgen!

Grüße aus Köln 🎉 – die Rechnung hängt an.
.Eine Zeile, die mit einem Punkt beginnt
From here on nothing is special.
Eine lange Zeile: """ + "Übermut " * 150 + """
Leerzeichen am Ende:   
"""

HTML = ("<!doctype html><html><body><h1>Grüße 🎉</h1><p>Die Rechnung hängt an.</p>"
        '<p><img src="cid:logo@sendstep" alt="Logo"></p><p>' + "lang " * 400
        + "</p></body></html>\n")


CALENDAR = "\r\n".join([
    "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//sendstep//test//EN", "METHOD:REQUEST",
    "BEGIN:VEVENT", "UID:7@example.org", "DTSTAMP:20261127T090000Z", "DTSTART:20261201T090000Z",
    "SUMMARY:Gespräch über die Rechnung", "ORGANIZER:mailto:ada@example.org",
    "ATTENDEE:mailto:juergen@receiver.example", "END:VEVENT", "END:VCALENDAR", ""])


def email():
    """The email in the JSON mapping of sendstep.v1.Email."""
    return {
        "from": {"email": "ada@example.org", "name": "Ada Lövelace 🚀"},
        "to": [
            {"email": "juergen@receiver.example", "name": "Jürgen Müller, Köln"},
            {"email": "plain@receiver.example"},
        ],
        "cc": [{"email": "copy@receiver.example", "name": 'Zoë "Z" Groß'}],
        "bcc": [{"email": BCC, "name": "Niemand Sichtbares"}],
        "replyTo": [{"email": "answers@example.org", "name": "Rückfragen"}],
        "subject": "Ihre Rechnung für Müller & Söhne 🎉 – mit einem Betreff, der länger ist "
                   "als eine Zeile",
        "text": TEXT,
        "html": HTML,
        "attachments": [
            {"filename": "Rechnung für Müller 🎉.pdf", "contentType": "application/pdf",
             "content": base64.b64encode(pdf()).decode()},
            {"filename": "Löwe 🦁.png", "contentType": "image/png",
             "content": base64.b64encode(png()).decode(), "contentId": "logo@sendstep"},
        ],
        "headers": [{"name": "X-Workflow", "value": "Rechnungsversand täglich"}],
        "inReplyTo": "<first@receiver.example>",
        "sender": {"email": "ada+assistant@example.org", "name": "Für Ada"},
        "unsubscribe": {"url": "https://example.org/leave?who=%C3%BC&list=1",
                        "email": "leave+list@example.org", "oneClick": True},
        "priority": "PRIORITY_HIGH",
        "calendar": CALENDAR,
        "references": ["<zero@receiver.example>", "<first@receiver.example>"],
    }


def recipients():
    """Addresses in the order To, Cc, Bcc."""
    fields = email()
    return [a["email"] for a in fields["to"] + fields["cc"] + fields["bcc"]]

