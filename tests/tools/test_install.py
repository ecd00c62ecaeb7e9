# SPDX-License-Identifier: MIT
"""What `meson install` of a build puts where, and whether its parts find each other there."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sysconfig

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CHANCERY_BUILD", TOP / "build/release")).resolve()

LIB = f"lib/{sysconfig.get_config_var('MULTIARCH')}"
MODULE = f"{LIB}/pkcs11/chancery-pkcs11.so"
PROVIDER = f"{LIB}/ossl-modules/chancery.so"
GUESTS = {  # library: what it needs, what it shows
    MODULE: (["libc.so.6"], {"C_GetFunctionList", "C_GetInterface", "C_GetInterfaceList"}),
    PROVIDER: (["libcrypto.so.3", "libc.so.6"], {"OSSL_provider_init"}),
}

FILES = {
    "bin/chancery", "bin/chancery-gpg", "bin/chancery-gpgsm", "bin/chanceryd",
    "bin/notation-chancery",
    "bin/sigstore-kms-chancery", MODULE, PROVIDER, "share/p11-kit/modules/chancery.module",
    "lib/systemd/system/chanceryd.service", "lib/sysusers.d/chancery.conf",
    "lib/systemd/system/chancery-agent@.service", "lib/systemd/user/chancery-agent.service",
    "share/bash-completion/completions/chancery", "share/bash-completion/completions/chanceryd",
    "share/fish/vendor_completions.d/chancery.fish",
    "share/fish/vendor_completions.d/chanceryd.fish",
    "share/man/man1/chancery-gpgsm.1",
    "share/man/man1/notation-chancery.1", "share/man/man1/sigstore-kms-chancery.1",
    "share/man/man1/chancery.1", "share/man/man1/chancery-gpg.1",
    "share/man/man5/chancery-config.5",
    "share/man/man5/chanceryd.yaml.5", "share/man/man8/chanceryd.8",
    "share/zsh/site-functions/_chancery", "share/zsh/site-functions/_chanceryd",
    "share/doc/chancery/LICENSE", "share/doc/chancery/client.md",
    "share/doc/chancery/log-events.md", "share/doc/chancery/moving-from-signum.md",
    "share/doc/chancery/operations.md",
    "share/doc/chancery/policy.md", "share/doc/chancery/security.md",
    "share/doc/chancery/signserver.md", "share/doc/chancery/token.md",
    "share/doc/chancery/tools/README.md",
    "share/doc/chancery/tools/chancery-sign.md",
    "share/doc/chancery/tools/chancery-verify.md",
    "share/doc/chancery/tools/cosign.md",
    "share/doc/chancery/tools/deb.md",
    "share/doc/chancery/tools/firmware.md",
    "share/doc/chancery/tools/git-openpgp.md",
    "share/doc/chancery/tools/git.md",
    "share/doc/chancery/tools/gpg.md",
    "share/doc/chancery/tools/java.md",
    "share/doc/chancery/tools/jsign.md",
    "share/doc/chancery/tools/notation.md",
    "share/doc/chancery/tools/openssl.md",
    "share/doc/chancery/tools/osslsigncode.md",
    "share/doc/chancery/tools/pkcs11.md",
    "share/doc/chancery/tools/rpm.md",
    "share/doc/chancery/tools/ssh.md",
    "share/doc/chancery/tools/xml.md",
    "share/doc/chancery/formats/log.md", "share/doc/chancery/formats/policy.md",
    "share/doc/chancery/formats/trust.md",
}


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, **options)


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture(name="prefix", scope="module")
def fixture_prefix():
    options = json.loads(run("meson", "introspect", "--buildoptions", BUILD).stdout)
    return next(o["value"] for o in options if o["name"] == "prefix")


@pytest.fixture(name="root", scope="module")
def fixture_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    done = run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture(name="installed")
def fixture_installed(root, prefix):
    return root / prefix.lstrip("/")


@pytest.fixture(name="unit")
def fixture_unit(installed):
    return (installed / "lib/systemd/system/chanceryd.service").read_text(encoding="utf-8")


def test_install__everything_and_nothing_else(root, installed):
    found = {str(path.relative_to(installed)) for path in root.rglob("*") if path.is_file()}
    assert found == FILES


def test_install__modes(installed):
    for name in FILES:
        mode = (installed / name).stat().st_mode & 0o7777
        assert mode == (0o755 if name.startswith("bin/") or name in GUESTS else 0o644), name


@pytest.mark.parametrize("words", [("chanceryd", "--version"), ("chanceryd", "--help"),
                                   ("chancery", "version"), ("chancery", "help"),
                                   ("chancery-gpgsm", "--version"), ("chancery-gpgsm", "-h"),
                                   ("notation-chancery", "--version"),
                                   ("sigstore-kms-chancery", "--help")])
def test_install__programs_run_from_there(installed, words, tmp_path):
    done = run(installed / "bin" / words[0], *words[1:], env={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert done.stdout


@needs("mandoc")
@pytest.mark.parametrize("page", ["notation-chancery.1", "sigstore-kms-chancery.1"])
def test_install__manual_pages_are_clean(installed, page):
    done = run("mandoc", "-T", "lint", "-W", "warning", installed / "share/man/man1" / page)
    assert done.returncode == 0, done.stdout


def test_install__p11_kit_is_told_where_the_module_is(installed, prefix):
    told = (installed / "share/p11-kit/modules/chancery.module").read_text(encoding="utf-8")
    assert f"\nmodule: {prefix}/{MODULE}\n" in told


@pytest.mark.parametrize("library", GUESTS)
def test_install__a_guest_needs_little_and_shows_less(installed, library):
    needed, shown = GUESTS[library]
    dynamic = run("readelf", "-W", "--dynamic", installed / library).stdout
    assert re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic) == needed
    symbols = run("nm", "--dynamic", "--defined-only", installed / library).stdout
    assert {line.split()[-1] for line in symbols.splitlines()} == shown


@pytest.mark.parametrize("library", GUESTS)
def test_install__a_guest_changes_nothing_of_its_process(installed, library):
    symbols = run("nm", "--dynamic", "--undefined-only", installed / library).stdout
    calls = {line.split()[-1].split("@")[0] for line in symbols.splitlines()}
    assert not calls & {
        "exit", "_exit", "atexit", "__cxa_atexit", "setlocale", "chdir", "fchdir", "umask",
        "signal", "sigaction", "sigprocmask", "pthread_sigmask", "pthread_create", "setenv",
        "putenv", "unsetenv", "printf", "puts", "putchar", "system", "popen"}


def test_install__programs_name_no_build_folder(installed):
    for name in ("bin/chancery", "bin/chancery-gpgsm", "bin/chanceryd", MODULE):
        dynamic = run("readelf", "-d", installed / name).stdout
        assert "NEEDED" in dynamic
        assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


def test_unit__starts_what_is_installed(root, unit):
    program = re.search(r"^ExecStart=(\S+)", unit, re.MULTILINE)[1]
    assert os.access(root / program.lstrip("/"), os.X_OK)
    assert not re.search(r"@\w+@", unit)  # all names were filled in


def test_unit__pages_are_installed(installed, unit):
    names = re.findall(r"man:([a-z.]+)\((\d)\)", unit)
    assert names
    for name, section in names:
        assert (installed / f"share/man/man{section}/{name}.{section}").exists()


def test_doc__links_lead_somewhere(installed):
    pages = list((installed / "share/doc/chancery").rglob("*.md"))
    links = [(page, link) for page in pages
             for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))]
    assert links
    assert [link for link in links if not (link[0].parent / link[1]).exists()] == []


@needs("systemd-analyze")
def test_unit__systemd_has_nothing_to_say(root, unit, tmp_path):
    text = re.sub(r"^ExecStart=", f"ExecStart={root}", unit, flags=re.MULTILINE)
    path = tmp_path / "chanceryd.service"
    path.write_text(text, encoding="utf-8")
    done = run("systemd-analyze", "verify", "--man=no", path)
    assert [line for line in done.stderr.splitlines() if "chanceryd" in line] == []
    path.write_text(text.replace("ProtectSystem=", "ProtectTheSystem="), encoding="utf-8")
    assert "ProtectTheSystem" in run("systemd-analyze", "verify", "--man=no", path).stderr


@needs("systemd-analyze")
def test_unit__exposure(root, prefix):
    """Below 3.0 of 10: root and the network are what it is for; the rest is shut."""
    unit = f"{prefix}/lib/systemd/system/chanceryd.service"
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--root={root}"]
    done = run(*command, "--threshold=30", unit)
    assert done.returncode == 0, done.stdout + done.stderr
    assert run(*command, "--threshold=10", unit).returncode != 0


def test_sysusers__has_the_users_of_the_processes(installed):
    text = (installed / "lib/sysusers.d/chancery.conf").read_text(encoding="utf-8")
    users = set(re.findall(r"^u\s+(\S+)", text, re.MULTILINE))
    defaults = (TOP / "src/supervisor/config_defaults.c").read_text(encoding="utf-8")
    named = set(re.findall(r'"(chancery-[a-z]+)"', defaults))
    assert named and users == named


def test_makefile__prefix_and_destdir_reach_meson():
    done = run("make", "-n", "-C", TOP, "install", "PREFIX=/opt/c", "DESTDIR=/d")
    assert "meson configure build/release -Dprefix=/opt/c" in done.stdout
    assert "meson install -C build/release" in done.stdout
