# SPDX-License-Identifier: MIT
"""The slow checks, which `make style` runs, find what is planted for them."""

import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
CHECKS = TOP / "tools" / "checks"
UNIT = TOP / "packaging" / "systemd" / "chanceryd.service.in"


def run(check, *arguments):
    return subprocess.run([CHECKS / check, *arguments], capture_output=True, text=True, check=False)


def build_sample(top, text):
    """A configured project with the one source file src/base/thing.c."""
    (top / "src" / "base").mkdir(parents=True)
    (top / "src" / "base" / "thing.c").write_text(text, encoding="utf-8")
    (top / "meson.build").write_text("project('sample', 'c')\n"
                                     "static_library('thing', 'src/base/thing.c')\n",
                                     encoding="utf-8")
    shutil.copy(TOP / ".clang-tidy", top)
    subprocess.run(["meson", "setup", top / "build", top], check=True, capture_output=True)
    return top / "build"


GOOD = "int chy_thing(int x);\n\nint chy_thing(int x)\n{\n    return x + 1;\n}\n"


def test_analyzers__good_code_passes(tmp_path):
    done = run("check-analyzers", build_sample(tmp_path, GOOD), "--top", tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("text, finder", [
    ("#include <stdlib.h>\n" + GOOD.replace("return x + 1", "int *p = malloc(sizeof *p);\n"
                                            "    free(p);\n    free(p);\n    return x"),
     "gcc -fanalyzer: "),
    (GOOD.replace("return x + 1", "if (x)\n        ;\n    return x"), "clang-tidy: "),
    (GOOD.replace("return x + 1", "int a[2] = { x, x };\n    return a[2]"), "cppcheck"),
])
def test_analyzers__a_planted_mistake_is_found(text, finder, tmp_path):
    done = run("check-analyzers", build_sample(tmp_path, text), "--top", tmp_path)
    assert done.returncode == 1
    assert finder in done.stdout


def test_units__our_unit_passes_and_a_bare_one_does_not(tmp_path):
    (tmp_path / "packaging").mkdir()
    unit = tmp_path / "packaging" / "chanceryd.service"
    text = UNIT.read_text(encoding="utf-8").replace("@bindir@", "/usr/bin")
    unit.write_text(text, encoding="utf-8")
    assert run("check-units", tmp_path).returncode == 0

    bare = "".join(line for line in text.splitlines(keepends=True)
                   if not line.startswith(("Protect", "SystemCallFilter", "Restrict")))
    unit.write_text(bare, encoding="utf-8")
    done = run("check-units", tmp_path)
    assert done.returncode == 1
    assert "more exposed" in done.stdout


def test_units__a_misspelt_setting_is_found(tmp_path):
    (tmp_path / "packaging").mkdir()
    text = UNIT.read_text(encoding="utf-8").replace("@bindir@", "/usr/bin")
    (tmp_path / "packaging" / "chanceryd.service").write_text(
        text.replace("LockPersonality=", "LockPersonalty="), encoding="utf-8")
    done = run("check-units", tmp_path)
    assert done.returncode == 1
    assert "LockPersonalty" in done.stdout


def test_spelling__a_misspelt_word_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("It is received.\n", encoding="utf-8")
    assert run("check-spelling", "--top", tmp_path).returncode == 0
    page.write_text("It is " + "rec" + "ieved.\n", encoding="utf-8")
    done = run("check-spelling", "--top", tmp_path)
    assert done.returncode == 1
    assert "page.md:1" in done.stdout
