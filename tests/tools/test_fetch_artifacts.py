# SPDX-License-Identifier: MIT
"""tools/fetch-artifacts: a file is taken for what the table says only when its hash says so."""

import hashlib
import os
import pathlib
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
case $1 in
    mod) printf '{\n\t"Sum": "h1:%s",\n\t"Dir": "%s"\n}\n' ;;
    build)
        while [ "$1" != -o ]; do shift; done
        cp "$0" "$2"
        ;;
esac
"""
MAVEN_ROW = f"thing maven a.b:thing 1.0 {hashlib.sha256(CONTENT).hexdigest()}"
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

    def call(*words, mvn="exit 1", go_sum="right="):
        for name, text in (("mvn", MVN % mvn), ("go", GO % (go_sum, tmp_path))):
            program = tmp_path / "bin" / name
            program.write_text(text, encoding="utf-8")
            program.chmod(0o755)
        env = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "CHANCERY_CACHE": str(cache)}
        return subprocess.run([script, *words], env=env, capture_output=True, text=True,
                              check=False)

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
