# SPDX-License-Identifier: MIT
"""The scripts that set a machine up: what they take from the README and from Debian."""

import pathlib
import re
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(name="fresh_machine")
def copy_fresh_machine(tmp_path):
    """The script in a tree of its own, whose README a test writes."""
    (tmp_path / "tools").mkdir()
    return shutil.copy(TOP / "tools" / "fresh-machine", tmp_path / "tools")


def test_fresh_machine__takes_the_marked_block_word_for_word(fresh_machine, tmp_path):
    (tmp_path / "README.md").write_text(
        "# Us\n```sh\nother\n```\n<!-- fresh-machine -->\n```sh\napt-get install -y \"a b\"\n"
        "make check\n```\n```sh\nlast\n```\n", encoding="utf-8")
    assert run(fresh_machine, "--list").stdout == 'apt-get install -y "a b"\nmake check\n'


@pytest.mark.parametrize("readme", [None, "# Us\n```sh\nmake\n```\n", "<!-- fresh-machine -->\n"])
def test_fresh_machine__without_a_marked_block_it_fails(readme, fresh_machine, tmp_path):
    if readme is not None:
        (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    done = run(fresh_machine, "--list")
    assert done.returncode == 1
    assert "no block marked" in done.stderr


def test_install_packages__each_group_holds_the_one_before():
    groups = [set(run(TOP / "tools" / "install-packages", "--list", group).stdout.split())
              for group in ("build", "test", "full")]
    assert groups[0] < groups[1] < groups[2]


def test_install_packages__nothing_is_missing_here():
    done = run(TOP / "tools" / "install-packages", "--dry-run", "test")
    assert (done.returncode, done.stdout) == (0, "")


def test_install_packages__a_missing_package_is_named(tmp_path):
    (tmp_path / "tools").mkdir()
    script = tmp_path / "tools" / "install-packages"
    text = (TOP / "tools" / "install-packages").read_text(encoding="utf-8")
    script.write_text(text.replace("\nbinutils\n", "\nbinutils\nchancery-no-such-package\n", 1),
                      encoding="utf-8")
    script.chmod(0o755)
    assert run(script, "--dry-run", "build").stdout == "chancery-no-such-package\n"


# Of every Debian, or (x11-common) something that makes a folder and ends.
MAY_START = {"apt", "dbus", "dpkg", "util-linux", "x11-common"}


def with_what_they_want(names):
    """These packages and all that they depend on, of those that are installed."""
    shown = run("dpkg-query", "-W", "-f", "${Package}\t${Pre-Depends}, ${Depends}\n").stdout
    wants = dict(line.split("\t") for line in shown.splitlines())
    found, left = set(), list(names)
    while left:
        name = left.pop()
        if name in wants and name not in found:
            found.add(name)
            left += re.findall(r"(?:^|[,|] *)([a-z0-9][a-z0-9.+-]+)", wants[name])
    return found


@pytest.mark.parametrize("group", ["build", "test"])
def test_install_packages__nothing_becomes_a_service(group):
    """Who runs our tests on his machine gets no sshd, registry or updater that listens."""
    listed = run(TOP / "tools" / "install-packages", "--list", group).stdout.split()
    starts = {path.stem for path in pathlib.Path("/var/lib/dpkg/info").glob("*.postinst")
              if re.search(r"deb-systemd-invoke|invoke-rc\.d", path.read_text(errors="replace"))}
    all_of_them = with_what_they_want(listed)
    assert len(all_of_them) > len(listed)
    assert all_of_them & starts <= MAY_START


def owners_of(library):
    """The packages that have this file; with /usr merged its path may be either."""
    plain = re.sub("^/usr", "", library)
    shown = run("dpkg-query", "-S", plain, f"/usr{plain}").stdout
    return {owner.split(":")[0] for owner in re.findall(r"^(\S+): ", shown, re.MULTILINE)}


@pytest.mark.parametrize("name", ["docker-registry", "sshd", "swupdate"])
def test_install_packages__what_is_unpacked_finds_its_libraries(name):
    """Of a package that is not installed nothing sees to what it depends on."""
    fetched = run(TOP / "tools" / "fetch-artifacts", name)
    if fetched.returncode != 0:
        pytest.skip(f"{name} is not to be had: {fetched.stderr.strip()[-200:]}")
    there = with_what_they_want(
        run(TOP / "tools" / "install-packages", "--list", "test").stdout.split())
    libraries = re.findall(r" => (/\S+) ", run("ldd", fetched.stdout.strip()).stdout)
    for library in libraries:
        assert owners_of(library) & there, library
    assert libraries


def test_install_packages__wrong_use_is_told():
    assert run(TOP / "tools" / "install-packages", "everything").returncode == 2


def test_makefile__help_lists_every_target():
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    listed = re.findall(r"^make (\w+)", run("make", "-s", "-C", TOP, "help").stdout, re.MULTILINE)
    assert sorted(listed) == sorted(targets)
