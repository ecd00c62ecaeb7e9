# SPDX-License-Identifier: MIT
"""Wrap the lines of C comments that are too wide; clang-format would spoil tables in them."""

import re

WIDTH = 100

_COMMENT = re.compile(r"^(?P<indent>\s*)(?P<star>/\*|\*)(?P<gap> +)(?P<text>\S.*)$")
_TRAILING = re.compile(r"^(?P<indent>\s*)(?P<code>\S.*?)\s+(?P<comment>/\*.*\*/)$")
_ITEM = re.compile(r"(?:[-*] |\w[\w ]{0,16}: |\S+ {2,}\S)")


def _hang(text):
    """How far the lines after this one are set in: past a bullet or the left column of a table."""
    columns = [found.end() for found in re.finditer(r"\S {2,}(?=\S)", text[:WIDTH // 2])]
    if columns:
        return columns[-1]
    return 2 if text.startswith("- ") else 0


def _split(line):
    """The line cut at its last blank that fits, without leaving a lone end of comment."""
    at = line.rfind(" ", 0, WIDTH + 1)
    if line[at:].strip() == "*/":
        at = line.rfind(" ", 0, at)
    return line[:at].rstrip(), line[at:].strip()


def _wrap_comment(lines, i, match):
    """Move what is too much of lines[i] to the next line, or to a new one."""
    start = match["indent"] + (" *" if match["star"] == "/*" else "*")
    prefix = start + match["gap"] + " " * _hang(match["text"])
    kept, rest = _split(lines[i])
    if len(kept) <= len(prefix):
        return False  # one word wider than the page
    lines[i] = kept
    follower = lines[i + 1] if i + 1 < len(lines) else ""
    text = follower[len(prefix):]
    joins = (not rest.endswith("*/") and follower.startswith(prefix) and text[:1].strip()
             and not text.startswith("/") and not _ITEM.match(text))
    if joins:
        lines[i + 1] = f"{prefix}{rest} {text}"
    else:
        lines.insert(i + 1, prefix + rest)
    return True


def wrap_comments(text):
    """The text with its comments no wider than WIDTH; a comment behind code moves above it."""
    lines = text.split("\n")
    i = 0
    while i < len(lines):
        if len(lines[i]) > WIDTH:
            match = _COMMENT.match(lines[i])
            behind = _TRAILING.match(lines[i])
            if match:
                _wrap_comment(lines, i, match)
            elif behind and "checksrc:" not in behind["comment"]:
                lines[i:i + 1] = [behind["indent"] + behind["comment"],
                                  behind["indent"] + behind["code"]]
                continue  # the comment itself may be too wide
        i += 1
    return "\n".join(lines)
