# SPDX-License-Identifier: MIT
"""docs/log-events.md lists the events of the operators' log: each that is written, and no other,
with the processes that write it and its levels."""

import collections
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
CALL = re.compile(r"\bchy_log\((.*?)\);", re.DOTALL)
EVENT = re.compile(r'"([a-z_0-9]+\.[a-z_]+)"')
LEVEL = re.compile(r"\bCHY_LOG_([A-Z]+)\b")
VARIABLE = re.compile(r"const char \*event = ([^;]*);")


def written():
    """{event: (processes, levels)}; a process is a folder of src/."""
    events = collections.defaultdict(lambda: (set(), set()))
    for path in sorted((TOP / "src").rglob("*.c")):
        text = path.read_text(encoding="utf-8")
        for call in CALL.findall(text):
            head = call.split("CHY_L_")[0]
            names = EVENT.findall(head) or EVENT.findall(" ".join(VARIABLE.findall(text)))
            assert names, f"{path}: the event of chy_log({head} is not a literal"
            for name in names:
                events[name][0].add(path.relative_to(TOP / "src").parts[0])
                events[name][1].update(level.lower() for level in LEVEL.findall(head))
    return events


def listed():
    events = {}
    for line in (TOP / "docs/log-events.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 4 or not cells[0].startswith("`"):
            continue
        name = cells[0].strip("`")
        assert name not in events, f"{name} is listed twice"
        assert len(cells[3]) > 8, f"{name}: nothing says what it means"
        events[name] = (set(cells[1].split(", ")), set(cells[2].split(", ")))
    return events


def test_log_events__are_those_that_are_written():
    code, page = written(), listed()
    assert len(code) > 50
    assert sorted(page) == sorted(code)
    for name, about in code.items():
        assert page[name] == about, name


def test_log_events__are_in_order():
    assert list(listed()) == sorted(listed())
