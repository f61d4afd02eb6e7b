"""Targets of files: beside polars' and DuckDB's expressions for the same number, beside reading the bytes; segments, memory, start.

Files are written to a temporary folder (TMPDIR), some 0.7 GB for n = 2**25, with --huge 21 GB more, and read from the page cache.
"""

import fcntl
import importlib.util
import os
import struct
import subprocess
import sys
import tempfile
import termios
import time
from functools import partial
from pathlib import Path

import numpy as np

import fastloss as fl
from benchmarks import THREADS
from benchmarks.targets.rows import Row
from fastloss.measuring.timing import side_by_side

SEGMENTS = 1_000
HUGE = 20 * 10**9  # bytes
COSTS = {"log_loss": ("-ln(CASE WHEN y = 1 THEN p ELSE 1 - p END)", 0.7), "brier": ("(p - y) * (p - y)", 0.9)}  # and over polars

# Peak of an evaluation in bytes above nothing, and every half second what is resident.
PEAK = """
import sys, threading, time
import fastloss as fl
def kilobytes(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key))
curve = []
def watch():
    while True:
        curve.append(kilobytes("VmRSS") // 1024)
        time.sleep(0.5)
threading.Thread(target=watch, daemon=True).start()
target, prediction, *paths = sys.argv[1:]
fl.evaluate_files(paths, "mse", target=target, prediction=prediction)
print(kilobytes("VmHWM") / 1024, *curve)
"""


