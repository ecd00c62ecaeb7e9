# SPDX-License-Identifier: MIT
"""tools/fetch-artifacts: a file is taken for what the table says only when its hash says so."""

import hashlib
import os
import pathlib
import signal
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "fetch-artifacts"
CONTENT = b"what is published\n"
MVN = """#!/bin/sh
for word; do
    case $word in
        -DoutputDirectory=*) folder=${word#*=} ;;
    esac
done
echo called >>"$CHANCERY_CACHE/calls"
%s
"""

GO = r"""#!/bin/sh
echo "$@" >>"$CHANCERY_CACHE/calls"
echo "$1 $GOFLAGS $GOWORK" >>"$CHANCERY_CACHE/../settings"
case $1 in
    mod) printf '{\n\t"Sum": "h1:%s",\n\t"Dir": "%s"\n}\n' ;;
    build)
        while [ "$1" != -o ]; do shift; done
        cp "$0" "$2"
        ;;
esac
"""
# Of the machine's own lists, where there are some; else of what `update` fetched without root.
APT = r"""#!/bin/sh
echo "$@" >>"$CHANCERY_CACHE/calls"
lists=$(sed -n 's/.*State::lists "\([^"]*\)".*/\1/p' "${APT_CONFIG:-/dev/null}")
case $2 in
    update) touch "$lists/new" ;;
    download) %s cp "$CHANCERY_CACHE/../thing.deb" thing_1.0_all.deb ;;
esac
"""
MAVEN_ROW = f"thing maven a.b:thing 1.0 {hashlib.sha256(CONTENT).hexdigest()}"
DEBIAN_ROW = "thing debian thing-server:usr/sbin/thing bookworm -"
GO_ROW = "thing go example.org/thing/v2:cmd/thing:some v2.0.0 h1:right="


@pytest.fixture(name="fetch")
def fixture_fetch(tmp_path, request):
    """The script with a table of one row, and a client that does as a test says."""
    script = tmp_path / "fetch-artifacts"
    row = getattr(request, "param", MAVEN_ROW)
    table, rest = SCRIPT.read_text(encoding="utf-8").split('artifacts="\n', 1)
    script.write_text(f'{table}artifacts="\n{row}\n{rest[rest.index(chr(34)):]}',
                      encoding="utf-8")
    script.chmod(0o755)
    cache = tmp_path / "cache"
    cache.mkdir()
    (tmp_path / "bin").mkdir()

    def call(*words, mvn="exit 1", go_sum="right=", apt="", env=None):
        for name, text in (("mvn", MVN % mvn), ("go", GO % (go_sum, tmp_path)),
                           ("apt-get", APT % apt)):
            program = tmp_path / "bin" / name
            program.write_text(text, encoding="utf-8")
            program.chmod(0o755)
        env = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "CHANCERY_CACHE": str(cache),
               **(env or {})}
        return subprocess.run([script, *words], env=env, capture_output=True, text=True,
                              check=False, start_new_session=True)

    call.cache = cache
    return call


PUBLISHED = "printf 'what is published\\n' >$folder/thing-1.0.jar"


def test_fetched_once(fetch):
    for mvn in (PUBLISHED, "exit 1"):
        done = fetch(mvn=mvn)
        assert (done.returncode, done.stdout) == (0, f"{fetch.cache}/thing-1.0.jar\n"), done.stderr
    assert (fetch.cache / "thing-1.0.jar").read_bytes() == CONTENT
    assert (fetch.cache / "calls").read_text() == "called\n"


def test_another_file_is_refused(fetch):
    done = fetch(mvn="echo something else >$folder/thing-1.0.jar")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not the file that is expected" in done.stderr
    assert [path.name for path in fetch.cache.iterdir()] == ["calls"]


def test_a_file_that_changed_in_the_cache_is_fetched_anew(fetch):
    (fetch.cache / "thing-1.0.jar").write_bytes(b"changed")
    assert fetch("thing", mvn=PUBLISHED).returncode == 0
    assert (fetch.cache / "thing-1.0.jar").read_bytes() == CONTENT


def test_a_registry_that_does_not_answer(fetch):
    done = fetch()
    assert (done.returncode, done.stdout) == (1, "")
    assert "thing 1.0 could not be fetched" in done.stderr
    assert [path.name for path in fetch.cache.iterdir()] == ["calls"]


def test_interrupted(fetch):
    """As by Ctrl-C, which all of the script's programs get."""
    done = fetch(mvn="echo half >$folder/thing-1.0.jar; kill -INT 0")
    assert done.returncode in (1, -signal.SIGINT)
    assert [path.name for path in fetch.cache.iterdir()] == ["calls"]


