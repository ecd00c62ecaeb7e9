# SPDX-License-Identifier: MIT
"""Other people's programs sign through the module: `keys` is where (signer.py)."""

import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import openpgp  # noqa: E402
import registry as images  # noqa: E402
import signer  # noqa: E402
import tsa as time_stamps  # noqa: E402
from signer import SOURCE  # noqa: E402,F401  (logformat asks its conftest)


@pytest.fixture(scope="session")
def keys():
    if not signer.MODULE.exists():
        pytest.skip(f"{signer.MODULE} is not built")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="chancery-interop-", dir="/tmp"))
    folder.chmod(0o755)
    made = None
    try:
        made = signer.Signer(folder)
        yield made
        made.server.stop()
    finally:
        if made is not None:
            made.server.drop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def tsa(tmp_path_factory):
    """A time-stamp authority (tsa.py)."""
    with time_stamps.Authority(tmp_path_factory.mktemp("tsa")) as authority:
        yield authority


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    """A registry of images (registry.py)."""
    signer.need("umoci", "skopeo")
    with images.Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def pgp(keys):
    """chancery-gpg with the keys of `keys`, and gpg that knows them."""
    signer.need("gpg", "gpgv", "gpgconf")
    made = openpgp.OpenPGP(keys)
    yield made
    made.keys.run("gpgconf", "--kill", "all", env={"GNUPGHOME": str(made.home)}, check=False)


@pytest.fixture(scope="module")
def release(keys):
    """The key that pages and templates speak of; tests of other files do not see it."""
    if keys.admin.run("keys", "enable", "release", check=False).returncode != 0:
        keys.admin.run("keys", "create", "release", "--type", "rsa-3072")
        keys.admin.run("certs", "development", "release", "--subject", "CN=Test release")
        keys.admin.run("certs", "show", "release", "--out", "release.pem")
        keys.admin.run("keys", "public", "release", "--out", "release.pub")
    yield keys
    keys.admin.run("keys", "disable", "release")