def make(n, folder):
    """y (int8), p (float32) and s (int16) in a Parquet file, an .npz and, of an eighth of the rows, a CSV; a matrix of two columns and
    logits of 1,000 classes with labels as .npy."""
    import polars as pl

    rng = np.random.default_rng(0)
    p = rng.random(n, dtype=np.float32) * np.float32(0.98) + np.float32(0.01)
    y = (rng.random(n, dtype=np.float32) < p).astype(np.int8)
    frame = pl.DataFrame({"y": y, "p": p, "s": rng.integers(0, SEGMENTS, n).astype(np.int16)})
    frame.write_parquet(folder / "n.parquet", row_group_size=2**20)
    frame.head(n // 8).select("y", "p").write_csv(folder / "n.csv")
    np.savez(folder / "n.npz", y=y, p=p, s=frame["s"].to_numpy())
    np.save(folder / "n.npy", np.stack([y.astype(np.float32), p], axis=1))
    np.save(folder / "logits.npy", rng.standard_normal((n // 500, 1000), np.float32))
    np.save(folder / "labels.npy", rng.integers(0, 1000, n // 500).astype(np.int32))


def ours(path, losses, **more):
    return partial(fl.evaluate_files, os.fspath(path), losses, n_threads=THREADS, **more)


def rivals(path, loss):
    """{name: function that returns the cost}"""
    import duckdb
    import polars as pl

    y, p = pl.col("y"), pl.col("p")
    terms = {"log_loss": -pl.when(y == 1).then(p).otherwise(1 - p).log(), "brier": (p - y) * (p - y)}
    scan = (pl.scan_parquet if path.suffix == ".parquet" else pl.scan_csv)(path)
    duck = duckdb.connect(config={"threads": THREADS})
    made = {"polars": lambda: scan.select(terms[loss].mean()).collect(engine="streaming").item()}
    if path.suffix == ".parquet":
        made["duckdb"] = lambda: duck.execute(f"SELECT avg({COSTS[loss][0]}) FROM '{path}'").fetchone()[0]
    return made


def read_into(*paths):
    """Reads files into one buffer, over and over, as a bare reader would."""
    room = bytearray(2**20)

    def read():
        for path in paths:
            with open(path, "rb", buffering=0) as file:
                while file.readinto(room):
                    pass

    return read


def agree(loss, found):
    results = {name: call() for name, call in found.items()}
    results["ours"] = results["ours"][loss]
    if not all(abs(value - results["ours"]) <= 1e-5 * abs(results["ours"]) for value in results.values()):
        raise AssertionError(f"{loss} differs: {results}")


def files(bench):
    missing = [name for name in ("polars", "duckdb") if importlib.util.find_spec(name) is None]
    if missing:
        yield Row("files", None, note=f"{' and '.join(missing)} not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make(bench.n, folder)
        yield from parquet(bench, folder / "n.parquet")
        yield from others(bench, folder)
        yield from segments(bench, folder)
        yield Row("fastloss eval: seconds from start to the first byte read", min(start() for _ in range(5)), "<", 0.5)
        if bench.huge:
            yield from huge(folder)


def parquet(bench, path):
    both = list(COSTS)
    made = {("both", "ours"): ours(path, both)}
    for loss in COSTS:
        found = {"ours": ours(path, loss), **rivals(path, loss)}
        agree(loss, found)
        made |= {(loss, name): call for name, call in found.items()}
    timings = {key: timing.minimum for key, timing in side_by_side(made, seconds=3 * bench.seconds).items()}
    for loss, (_, limit) in COSTS.items():
        mine = timings[loss, "ours"]
        note = f"{mine * 1e3:.0f} ms"
        yield Row(f"Parquet, {loss}: ours / polars", mine / timings[loss, "polars"], "<=", limit, note=note)
        yield Row(f"Parquet, {loss}: ours / DuckDB", mine / timings[loss, "duckdb"], "<=", 0.5)
    alone = max(timings[loss, "ours"] for loss in COSTS)
    yield Row("Parquet: both / the slower alone", timings["both", "ours"] / alone, "<=", 1.2)


def others(bench, folder):
    columns = {"target": "0", "prediction": "1"}
    made = {"mse": ours(folder / "n.npy", "mse", **columns), "log_loss": ours(folder / "n.npy", "log_loss", **columns)}
    timings = side_by_side(made | {"read": read_into(folder / "n.npy")}, seconds=bench.seconds)
    for loss in made:
        yield Row(f".npy, {loss}: ours / reading", timings[loss].minimum / timings["read"].minimum, "<=", 1.2)
    found = {"ours": ours(folder / "n.csv", "log_loss"), **rivals(folder / "n.csv", "log_loss")}
    agree("log_loss", found)
    timings = side_by_side(found, seconds=bench.seconds)
    yield Row("CSV, log_loss: ours / polars", timings["ours"].minimum / timings["polars"].minimum, "<=", 1.0)
    logits, labels = folder / "logits.npy", folder / "labels.npy"
    made = {"ours": partial(fl.evaluate_files, [], "softmax_cross_entropy", target=labels, prediction=logits, n_threads=THREADS)}
    timings = side_by_side(made | {"read": read_into(logits, labels)}, seconds=bench.seconds)
    yield Row("1,000 classes, .npy: ours / reading", timings["ours"].minimum / timings["read"].minimum, "<=", 1.6)


def segments(bench, folder):
    for name in ("n.parquet", "n.npz"):
        made = {by: ours(folder / name, "log_loss", by=by) for by in (None, "s")}
        timings = side_by_side(made, seconds=2 * bench.seconds)
        value = timings["s"].minimum / timings[None].minimum
        yield Row(f"{Path(name).suffix}: by {SEGMENTS:,} segments / without", value, "<=", 1.5)


def start():
    """Seconds until a new process takes the first byte that waits for it in its standard input."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "fastloss", "eval", "-", "--format", "csv", "-l", "mse"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        process.stdin.write(b"y,p\n1,2\n")
        process.stdin.flush()
        while struct.unpack("i", fcntl.ioctl(process.stdin, termios.FIONREAD, b"\0" * 4))[0]:
            time.sleep(0.0005)
        return time.perf_counter() - begun
    finally:
        process.stdin.close()
        process.wait()


def huge(folder):
    """Peak memory of 20 GB: a table of row groups of 128 MB, many times, and one matrix."""
    import polars as pl

    rows = 2**27 // 12
    rng = np.random.default_rng(1)
    pl.DataFrame({"y": rng.random(4 * rows), "p": rng.random(4 * rows, np.float32)}).write_parquet(
        folder / "big.parquet", row_group_size=rows, compression="uncompressed"
    )
    size = (folder / "big.parquet").stat().st_size
    many = [folder / f"big{i}.parquet" for i in range(-(-HUGE // size))]
    for path in many:
        os.link(folder / "big.parquet", path)
    piece = rng.random((2**20, 2), np.float32)
    with open(folder / "big.npy", "wb") as file:
        count = HUGE // piece.nbytes
        header = {"descr": "<f4", "fortran_order": False, "shape": (count * len(piece), 2)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(count):
            file.write(piece)
    for what, columns, paths in (
        (f"Parquet, {len(many)} files of 4 row groups of 128 MB", "yp", many),
        (".npy", "01", [folder / "big.npy"]),
    ):
        begun = time.perf_counter()
        out = subprocess.run([sys.executable, "-c", PEAK, *columns, *map(os.fspath, paths)], capture_output=True, text=True, check=True)
        peak, *curve = map(float, out.stdout.split())
        tenths = [f"{curve[i * (len(curve) - 1) // 10]:.0f}" for i in range(11)]
        note = f"{time.perf_counter() - begun:.0f} s; MB resident over the run: {' '.join(tenths)}"
        yield Row(f"20 GB, {what}: peak memory", peak, "<", 400.0, " MB", note=note)