@pytest.mark.parametrize("words,code", [(["other"], 1), (["thin"], 1), (["--what"], 2),
                                        (["--help"], 0)])
def test_words(fetch, words, code):
    assert fetch(*words).returncode == code
    assert not (fetch.cache / "calls").exists()


@pytest.mark.parametrize("fetch", [GO_ROW], indirect=True)
def test_go__built_once(fetch):
    for _ in range(2):
        done = fetch()
        assert (done.returncode, done.stdout) == (0, f"{fetch.cache}/thing-v2.0.0\n"), done.stderr
    assert os.access(fetch.cache / "thing-v2.0.0", os.X_OK)
    download, build = (fetch.cache / "calls").read_text().splitlines()
    assert download == "mod download -json example.org/thing/v2@v2.0.0"
    assert " -tags some " in build and build.endswith(" ./cmd/thing")


@pytest.mark.parametrize("fetch", [GO_ROW], indirect=True)
def test_go__settings_of_whoever_runs_it(fetch):
    """They would have other files built in."""
    own = {"GOFLAGS": "-overlay=own.json -modfile=own.mod", "GOWORK": "/home/own/go.work"}
    assert fetch(env=own).returncode == 0
    assert (fetch.cache.parent / "settings").read_text() == \
        "mod -mod=readonly off\nbuild -mod=readonly off\n"


def package(folder, program):
    """thing.deb, with one program."""
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("Package: thing-server\nVersion: 1.0\nArchitecture: all\n"
                                         "Maintainer: a <a@example.org>\nDescription: a thing\n")
    (tree / program).parent.mkdir(parents=True)
    (tree / program).write_bytes(CONTENT)
    (tree / program).chmod(0o755)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, folder / "thing.deb"],
                   check=True, capture_output=True)


@pytest.mark.parametrize("fetch", [DEBIAN_ROW], indirect=True)
@pytest.mark.parametrize("apt,calls", [("", ["download"]),
                                       ('[ -f "$lists/new" ] || exit 1;',
                                        ["download", "update", "download"])])
def test_debian__unpacked_and_not_installed(fetch, apt, calls):
    package(fetch.cache.parent, "usr/sbin/thing")
    for _ in range(2):
        done = fetch(apt=apt)
        assert (done.returncode, done.stdout) == (0, f"{fetch.cache}/thing-bookworm\n"), done
    assert (fetch.cache / "thing-bookworm").read_bytes() == CONTENT
    assert [line.split()[1] for line in (fetch.cache / "calls").read_text().splitlines()] == calls
    assert {path.name for path in fetch.cache.iterdir()} == {"calls", "thing-bookworm"}


@pytest.mark.parametrize("fetch", ["thing debian coreutils:usr/bin/env bookworm -"], indirect=True)
def test_debian__installed_all_the_same(fetch):
    done = fetch(apt="exit 100;")
    assert (done.returncode, done.stdout) == (0, f"{fetch.cache}/thing-bookworm\n"), done.stderr
    installed = pathlib.Path("/usr/bin/env")
    assert (fetch.cache / "thing-bookworm").read_bytes() == installed.read_bytes()
    assert not (fetch.cache / "calls").exists()


@pytest.mark.parametrize("fetch", [DEBIAN_ROW], indirect=True)
@pytest.mark.parametrize("program,apt", [("usr/sbin/other", ""), ("usr/sbin/thing", "exit 100;")])
def test_debian__not_to_be_had(fetch, program, apt):
    """The package has no such program; apt does not believe what it got."""
    package(fetch.cache.parent, program)
    done = fetch(apt=apt)
    assert (done.returncode, done.stdout) == (1, "")
    assert "thing bookworm could not be fetched" in done.stderr
    assert [path.name for path in fetch.cache.iterdir()] == ["calls"]


@pytest.mark.parametrize("fetch", [GO_ROW], indirect=True)
def test_go__another_source_is_not_built(fetch):
    done = fetch(go_sum="wrong=")
    assert (done.returncode, done.stdout) == (1, "")
    assert "example.org/thing/v2 v2.0.0 has another hash" in done.stderr
    assert (fetch.cache / "calls").read_text().count("\n") == 1


def test_one_that_is_not_to_be_had_does_not_keep_others_away(fetch):
    script = fetch.cache.parent / "fetch-artifacts"
    text = script.read_text(encoding="utf-8")
    script.write_text(text.replace(MAVEN_ROW, f"{MAVEN_ROW}\n{GO_ROW}"), encoding="utf-8")
    done = fetch()
    assert (done.returncode, done.stdout) == (1, f"{fetch.cache}/thing-v2.0.0\n")
