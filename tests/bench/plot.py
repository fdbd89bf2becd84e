"""The picture of a run: emails per second as bars, and by the number of calls in flight as lines."""

import math
import statistics
from html import escape

WIDTH, LEFT, RIGHT, BAR = 880, 280, 90, 22
PANEL = 300  # the lines' height
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")

# Row of the run -> its name in the picture.
BARS = {
    "sendstepd/sandbox/4k/64": "sendstepd, one flight (sandbox)",
    "sendstepd/tls/4k/64": "sendstepd, TLS (sandbox)",
    "sendstepd/sink/4k/64": "sendstepd (smtp-sink)",
    "sendstepd/sink/4k/64/sqlite": "sendstepd, SQLite ledger (smtp-sink)",
    "go-mail/sink/4k/64": "go-mail + grpc-go (smtp-sink)",
    "nodemailer+nodelay/sink/4k/64": "nodemailer, TCP_NODELAY (smtp-sink)",
    "nodemailer/sink/4k/64": "nodemailer + grpc-js (smtp-sink)",
    "aiosmtplib/sink/4k/64": "aiosmtplib + grpc.aio (smtp-sink)",
}
LINES = {"sendstepd/sandbox": "sendstepd (sandbox)", "sendstepd/sink": "sendstepd (smtp-sink)",
         "go-mail/sink": "go-mail", "nodemailer+nodelay/sink": "nodemailer, TCP_NODELAY",
         "nodemailer/sink": "nodemailer", "aiosmtplib/sink": "aiosmtplib"}
FLIGHTS = (1, 16, 64, 256)


def _text(x, y, words, anchor="start", size=13, more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" {more}>'
            f"{escape(words)}</text>")


def _line(x1, y1, x2, y2, colour="#d0d7de", more=""):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f"{more}/>")


def _bars(top, shown, limits):
    """Bars with a whisker from the lowest to the highest round, and where the limit is."""
    longest = max([max(rates) for _, rates in shown] + limits)
    scale = (WIDTH - LEFT - RIGHT) / longest
    out = []
    for i, (name, rates) in enumerate(shown):
        y = top + i * (BAR + 8)
        middle = y + BAR / 2
        width = statistics.median(rates) * scale
        colour = COLOURS[0] if name.startswith("sendstepd") else COLOURS[-1]
        out += [_text(LEFT - 8, middle + 4, name, "end"),
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>',
                _line(LEFT + min(rates) * scale, middle, LEFT + max(rates) * scale, middle, "#000"),
                _text(LEFT + max(rates) * scale + 6, middle + 4,
                      f"{statistics.median(rates):,.0f}")]
    bottom = top + len(shown) * (BAR + 8)
    if limits:
        x = LEFT + statistics.median(limits) * scale
        out += [_line(x, top - 6, x, bottom, "#d1242f", 'stroke-dasharray="5 4"'),
                _text(x, top - 10, f"gRPC echo, then smtp-source: {statistics.median(limits):,.0f}",
                      "end" if x > WIDTH / 2 else "start", 12, 'fill="#d1242f"')]
    return out, bottom


def _lines(top, shown):
    """Against the number in flight, both axes logarithmic."""
    values = [value for _, points in shown for _, value in points]
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** math.ceil(math.log10(max(values)))
    width, height = WIDTH - LEFT - RIGHT, PANEL

    def x_of(flight):
        return LEFT + width * math.log(flight) / math.log(FLIGHTS[-1])

    def y_of(value):
        return top + height * (1 - math.log(value / low) / math.log(high / low))
    out = []
    tick = low
    while tick <= high:
        out += [_line(LEFT, y_of(tick), LEFT + width, y_of(tick)),
                _text(LEFT - 8, y_of(tick) + 4, f"{tick:,.0f}", "end")]
        tick *= 10
    out += [_text(x_of(flight), top + height + 18, str(flight), "middle") for flight in FLIGHTS]
    out += [_text(LEFT + width / 2, top + height + 38, "calls in flight", "middle")]
    for i, (name, points) in enumerate(shown):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{x_of(flight):.1f},{y_of(value):.1f}" for flight, value in points)
        out += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
                _line(20, top + 10 + i * 20, 44, top + 10 + i * 20, colour, 'stroke-width="3"'),
                _text(50, top + 14 + i * 20, name, size=12)]
        out += [f'<circle cx="{x_of(flight):.1f}" cy="{y_of(value):.1f}" r="3" fill="{colour}"/>'
                for flight, value in points]
    return out, top + height + 46


def draw(rows, limits, note):
    """The SVG. `rows`: what the run found by name; `limits`: the serial limit of each round. What was
    not measured is left out."""
    bars = [(name, rows[row]["rates"]) for row, name in BARS.items() if row in rows]
    lines = [(name, [(n, rows[f"{row}/4k/{n}"]["rate"]) for n in FLIGHTS
                     if rows.get(f"{row}/4k/{n}", {}).get("rate")])
             for row, name in LINES.items()]
    lines = [(name, points) for name, points in lines if len(points) > 1]
    out, bottom = [], 50
    if bars:
        out.append(_text(20, 24, "Emails per second, 4 kB, 64 calls in flight", size=16))
        more, bottom = _bars(66, bars, limits)
        out += more
    if lines:
        out.append(_text(20, bottom + 44, "Emails per second, 4 kB, by calls in flight", size=16))
        more, bottom = _lines(bottom + 66, lines)
        out += more
    out.append(_text(20, bottom + 30, note, size=11, more='fill="#57606a"'))
    height = bottom + 44
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'width="{WIDTH}" height="{height:.0f}" font-family="sans-serif">\n'
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>\n'
            + "\n".join(out) + "\n</svg>\n")
