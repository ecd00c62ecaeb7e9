# SPDX-License-Identifier: MIT
"""tools/run-tests counts what happened, and lets nothing that went wrong look like success."""

import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import tempfile

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(name="run_tests")
def load_run_tests():
    loader = importlib.machinery.SourceFileLoader("run_tests", str(TOP / "tools" / "run-tests"))
    spec = importlib.util.spec_from_loader("run_tests", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(name="sample")
def make_sample(run_tests, tmp_path, monkeypatch):
    """A project of its own, to which run_tests is pointed."""
    monkeypatch.setattr(run_tests, "TOP", tmp_path)
    monkeypatch.setattr(run_tests, "KINDS", {"plain": {"setup": [], "run": ["unit", "system"]}})
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


def add_c_test(top, body, main="return cmocka_run_group_tests(tests, NULL, NULL);"):
    """One cmocka program whose tests are the functions test_0, test_1, ... of `body`."""
    count = body.count("void test_")
    tests = ", ".join(f"cmocka_unit_test(test_{i})" for i in range(count))
    (top / "meson.build").write_text("""\
project('sample', 'c')
environment = environment()
environment.set('CMOCKA_MESSAGE_OUTPUT', 'TAP')
test('sample', executable('sample', 'sample.c', dependencies: dependency('cmocka')),
  protocol: 'tap', env: environment, timeout: 5)
""", encoding="utf-8")
    (top / "sample.c").write_text(f"""\
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
{body}
int main(void)
{{
    const struct CMUnitTest tests[] = {{ {tests} }};
    {main}
}}
""", encoding="utf-8")


def run_kind(run_tests, step):
    tally = run_tests.Tally()
    assert run_tests.build("plain", tally), tally.failed
    run_tests.STEPS[step]("plain", tally)
    return tally


PASSING = "static void test_{}(void **state) {{ (void)state; assert_true(1); }}\n"
FAILING = "static void test_{}(void **state) {{ (void)state; assert_true(0); }}\n"
SKIPPING = "static void test_{}(void **state) {{ (void)state; skip(); }}\n"


def test_unit__each_subtest_counts(run_tests, sample):
    add_c_test(sample, PASSING.format(0) + PASSING.format(1) + FAILING.format(2)
               + PASSING.format(3) + SKIPPING.format(4))
    tally = run_kind(run_tests, "unit")
    assert tally.total() == "3 passed, 1 failed, 1 skipped"
    assert tally.failed == ["plain: sample / test_2"]


def test_unit__a_skip_alone_is_no_failure(run_tests, sample):
    """Though meson ends with 1: to it, cmocka's form of a skip is a failure."""
    add_c_test(sample, PASSING.format(0) + SKIPPING.format(1))
    assert run_kind(run_tests, "unit").total() == "1 passed, 0 failed, 1 skipped"


def test_unit__a_program_may_skip_all(run_tests, sample, capsys):
    """What its plan says is the reason, though a wrapper prints behind it."""
    add_c_test(sample, PASSING.format(0),
               main='(void)tests; puts("1..0 # SKIP no such kernel"); fputs("noise\\n", stderr);')
    assert run_kind(run_tests, "unit").total() == "0 passed, 0 failed, 1 skipped"
    assert "no such kernel" in capsys.readouterr().out


def test_unit__a_crash_counts_as_a_failure(run_tests, sample):
    add_c_test(sample, PASSING.format(0), main="(void)tests; abort();")
    assert run_kind(run_tests, "unit").total() == "0 passed, 1 failed"


def test_unit__trouble_after_the_last_subtest_counts_as_a_failure(run_tests, sample):
    add_c_test(sample, PASSING.format(0) + PASSING.format(1),
               main="cmocka_run_group_tests(tests, NULL, NULL); _exit(99);")
    assert run_kind(run_tests, "unit").total() == "2 passed, 1 failed"


def test_unit__a_program_that_ends_early_counts_as_a_failure(run_tests, sample):
    add_c_test(sample, PASSING.format(0)
               + "static void test_1(void **state) { (void)state; _exit(0); }\n")
    assert len(run_kind(run_tests, "unit").failed) == 1


def test_unit__no_tests_at_all_is_a_failure(run_tests, sample):
    (sample / "meson.build").write_text("project('sample', 'c')\n", encoding="utf-8")
    assert len(run_kind(run_tests, "unit").failed) == 1


def test_build__what_does_not_compile_is_a_failure(run_tests, sample):
    add_c_test(sample, "this is not C\n")
    tally = run_tests.Tally()
    assert not run_tests.build("plain", tally)
    assert tally.failed == ["plain: compile"]


def add_pytest(top, text):
    folder = top / "tests" / "system"
    folder.mkdir(parents=True)
    (folder / "test_sample.py").write_text(text, encoding="utf-8")


def run_system(run_tests):
    tally = run_tests.Tally()
    run_tests.STEPS["system"]("plain", tally)
    return tally


PYTESTS = """\
import os
import pytest

def test_passes():
    assert os.environ["CHANCERY_BUILD"].endswith("/build/plain")

def test_fails():
    assert 1 == 2

def test_skips():
    pytest.skip("samples folder absent")

@pytest.fixture
def broken():
    raise OSError("no server")

def test_errs(broken):
    pass
"""


def test_system__each_case_counts(run_tests, sample):
    add_pytest(sample, PYTESTS)
    assert run_system(run_tests).total() == "1 passed, 2 failed, 1 skipped"


def test_system__a_file_that_cannot_be_read_is_a_failure(run_tests, sample):
    add_pytest(sample, "import absent_module_of_ours\n")
    assert len(run_system(run_tests).failed) >= 1


def test_system__a_report_that_is_no_xml_counts(run_tests, sample):
    """pytest 7.2 writes the reason of a skip as it is, with the colours of a tool."""
    add_pytest(sample, 'import pytest\ndef test_skips():\n    pytest.skip("\\x1b[0m no jsign")\n')
    tally = run_system(run_tests)
    assert tally.total() == "0 passed, 0 failed, 1 skipped"


@pytest.mark.parametrize("reason, total", [
    ("samples folder absent", "0 passed, 0 failed, 1 skipped"),
    ("no such tool", "0 passed, 1 failed"),
    ("", "0 passed, 1 failed"),
])
def test_ci_allows_only_the_skips_it_knows(reason, total, run_tests, monkeypatch):
    monkeypatch.setenv("CI", "true")
    tally = run_tests.Tally()
    tally.skip("plain: sample", reason)
    assert tally.total() == total


@pytest.fixture(name="counted")
def make_counted(run_tests, monkeypatch):
    """A project that counts lines, in a folder that every user may enter."""
    top = pathlib.Path(tempfile.mkdtemp(prefix="chancery-test-", dir="/tmp"))
    top.chmod(0o755)
    (top / "src" / "part").mkdir(parents=True)
    kind = {"setup": ["-Db_coverage=true", f"-Dc_args=-include {TOP}/tools/cover.h"],
            "run": ["unit", "coverage"]}
    monkeypatch.setattr(run_tests, "TOP", top)
    monkeypatch.setattr(run_tests, "KINDS", {"plain": kind})
    monkeypatch.setattr(run_tests, "COVERAGE_ALL", 100.0)
    monkeypatch.delenv("CI", raising=False)
    yield top
    shutil.rmtree(top)


COUNTED = """\
#include <sys/wait.h>
#include <unistd.h>
int part(int n);
int part(int n)
{
    return n + 1;
}
int main(void)
{
    int status = 1;
    if (fork() == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        _exit(part(0) - 1);
    }
    wait(&status);
    return status;
}
"""


def count(run_tests, anew):
    tally = run_tests.Tally()
    assert run_tests.build("plain", tally), tally.failed
    run_tests.prepare_counts("plain", anew)
    run_tests.STEPS["unit"]("plain", tally)
    run_tests.STEPS["coverage"]("plain", tally)
    return tally


def test_coverage__counts_who_ends_by_exit_and_as_another_user(run_tests, counted, capsys):
    (counted / "meson.build").write_text(
        "project('sample', 'c')\ntest('sample', executable('sample', 'src/part/part.c'))\n",
        encoding="utf-8")
    (counted / "src/part/part.c").write_text(COUNTED, encoding="utf-8")
    first = count(run_tests, anew=True)
    # Only the line of an error is left, of ten.
    assert first.failed == ["plain: (all) is at 90.0 %, the aim is 100 %"], capsys.readouterr().out
    counts = next(counted.rglob("*.gcda"))
    assert counts.stat().st_mode & 0o777 == 0o666


def test_coverage__of_an_earlier_build_is_dropped(run_tests, counted):
    (counted / "build/plain").mkdir(parents=True)
    notes = counted / "build/plain/part.gcno"
    counts = notes.with_suffix(".gcda")
    for path in (counts, notes):
        path.write_bytes(b"some")
    os.utime(counts, ns=(0, 0))
    run_tests.prepare_counts("plain", anew=False)
    assert counts.read_bytes() == b""
    counts.write_bytes(b"some")
    run_tests.prepare_counts("plain", anew=False)
    assert counts.read_bytes() == b"some"
    run_tests.prepare_counts("plain", anew=True)
    assert counts.read_bytes() == b""
