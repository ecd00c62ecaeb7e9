# SPDX-License-Identifier: MIT
"""Other people's programs sign through the module: `keys` is where (signer.py)."""

import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
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
    signer.need("docker-registry", "umoci", "skopeo")
    with images.Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running
