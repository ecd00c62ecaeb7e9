# SPDX-License-Identifier: MIT
"""Faults are made in the servers of tests/system, under the load of its clients."""

import importlib.util
import pathlib
import sys

SYSTEM = pathlib.Path(__file__).resolve().parent.parent / "system"
sys.path.insert(0, str(SYSTEM))
_spec = importlib.util.spec_from_file_location("system_conftest", SYSTEM / "conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
# Whatever a test takes from "conftest" is there, whichever of the two folders ran first.
globals().update(
    {name: value for name, value in vars(_module).items() if not name.startswith("__")}
)
