"""What the tests of engines share: files, and whether two Evaluations are the same to the last bit."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import polars as pl

from fastloss.evaluation.engines import attempt

ANSWERS = {"by": ["s", "t"], "spread": True, "worst": 7, "bootstrap": 8, "calibration": True, "weight": "w"}
LOSSES = ["log_loss", "brier"]
N = 30_000


def table(n, seed):
    rng = np.random.default_rng(seed)
    p = rng.random(n).astype(np.float32)
    return pl.DataFrame({
        "y": (rng.random(n) < p).astype(np.int8), "p": p, "w": rng.random(n), "s": rng.integers(0, 5, n),
        "t": [("nord", "süd", "")[i] for i in rng.integers(0, 3, n)], "label": rng.integers(0, 3, n),
        **{f"z_{i}": rng.standard_normal(n).astype(np.float32) for i in range(3)},
    })  # fmt: skip


def write_files(folder):
    """Two Parquet files, one of few rows, and a CSV file, which is not cut."""
    for number, n in enumerate((N, 100)):
        table(n, number).write_parquet(folder / f"{number}.parquet", row_group_size=7000)
    table(2000, 2).write_csv(folder / "2.csv")
    return folder


def assert_same(found, expected):
    """Every answer, and every field but the time."""
    for name in ("state", "analysis"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one and one.to_bytes()) == (other and other.to_bytes()), name
    for field in dataclasses.fields(expected):
        if field.name not in ("state", "analysis", "seconds", "bootstrap"):
            assert repr(getattr(found, field.name)) == repr(getattr(expected, field.name)), field.name
    for name, one in (expected.bootstrap or {}).items():
        assert found.bootstrap[name].replicates.tolist() == one.replicates.tolist()


def flaky(folder, what, request, piece, **how):
    """engines.attempt, but each piece fails once: "raise", or "kill" the process. Files in ``folder`` say which have."""
    marker = Path(folder, f"{piece.file}-{piece.first}")
    if not marker.exists():
        marker.touch()
        if what == "kill":
            os.kill(os.getpid(), 9)
        raise OSError("the disk does not answer")
    return attempt(request, piece, **how)


def lethal(*_):
    """A piece that no worker survives."""
    os.kill(os.getpid(), 9)
