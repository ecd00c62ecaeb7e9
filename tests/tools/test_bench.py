# SPDX-License-Identifier: MIT
"""The benchmark runs and says what it should; what figures it says is not for a test."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
FIELDS = {"algorithm", "via", "connections", "batch", "verify_after_sign", "per_second", "p50_ms",
          "p99_ms", "rss_mb", "ratio_to_raw", "ratio_to_limit"}


def load(name):
    spec = importlib.util.spec_from_file_location(name, TOP / "bench" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bench(*arguments):
    return subprocess.run([sys.executable, TOP / "bench/bench", *arguments], text=True, check=True,
                          capture_output=True, timeout=300,
                          env={**os.environ, "CHANCERY_SOURCE": str(TOP)}).stdout


def test_rows_are_chosen_with_what_they_are_compared_to():
    assert bench("--list", "--rows", "rsa3072/https/1x1").split() == [
        "rsa3072/raw/2x1", "rsa3072/limit/2x1", "rsa3072/https/1x1"]


def test_a_short_run(tmp_path):
    out = bench("--rounds", "1", "--run-ms", "200", "--rows", "p256/https/1x1", "--rows",
                "p256/refused/*", "--json", tmp_path / "bench.json")
    rows = json.loads((tmp_path / "bench.json").read_text())
    assert [row["via"] for row in rows] == ["raw", "limit", "https", "refused", "at-rest"]
    for row in rows:
        assert FIELDS <= set(row), row
    for row in rows[:-1]:
        assert row["per_second"] > 0 and 0 < row["p50_ms"] <= row["p99_ms"], row
    assert rows[0]["ratio_to_raw"] == 1 and rows[2]["ratio_to_limit"] > 0
    assert rows[-1]["pss_mb"] > 0
    assert "p256/https/1x1" in out and "of raw" in out


def test_aims_are_held_against_the_figures():
    report = load("report")
    rows = [{"name": "p256/https/16x1", "ratio_to_raw": 0.9, "p50_ms": 1.0, "p99_ms": 3.5,
             "per_second": 1.0, "cpu_us_signer": 1.0}]
    lines = list(report.aims(rows, {"pss_mb": 65.0}))
    assert [line.split()[0] for line in lines] == ["met", "MISSED", "MISSED"]
