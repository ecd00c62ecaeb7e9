# SPDX-License-Identifier: MIT
"""Time stamps of tools that `chancery exec` runs: there by themselves where an authority is
configured; where none is, that is said."""

import re
import zipfile

import pytest

from signer import artifact, need
from test_java_archives import archive
from test_windows import osslsigncode, sample

NONE = "NO TIME STAMP"
TOKEN = bytes.fromhex("060b2a864886f70d010910020e")  # id-aa-timeStampToken


def words_of(keys, tool, name):
    """A command line that says nothing of time stamps, and what it makes."""
    if tool == "jarsigner":
        path = archive(keys, "jar", name)
        return ["jarsigner", path.name, "r3"], path
    path = sample(keys, "exe", name=name)
    if tool == "jsign":
        return ["java", "-jar", artifact("jsign"), "--alias", "r3", path.name], path
    out = keys.home / f"{name}-out.exe"
    out.unlink(missing_ok=True)
    return ["osslsigncode", "sign", "-h", "sha256", "-pkcs11cert", "pkcs11:object=r3", "-key",
            "pkcs11:object=r3", "-in", path.name, "-out", out.name], out


def is_stamped(keys, tsa, path):
    if path.suffix == ".jar":
        with zipfile.ZipFile(path) as made:
            return TOKEN in made.read("META-INF/R3.RSA")
    said = osslsigncode(keys, path, "-TSA-CAfile", tsa.ca).stdout
    assert "Signature verification: ok" in said
    return re.search("Timestamp verified using|Timestamp Server Signature verification: ok", said)


@pytest.fixture(name="in_profile")
def fixture_in_profile(keys, tsa):
    """The authority stands in the profile, as an administrator hands it out."""
    path = keys.home / ".config/chancery/config.yaml"
    before = path.read_text()
    path.write_text(before.replace("    url:", f'    timestamp_url: "{tsa.url}"\n    url:'))
    yield
    path.write_text(before)


@pytest.mark.parametrize("tool", ["jarsigner", "jsign", "osslsigncode"])
def test_by_default(keys, tsa, in_profile, tool):
    need("jarsigner", "java", "osslsigncode")
    words, path = words_of(keys, tool, "stamped")
    before = tsa.stamps
    done = keys.exec(*words)
    assert tsa.stamps == before + 1 and is_stamped(keys, tsa, path)
    assert NONE not in done.stderr
    words, path = words_of(keys, tool, "not-stamped")
    done = keys.exec(*words, options=["--no-timestamp"])
    assert tsa.stamps == before + 1 and not is_stamped(keys, tsa, path)
    assert NONE not in done.stderr


@pytest.mark.parametrize("tool", ["jarsigner", "jsign", "osslsigncode"])
def test_none_is_known(keys, tsa, tool):
    """It is said once there is a signature that will need one, and not before."""
    need("jarsigner", "java", "osslsigncode")
    words, path = words_of(keys, tool, "unstamped")
    done = keys.exec(*words)
    assert NONE in done.stderr and not is_stamped(keys, tsa, path)
    assert NONE not in keys.exec(*words, options=["--dry-run"]).stderr
    words = [word.replace("r3", "none-such") if isinstance(word, str) else word for word in words]
    assert NONE not in keys.exec(*words, check=False).stderr


def test_the_command_line_goes_before_the_environment(keys, tsa):
    need("jarsigner")
    words, path = words_of(keys, "jarsigner", "which")
    before = tsa.stamps
    keys.exec(*words, options=["--timestamp-url", tsa.url],
              env={"CHANCERY_TIMESTAMP_URL": "http://127.0.0.1:9"})
    assert tsa.stamps == before + 1 and is_stamped(keys, tsa, path)
    assert keys.exec(*words, env={"CHANCERY_TIMESTAMP_URL": "http://127.0.0.1:9"},
                     check=False).returncode != 0
