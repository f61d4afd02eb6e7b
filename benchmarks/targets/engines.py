"""Targets of engines: what Dask adds to the time of an evaluation, where as many threads compute as without it.

Files are written to a temporary folder (TMPDIR), some 1.1 GB for n = 2**25, and read from the page cache.
"""

import importlib.util
import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

import fastloss as fl
from benchmarks import THREADS
from benchmarks.targets.rows import Row
from fastloss.measuring.timing import side_by_side

FILES = 8  # of n rows each


def make(n, folder):
    """Parquet files of y (int8) and p (float32); all alike, which changes nothing."""
    import polars as pl

    rng = np.random.default_rng(0)
    p = rng.random(n, dtype=np.float32) * np.float32(0.98) + np.float32(0.01)
    y = (rng.random(n, dtype=np.float32) < p).astype(np.int8)
    pl.DataFrame({"y": y, "p": p}).write_parquet(folder / "0.parquet", row_group_size=2**20)
    for number in range(1, FILES):
        shutil.copyfile(folder / "0.parquet", folder / f"{number}.parquet")


def engines(bench):
    missing = [name for name in ("polars", "distributed") if importlib.util.find_spec(name) is None]
    if missing:
        yield Row("engines", None, note=f"{' and '.join(missing)} not installed")
        return
    import dask
    from distributed import Client, LocalCluster

    alone = {"distributed.nanny.pre-spawn-environ": dask.config.get("distributed.nanny.pre-spawn-environ") | {"POLARS_MAX_THREADS": "1"}}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make(bench.n, folder)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e9
        options = {"n_workers": THREADS, "threads_per_worker": 1, "dashboard_address": None}
        with dask.config.set(alone), LocalCluster(**options) as cluster, Client(cluster) as client:
            for losses in ("log_loss", ["log_loss", "brier"]):
                ours = partial(fl.evaluate_files, os.fspath(folder), losses)
                made = {"alone": partial(ours, n_threads=THREADS), "dask": partial(ours, engine=client)}
                one, other = (call() for call in made.values())
                if one.state.to_bytes() != other.state.to_bytes():
                    raise AssertionError("Dask found other bits")
                found = {name: timing.minimum for name, timing in side_by_side(made, seconds=3 * bench.seconds).items()}
                what = " and ".join([losses] if isinstance(losses, str) else losses)
                note = f"{found['dask']:.2f} s, alone {found['alone']:.2f} s"
                yield Row(f"Dask, {size:.1f} GB of Parquet, {what}: time over alone", found["dask"] / found["alone"], "<=", 1.15, note=note)
        started = time.perf_counter()
        seconds = fl.evaluate_files(os.fspath(folder), losses, engine="dask", n_threads=THREADS).seconds
        yield Row(
            'engine="dask", the same, starting and ending processes', time.perf_counter() - started, unit=" s", note=f"{seconds:.2f} s"
        )
