# SPDX-License-Identifier: MIT
"""What the checks of the source share: which files there are, C without comments, the report."""

import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys

_TOKENS = re.compile(
    r"""
    (?P<line>//[^\n]*)
  | (?P<block>/\*.*?(?:\*/|\Z))
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<char>'(?:\\.|[^'\\\n])*')
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclasses.dataclass
class Split:
    """One C file taken apart; every part has the same lines as the file."""

    code: list  # comments are blanks, the insides of strings and characters too
    comments: list  # only the comments' text
    raw: list


def _blanks(text):
    return re.sub(r"[^\n]", " ", text)


def split_c(text):
    """Tell code from comments, line by line."""
    code, comments = [], []
    at = 0
    for token in _TOKENS.finditer(text):
        between = text[at:token.start()]
        code.append(between)
        comments.append(_blanks(between))
        found = token[0]
        if token["line"] or token["block"]:
            code.append(_blanks(found))
            comments.append(found)
        else:
            code.append(found[0] + _blanks(found[1:-1]) + found[-1])
            comments.append(_blanks(found))
        at = token.end()
    code.append(text[at:])
    comments.append(_blanks(text[at:]))
    return Split("".join(code).split("\n"), "".join(comments).split("\n"), text.split("\n"))


def list_files(top):
    """All files of the tree, as paths relative to it: what git tracks or would add."""
    listed = subprocess.run(
        ["git", "-C", str(top), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=False)
    if listed.returncode == 0:
        names = [pathlib.PurePosixPath(name) for name in listed.stdout.decode().split("\0") if name]
    else:  # no repository, as in an unpacked archive
        found = [path.relative_to(top) for path in pathlib.Path(top).rglob("*")]
        names = [pathlib.PurePosixPath(path) for path in found if path.parts[0] != "build"]
    return sorted({name for name in names if (pathlib.Path(top) / name).is_file()})


def c_files(top, folders=("src", "tests", "fuzz", "bench"), suffixes=(".c", ".h")):
    """The C files of our own."""
    return [name for name in list_files(top)
            if name.parts[0] in folders and name.suffix in suffixes]


def read(top, name):
    return (pathlib.Path(top) / name).read_text(encoding="utf-8")


def arguments(description, *positional, flags=()):
    """Parse the options that every check has."""
    parser = argparse.ArgumentParser(description=description)
    for name in positional:
        parser.add_argument(name)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--top", default=str(pathlib.Path(__file__).resolve().parents[2]),
                        help="the tree to look at (default: this one)")
    return parser.parse_args()


def report(name, problems, looked_at, what):
    """Print what was found, and exit: 1 with problems, also when there was nothing to look at."""
    for problem in problems:
        print(problem)
    if looked_at == 0:
        print(f"{name}: found no {what} to look at")
        sys.exit(1)
    if problems:
        print(f"{name}: {len(problems)} problems in {looked_at} {what}")
    sys.exit(1 if problems else 0)
