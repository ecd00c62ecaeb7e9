# SPDX-License-Identifier: MIT
"""fuzz/README.md lists the targets, each with a corpus and a row in fuzz/meson.build, and what they
read is there; tools/run-tests runs them."""

import os
import pathlib
import re

from test_run_tests import load_run_tests, make_sample  # noqa: F401

SOURCE = pathlib.Path(os.environ.get("CHANCERY_SOURCE", ".")).resolve()
FUZZ = SOURCE / "fuzz"


def table():
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| (.*) \|$", (FUZZ / "README.md").read_text(), re.M)
    return {name: re.findall(r"`(src/[^`]+)`", parsers) for name, parsers in rows}


def test_the_table_is_the_targets():
    assert set(table()) == {path.stem.removeprefix("fuzz_") for path in FUZZ.glob("fuzz_*.c")}


def test_each_target_has_a_corpus_and_is_built():
    built = re.findall(r"^  '(\w+)': \[", (FUZZ / "meson.build").read_text(), re.M)
    for name in table():
        assert name in built, name
        assert [path for path in (FUZZ / "corpus" / name).iterdir() if path.is_file()], name


def test_what_they_read_is_there():
    for name, parsers in table().items():
        assert parsers and all((SOURCE / parser).exists() for parser in parsers), (name, parsers)


def add_target(sample, name, script, corpus=True):
    target = sample / "build/fuzz/fuzz" / f"fuzz_{name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    target.chmod(0o755)
    if corpus:
        (sample / "fuzz/corpus" / name).mkdir(parents=True)


DONE = "echo '#9 DONE cov: 41 ft: 7'; echo 'Done 9 runs in 2 second(s)'"


def test_run_fuzz__says_how_long_each_ran(run_tests, sample, capsys):
    add_target(sample, "good", DONE)
    add_target(sample, "bad", "echo 'cov: 3'; exit 77")
    add_target(sample, "bare", DONE, corpus=False)
    tally = run_tests.Tally()
    run_tests.run_fuzz("fuzz", tally)
    assert tally.passed == 1
    assert sorted(tally.failed) == ["fuzz: fuzz_bad",
                                    "fuzz: fuzz_bare has no corpus in fuzz/corpus"]
    said = capsys.readouterr().out
    assert "  fuzz_good: 2 s, 9 runs, 41 edges\n" in said
    assert "  fuzz_bad: broken off, 3 edges\n" in said


def test_run_fuzz__one_target_on_each_core(run_tests, sample, monkeypatch):
    """Two that wait for each other end only when both run."""
    monkeypatch.setattr(run_tests.os, "sched_getaffinity", lambda _: {0, 1})
    for mine, other in (("a", "b"), ("b", "a")):
        add_target(sample, mine, f"""touch {sample}/{mine}.runs
for try in $(seq 600); do [ -e {sample}/{other}.runs ] && exit 0; sleep 0.1; done; exit 1""")
    tally = run_tests.Tally()
    run_tests.run_fuzz("fuzz", tally)
    assert (tally.passed, tally.failed) == (2, [])


def test_run_fuzz__no_targets_is_a_failure(run_tests, sample):  # noqa: F811
    tally = run_tests.Tally()
    run_tests.run_fuzz("fuzz", tally)
    assert tally.failed == ["fuzz: there are no fuzz targets"]
