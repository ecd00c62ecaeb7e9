# SPDX-License-Identifier: MIT
"""Each check of tools/checks finds what it is there to find, and lets good code pass."""

import importlib
import os
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
CHECKS = TOP / "tools" / "checks"
SPDX = "/* SPDX-License-Identifier: MIT */\n"
HEADER = SPDX + "/* A thing. */\n#pragma once\n\nint chy_thing(void);\n"


def write(top, name, text):
    path = top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def run(check, top, *arguments):
    return subprocess.run([CHECKS / check, *arguments, "--top", top], capture_output=True,
                          text=True, check=False)


def assert_passes(check, top, *arguments):
    done = run(check, top, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def assert_finds(check, top, expected, *arguments):
    done = run(check, top, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert expected in done.stdout


@pytest.mark.parametrize("check", ["check-source", "check-layering", "check-headers",
                                   "check-format", "check-shell"])
def test_an_empty_tree_is_no_success(check, tmp_path):
    assert_finds(check, tmp_path, "to look at")


# check-source

GOOD_SOURCE = SPDX + """\
#include "base/buf.h"

/* Calls strcpy() and open() in this comment only. */
int chy_thing(void)
{
    const char *text = "strcpy(a, b); \\" goto out; /* TODO */";
    struct chy_file f = { 0 };
    f.open(text);
    chy_file_open(&f);
    return secure_getenv("HOME") == NULL ? 1 : 0;
}
"""


def test_source__good_code_passes(tmp_path):
    write(tmp_path, "src/store/thing.c", GOOD_SOURCE)
    write(tmp_path, "src/store/thing.h", HEADER)
    assert_passes("check-source", tmp_path)


@pytest.mark.parametrize("statement, message", [
    ("strcpy(a, b);", "use chy_buf"),
    ("n = atoi(text);", "number parser"),
    ("n = strtol (text, NULL, 10);", "number parser"),
    ("char *p = strtok(s, x);", "struct chy_str"),
    ("t = localtime(&now);", "calendar functions"),
    ("signal(SIGTERM, stop);", "sigaction"),
    ("value = getenv(name);", "secure_getenv"),
    ("if (setjmp(env))", "returned error"),
    ("p = malloc(n);", "base/mem.h"),
    ("free(p);", "base/mem.h"),
    ("int fd = open(path, O_RDONLY);", "src/os"),
    ("fd = socket(AF_UNIX, SOCK_STREAM, 0);", "src/os"),
    ("handle = dlopen(path, RTLD_NOW);", "src/token"),
    ("same = memcmp(a, b, n) == 0;", "chy_ct_equal"),
    ("exit(1);", "main.c"),
    ("memset(&secret, 0, sizeof secret);", "chy_wipe"),
    ("memset(s->pin_text, 0, n);", "chy_wipe"),
    ("usleep(1000);", "wait for the event"),
    ("goto out;", "CHY_CLEANUP"),
    ("goto *next;", "computed goto"),
    ('#include "other.c"', "use its header"),
    ("#ifdef _WIN32", "choose whole files"),
    ("#pragma GCC diagnostic ignored \"-Wall\"", "comment with the reason"),
    ("/* TODO: later */", "number of an issue"),
    ("/* FIXME */", "number of an issue"),
    ("\tint x;", "a tab"),
    ("int x; ", "blanks at the end"),
    ("int " + "x" * 100 + ";", "100 are the most"),
])
def test_source__a_violation_is_found_with_its_line(statement, message, tmp_path):
    write(tmp_path, "src/store/thing.c", SPDX + "\n" + statement + "\n")
    done = run("check-source", tmp_path)
    assert done.returncode == 1
    assert "src/store/thing.c:3: " in done.stdout
    assert message in done.stdout


@pytest.mark.parametrize("name, statement", [
    ("src/base/mem.c", "p = malloc(n);"),
    ("src/crypto/key.c", "free(p);"),
    ("src/os/fd.c", "fd = openat(dir, name, O_CLOEXEC);"),
    ("src/token/module.c", "handle = dlopen(path, RTLD_NOW);"),
    ("src/supervisor/main.c", "exit(1);"),
    ("src/base/compiler.h", "#pragma once\n#if defined(_WIN32)\n#endif"),
    ("src/os/thing.c", "#ifdef _WIN32\n#endif"),
    ("tests/unit/store/test_thing.c", "p = malloc(n);"),
    ("src/store/thing.c", "/* TODO(#12): later */"),
    ("src/store/thing.c", "#pragma GCC diagnostic ignored \"-Wx\" /* a header of theirs */"),
])
def test_source__what_is_right_in_its_place_passes(name, statement, tmp_path):
    write(tmp_path, name, SPDX + statement + "\n")
    assert_passes("check-source", tmp_path)


def test_source__a_banned_call_in_a_test_is_found(tmp_path):
    write(tmp_path, "tests/unit/store/test_thing.c", SPDX + "sleep(1);\n")
    assert_finds("check-source", tmp_path, "wait for the event")


def test_source__a_backward_goto_cannot_be_waived(tmp_path):
    write(tmp_path, "src/store/thing.c",
          SPDX + "void f(void)\n{\nagain:\n    g();\n"
          "    goto again; /* checksrc: a loop in disguise */\n}\n")
    assert_finds("check-source", tmp_path, "jumps backward")


def test_source__a_label_of_another_function_is_not_behind(tmp_path):
    write(tmp_path, "tests/unit/store/test_thing.c",
          SPDX + "void f(void)\n{\n    goto out;\nout:\n    g();\n}\n\n"
          "void h(void)\n{\n    goto out;\nout:\n    g();\n}\n")
    assert_passes("check-source", tmp_path)


HALF_MADE = SPDX + """\
int chy_thing(struct chy_error *err)
{
    CHY_CLEANUP(chy_buf_done) struct chy_buf out;
    %s
    chy_buf_init(&out, 10);
    return 0;
}
"""


@pytest.mark.parametrize("statement", ["CHY_TRY(ask(err));", "if (x)\n        return 1;"])
def test_source__what_is_undone_before_it_is_made_is_found(statement, tmp_path):
    write(tmp_path, "src/store/thing.c", HALF_MADE % statement)
    assert_finds("check-source", tmp_path, "thing.c:4: out is undone at the end")


def test_source__what_is_made_first_passes(tmp_path):
    write(tmp_path, "src/store/thing.c", HALF_MADE % "int n = 0;")
    assert_passes("check-source", tmp_path)


def test_source__a_waiver_with_a_reason_counts(tmp_path):
    write(tmp_path, "src/store/thing.c",
          SPDX + "fd = open(path, flags); /* checksrc: sqlite has no other way */\n")
    assert_passes("check-source", tmp_path)


@pytest.mark.parametrize("line, message", [
    ("fd = open(path, flags); /* checksrc: */", "gives no reason"),
    ("fd = open(path, flags); /* checksrc: needed */", "gives no reason"),
    ("fd = chy_open(path); /* checksrc: nothing is wrong here */", "waives nothing"),
])
def test_source__an_empty_or_idle_waiver_is_found(line, message, tmp_path):
    write(tmp_path, "src/store/thing.c", SPDX + line + "\n")
    assert_finds("check-source", tmp_path, message)


@pytest.mark.parametrize("name, text, message", [
    ("src/base/a.c", "int x;\n", "first line must be"),
    ("src/base/a.h", SPDX + "int x;\n", "#pragma once"),
    ("src/base/a.c", SPDX + "int x;", "no newline"),
    ("tools/a.py", "print()\n", "first two lines"),
    ("tools/a", "#!/bin/sh\ntrue\n", "first two lines"),
])
def test_source__a_file_without_its_frame_is_found(name, text, message, tmp_path):
    write(tmp_path, name, text)
    assert_finds("check-source", tmp_path, message)


def test_source__bytes_that_are_no_utf8_are_found(tmp_path):
    write(tmp_path, "src/base/a.c", "").write_bytes(SPDX.encode() + b"/* \xff */\n")
    assert_finds("check-source", tmp_path, "not UTF-8")


def test_source__a_table_may_be_a_little_wider(tmp_path):
    table = "/* clang-format off */\n{}\n/* clang-format on */\n"
    write(tmp_path, "src/base/a.c", SPDX + table.format("x" * 120))
    assert_passes("check-source", tmp_path)
    write(tmp_path, "src/base/a.c", SPDX + table.format("x" * 121))
    assert_finds("check-source", tmp_path, "120 are the most")
    write(tmp_path, "src/base/a.c", SPDX + table.format("") + "x" * 101 + "\n")
    assert_finds("check-source", tmp_path, "100 are the most")


# check-layering

@pytest.mark.parametrize("folder, include", [
    ("base", "<string.h>"),
    ("codec", '"base/buf.h"'),
    ("os", '"codec/frame.h"'),
    ("client", "<curl/curl.h>"),
    ("doc", "<jansson.h>"),
    ("crypto", "<openssl/evp.h>"),
    ("store", "<sqlite3.h>"),
    ("token", '"token/pkcs11.h"'),
    ("signer", '"policy/policy.h"'),
    ("signer", '"signer/batch_private.h"'),
    ("supervisor", '"front/front.h"'),
    ("cli", '"client/client.h"'),
])
def test_layering__an_arrow_down_passes(folder, include, tmp_path):
    write(tmp_path, f"src/{folder}/thing.c", SPDX + f"#include {include}\n")
    assert_passes("check-layering", tmp_path)


@pytest.mark.parametrize("folder, include, message", [
    ("base", '"os/fd.h"', "must not include src/os"),
    ("codec", '"os/fd.h"', "must not include src/os"),
    ("proto", '"doc/json.h"', "must not include src/doc"),
    ("doc", '"crypto/hash.h"', "must not include src/crypto"),
    ("policy", '"os/clock.h"', "must not include src/os"),
    ("policy", '"store/store.h"', "must not include src/store"),
    ("signer", '"token/token.h"', "must not include src/token"),
    ("module", '"crypto/hash.h"', "must not include src/crypto"),
    ("client", '"cli/cli.h"', "must not include src/cli"),
    ("front", "<openssl/ssl.h>", "only in src/crypto"),
    ("policy", "<jansson.h>", "only in src/doc"),
    ("signer", "<yaml.h>", "only in src/doc"),
    ("signer", "<sqlite3.h>", "only in src/store"),
    ("signer", "<p11-kit/pkcs11.h>", "only in src/ksp or src/module or src/token"),
    ("cli", '"token/pkcs11.h"', "only in"),
    ("signer", "<cmocka.h>", "only in tests"),
    ("signer", '"batch.h"', "write the folder too"),
    ("signer", '"store/rows_internal.h"', "is private to src/store"),
    ("signer", '"nowhere/a.h"', "in no folder of src"),
])
def test_layering__another_arrow_is_found(folder, include, message, tmp_path):
    write(tmp_path, f"src/{folder}/thing.c", SPDX + f"#  include {include}\n")
    assert_finds("check-layering", tmp_path, message)


def test_layering__a_private_header_is_for_its_own_tests_only(tmp_path):
    write(tmp_path, "tests/unit/store/test_rows.c", SPDX + '#include "store/rows_internal.h"\n')
    assert_passes("check-layering", tmp_path)
    write(tmp_path, "tests/unit/signer/test_batch.c", SPDX + '#include "store/rows_internal.h"\n')
    assert_finds("check-layering", tmp_path, "private to src/store")


@pytest.mark.parametrize("name, message", [
    ("src/strange/thing.c", "does not know the folder"),
    ("src/thing.c", "belongs into a folder"),
    ("src/base/utils.c", "name the file for its noun"),
])
def test_layering__a_file_without_a_place_is_found(name, message, tmp_path):
    write(tmp_path, name, SPDX)
    assert_finds("check-layering", tmp_path, message)


# check-headers

def test_headers__a_whole_header_passes(tmp_path):
    write(tmp_path, "src/base/thing.h", HEADER)
    write(tmp_path, "src/base/macros.h", SPDX + "#pragma once\n#define CHY_ONE 1\n")
    assert_passes("check-headers", tmp_path)


@pytest.mark.parametrize("text", [
    "#pragma once\nsize_t chy_thing(void);\n",  # leans on its includer
    "struct chy_thing { int x; };\n",  # breaks when included twice
    "#pragma once\nint chy_thing();\n",  # no prototype
    "#pragma once\nstatic int chy_unused_thing(void) { return 1; }\n",
    "#pragma once\n#include \"base/absent.h\"\n",
])
def test_headers__a_header_that_needs_help_is_found(text, tmp_path):
    write(tmp_path, "src/base/thing.h", SPDX + text)
    assert_finds("check-headers", tmp_path, "src/base/thing.h: does not compile alone")


# check-format

def test_format__finds_and_mends(tmp_path):
    (tmp_path / ".clang-format").write_bytes((TOP / ".clang-format").read_bytes())
    source = write(tmp_path, "src/base/thing.c", "int f(void)\n{\n  return 1;\n}\n")
    assert_finds("check-format", tmp_path, "src/base/thing.c:2:")
    assert_passes("check-format", tmp_path, "--fix")
    assert source.read_text(encoding="utf-8") == "int f(void)\n{\n    return 1;\n}\n"
    assert_passes("check-format", tmp_path)


WORDS = "word " * 18  # 90 columns


@pytest.mark.parametrize("before, after", [
    # A paragraph flows on into its next line.
    (f"/* {WORDS}one two three\n * four. */\n",
     f"/* {WORDS}one two\n * three four. */\n"),
    # The right column of a table stays one, and its next row is not drawn in.
    (f" * Errors: E_LIMIT  {WORDS[:75]}one two\n *         E_ARG    wrong\n",
     f" * Errors: E_LIMIT  {WORDS[:75]}one\n *                  two\n *         E_ARG    wrong\n"),
    # The end of a comment takes a word with it.
    (f"/* {WORDS}one two */\n", f"/* {WORDS}one\n * two */\n"),
    # What stood behind code goes above it.
    (f"int x; /* {WORDS}*/\n", f"/* {WORDS}*/\nint x;\n"),
    # What fits is left alone, and so is what cannot be broken.
    ("/* short */\n", "/* short */\n"),
    ("/* " + "x" * 120 + " */\n", "/* " + "x" * 120 + " */\n"),
])
def test_format__wraps_comments(before, after, monkeypatch):
    monkeypatch.syspath_prepend(CHECKS)
    wrap = importlib.import_module("wrap")
    assert wrap.wrap_comments(before) == after


# check-shell

def test_shell__a_script_that_breaks_on_blanks_is_found(tmp_path):
    write(tmp_path, "tools/good", "#!/bin/sh\nset -eu\nrm -- \"$1\"\n")
    assert_passes("check-shell", tmp_path)
    write(tmp_path, "tools/bad", "#!/usr/bin/env bash\nrm $1\n")
    assert_finds("check-shell", tmp_path, "tools/bad:2:")


# check-hardening

HARDENED = {
    "compile": ["-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3", "-fstack-protector-strong",
                "-fcf-protection=full", "-fPIE"],
    "link": ["-pie", "-Wl,-z,relro,-z,now,-z,noexecstack"],
}
PROGRAM = """\
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments)
{
    char name[16];
    snprintf(name, sizeof name, "%s", arguments[count - 1]);
    char copy[8];
    memcpy(copy, name, strlen(name));
    return puts(copy);
}
"""


def build_program(top, compile_flags, link_flags):
    """A build folder with one installed program, built with exactly the flags given."""
    def quoted(flags):
        return "[" + ", ".join(f"'{flag}'" for flag in flags) + "]"

    write(top, "src/main.c", PROGRAM)
    write(top, "meson.build", f"""\
project('sample', 'c', default_options: ['b_pie=false', 'buildtype=plain'])
subdir('src')
""")
    write(top, "src/meson.build", f"""\
executable('sample', 'main.c', install: true, c_args: {quoted(compile_flags)},
  link_args: {quoted(link_flags)})
""")
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("CFLAGS", "LDFLAGS", "CPPFLAGS")}
    for command in (["meson", "setup", top / "build", top], ["ninja", "-C", top / "build"]):
        subprocess.run(command, check=True, capture_output=True, env=environment)
    return top / "build"


def test_hardening__a_hardened_program_passes(tmp_path):
    build = build_program(tmp_path, HARDENED["compile"], HARDENED["link"])
    assert_passes("check-hardening", tmp_path, build)


@pytest.mark.parametrize("instead_compile, instead_link, message", [
    (["-fno-PIE"], ["-no-pie"], "not position-independent"),
    ([], ["-Wl,-z,norelro"], "no RELRO segment"),
    ([], ["-Wl,-z,lazy"], "binds lazily"),
    ([], ["-Wl,-z,execstack"], "executable stack"),
    ([], ["-Wl,-rpath,/opt/lib"], "library path of its own"),
    (["-fno-stack-protector"], [], "no stack protector"),
    (["-U_FORTIFY_SOURCE"], [], "no checked functions"),
    (["-fcf-protection=none"], [], "-fcf-protection=full"),
])
def test_hardening__a_lost_flag_is_found(instead_compile, instead_link, message, tmp_path):
    build = build_program(tmp_path, HARDENED["compile"] + instead_compile,
                          HARDENED["link"] + instead_link)
    assert_finds("check-hardening", tmp_path, message, build)
