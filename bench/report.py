# SPDX-License-Identifier: MIT
"""The table of a run, and the aims that it is held against."""

COLUMNS = [
    # heading, width, form, member
    ("row", -36, "{}", "name"),
    ("per second", 11, "{:,.0f}", "per_second"),
    ("p50 ms", 8, "{:.2f}", "p50_ms"),
    ("p99 ms", 8, "{:.2f}", "p99_ms"),
    ("of raw", 7, "{:.2f}", "ratio_to_raw"),
    ("of limit", 9, "{:.2f}", "ratio_to_limit"),
    ("a commit", 9, "{:.1f}", "records_per_commit"),
    ("front", 7, "{:.0f}", "cpu_us_front"),
    ("signer", 7, "{:.0f}", "cpu_us_signer"),
    ("token", 7, "{:.0f}", "cpu_us_token"),
    ("client", 7, "{:.0f}", "cpu_us_client"),
    ("RSS MB", 7, "{:.0f}", "rss_mb"),
    ("of other", 9, "{:.2f}", "ratio_to_other"),
    ("front", 7, "{:.2f}", "front_to_other"),
    ("signer", 7, "{:.2f}", "signer_to_other"),
    ("token", 7, "{:.2f}", "token_to_other"),
]


def cell(row, form, member):
    value = row.get(member)
    return "" if value is None or (member == "rss_mb" and value == 0) else form.format(value)


def table(rows):
    columns = [column for column in COLUMNS if any(cell(row, *column[2:]) for row in rows)]
    lines = [[heading for heading, *_ in columns]]
    lines += [[cell(row, form, member) for _, _, form, member in columns] for row in rows]
    return "\n".join(
        "".join(f"{text:<{-width}}" if width < 0 else f"{text:>{width}}"
                for text, (_, width, *_) in zip(line, columns)).rstrip()
        for line in lines)


def _of(rows, name, member="per_second"):
    return next((row[member] for row in rows if row["name"] == name), None)


def _quotient(rows, above, below):
    """Of two rates."""
    values = _of(rows, above), _of(rows, below)
    return None if None in values else values[0] / values[1]


def _tail(rows, name):
    values = _of(rows, name, "p99_ms"), _of(rows, name, "p50_ms")
    return None if None in values else values[0] / values[1]


def _rule_cost_us(rows):
    values = [_of(rows, name, "cpu_us_signer")
              for name in ("p256/https/16x1/1000-rules", "p256/https/16x1")]
    return None if None in values else values[0] - values[1]


# what, from the rows and what is used at rest, the bound, whether it is the least
AIMS = [
    ("RSA-3072, 16 connections, of raw",
     lambda rows, rest: _of(rows, "rsa3072/https/16x1", "ratio_to_raw"), 0.90, True),
    ("P-256, 16 connections, of raw",
     lambda rows, rest: _of(rows, "p256/https/16x1", "ratio_to_raw"), 0.85, True),
    ("P-256, 100 a call, of the limit",
     lambda rows, rest: _of(rows, "p256/https/16x100", "ratio_to_limit"), 0.90, True),
    ("P-256, 16 connections, p99 / p50",
     lambda rows, rest: _tail(rows, "p256/https/16x1"), 3, False),
    ("P-256, 64 connections, records a commit",
     lambda rows, rest: _of(rows, "p256/https/64x1", "records_per_commit"), 4, True),
    ("P-256, 16 connections, of p11-kit remoting",
     lambda rows, rest: _quotient(rows, "p256/https/16x1", "p256/p11-kit/2x1"), 1, True),
    ("signer CPU of 999 more rules, us", lambda rows, rest: _rule_cost_us(rows), 50, False),
    ("refusals for one RSA-3072 signature",
     lambda rows, rest: _quotient(rows, "p256/refused/16x1", "rsa3072/raw/2x1"), 10, True),
    ("PSS of all processes at rest, MB", lambda rows, rest: rest["pss_mb"], 64, False),
]


def aims(rows, rest):
    for what, value_of, bound, is_least in AIMS:
        value = value_of(rows, rest)
        if value is None:
            continue
        met = value >= bound if is_least else value <= bound
        yield (f"{'met   ' if met else 'MISSED'}  {what:<44}{value:>9.2f}   "
               f"{'at least' if is_least else 'at most'} {bound}")


def show(rows, rest):
    print(table(rows))
    print("\nCPU of each process in us a signature; a commit: log records of one commit\n")
    print("\n".join(aims(rows, rest)))
