"""Directories, partitions, standard input, and broken files among whole ones."""

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import ipc

import fastloss as fl
from fastloss.evaluation import DataError, SourceError, evaluate_files
from fastloss.evaluation.plan import expand
from tests.test_formats import tensors_of, zstd_of

REPOSITORY = Path(fl.__file__).parents[1]
Y, P, W = [1, 0, 1, 1, 0, 0], [0.5, 0.25, 0.75, 0.5, 0.125, 0.5], [1.0, 1.0, 1.0, 3.0, 3.0, 3.0]


def command(*arguments, data=None):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    line = [sys.executable, "-m", "fastloss", *map(str, arguments)]
    return subprocess.run(line, input=data, capture_output=True, timeout=120, env=environment)


def frame(rows=slice(None)):
    return pl.DataFrame({"y": Y, "p": P})[rows]


@pytest.fixture
def partitions(tmp_path):
    """The two halves of the data, in partitions whose key w is the weight; beside it what other writers leave."""
    for i, name in enumerate(["w=1/t=benign", "w=3/t=mal%20ign"]):
        folder = tmp_path / "preds" / name
        folder.mkdir(parents=True)
        frame(slice(3 * i, 3 * i + 3)).write_parquet(folder / "part-0.parquet")
        (folder / ".part-0.parquet.crc").write_bytes(b"crc")
    (tmp_path / "preds" / "_SUCCESS").touch()
    (tmp_path / "preds" / "_temporary").mkdir()
    (tmp_path / "preds" / "_temporary" / "x.parquet").write_bytes(b"half")
    return tmp_path / "preds"


def test_directories_and_patterns_of_partitions(partitions):
    expected = fl.State(["brier"]).update(Y, P, W).compute()
    for paths in (partitions, [partitions], str(partitions / "w=*" / "**" / "*.parquet"), str(partitions / "w=*" / "*" / "part-?.parquet")):
        found = evaluate_files(paths, "brier", weight="w")
        assert found.costs == expected
        assert [Path(file["path"]).parent.parent.name for file in found.files] == ["w=1", "w=3"]
    assert evaluate_files(partitions, "brier", target="t", positive="mal ign")["brier"] == fl.brier(np.array(W) == 3, np.array(P))
    assert evaluate_files(partitions / "w=3", "brier", weight="w")["brier"] == fl.brier(Y[3:], P[3:])


def test_a_column_of_the_file_goes_before_a_key(partitions):
    for file in partitions.rglob("part-0.parquet"):
        pl.read_parquet(file, hive_partitioning=False).with_columns(w=pl.lit(2.0)).write_parquet(file)
    assert evaluate_files(partitions, "brier", weight="w").results[0].weight_sum == 12


def test_keys_as_labels_of_rows_and_missing_keys(tmp_path):
    for label in ("cat", "dog", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / f"t={label}").mkdir()
        pl.DataFrame({"q_cat": [1.0, 0.5], "q_dog": [0.25, 2.0]}).write_csv(tmp_path / f"t={label}" / "a.csv")
    scores = np.array([[1.0, 0.25], [0.5, 2.0]] * 2)
    paths = [tmp_path / "t=cat", tmp_path / "t=dog"]
    assert evaluate_files(paths, "cross_entropy", target="t", prediction="q_*")["cross_entropy"] == fl.cross_entropy([0, 0, 1, 1], scores)
    with pytest.raises(DataError, match="row 0: column 't' has a missing value|must hold numbers|'t' holds number"):
        evaluate_files(tmp_path / "t=__HIVE_DEFAULT_PARTITION__", "brier", target="t", prediction="q_cat")


def test_a_directory_with_what_is_no_data(tmp_path):
    with pytest.raises(SourceError, match="holds no files"):
        expand(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SourceError, match=r"notes.txt is in the directory, and of no known kind .*give a pattern"):
        expand(tmp_path)


def test_columns_in_another_order_and_of_other_types(tmp_path):
    table = pl.DataFrame({"y": Y, "p": P})
    table[:2].write_parquet(tmp_path / "a.parquet")
    table[2:3].select("p", "y").with_columns(pl.col("y").cast(pl.Float32), other=pl.lit("x")).write_ipc(tmp_path / "b.arrow")
    table[3:4].select("p", "y").with_columns(pl.col("y").cast(pl.Boolean)).write_ndjson(tmp_path / "c.jsonl")
    table[4:].select("p", "y").cast(pl.String).write_csv(tmp_path / "d.tsv", separator="\t")
    assert evaluate_files(tmp_path, ["brier", "log_loss"]).costs == fl.State(["brier", "log_loss"]).update(Y, P).compute()


def arrow_stream():
    sink = pa.BufferOutputStream()
    table = frame().to_arrow()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return sink.getvalue().to_pybytes()


STREAMS = {
    "csv": lambda: frame().write_csv().encode(),
    "tsv": lambda: frame().write_csv(separator="\t").encode(),
    "jsonl": lambda: "".join(json.dumps(row) + "\n" for row in frame().to_dicts()).encode(),
    "arrow": arrow_stream,
}


@pytest.mark.parametrize("format", STREAMS)
def test_standard_input(format):
    data = STREAMS[format]()
    done = command("eval", "-", "--format", format, "-l", "brier", "--json", data=data)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["results"][0]["cost"] == fl.brier(Y, P)
    assert document["inputs"] == [{"path": "standard input", "rows": 6, "bytes": len(data)}]
    cut = command("eval", "-", "--format", format, "-l", "brier", data=data[:-3] if format != "arrow" else data[:-20])
    if format in ("jsonl", "arrow"):  # a CSV file that is cut within a number is none that can be told from a whole one
        assert (cut.returncode, cut.stdout) == (3, b"")
        assert b"standard input" in cut.stderr


def test_standard_input_of_rows_and_without_a_format():
    lines = b'{"t": "a", "q": [0.5, 0.25]}\n{"t": "b", "q": [1, 2]}\n'
    done = command("eval", "-", "--format", "jsonl", "-l", "cross_entropy", "-y", "t", "-p", "q", "--classes", "a,b", "--json", data=lines)
    assert json.loads(done.stdout)["results"][0]["cost"] == fl.cross_entropy([0, 1], np.array([[0.5, 0.25], [1, 2]]))
    done = command("eval", "-", "--format", "jsonl", "-l", "cross_entropy", "-y", "t", "-p", "q", "--classes", "a,c", data=lines)
    assert done.returncode == 3
    assert b"standard input, row 1: column 't' must be one of the classes 'a', 'c', got another" in done.stderr
    done = command("eval", "-", "-l", "brier", data=lines)
    assert done.returncode == 2
    assert b"'-' is standard input, and needs its format (csv, tsv, jsonl, arrow)" in done.stderr
    done = command("eval", "-", "--format", "arrow", "-l", "brier", data=b"")
    assert done.returncode == 3


def test_keep_going_leaves_out_what_is_broken_and_nothing_else(tmp_path):
    frame(slice(0, 3)).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
    half = b"y,p\n" + b"1,0.5\n" * 3000
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(half + b"1,word\n"))
    (tmp_path / "d.csv").write_bytes(half + b"0,1.5\n")  # outside of the loss's domain, after rows that are not
    frame(slice(3, 6)).rename({"p": "q"}).write_csv(tmp_path / "e.csv")
    frame(slice(3, 6)).write_csv(tmp_path / "f.csv")
    expected = fl.State(["log_loss", "mse"]).update(Y, P).compute()
    with pytest.raises(DataError, match="b.parquet"):
        evaluate_files(tmp_path, ["log_loss", "mse"])
    for rows in (100, 2**18):
        found = evaluate_files(tmp_path, ["log_loss", "mse"], keep_going=True, chunk_rows=rows)
        assert found.costs == expected
        assert [Path(file["path"]).name for file in found.files] == ["a.parquet", "f.csv"]
        assert sorted(Path(item["path"]).name for item in found.left_out) == ["b.parquet", "c.csv.gz", "d.csv", "e.csv"]
        assert all(Path(item["path"]).name in item["error"] for item in found.left_out)
    done = command("eval", tmp_path, "-l", "log_loss", "--keep-going", "--json", "-q")
    assert done.returncode == 4
    document = json.loads(done.stdout)
    assert len(document["left_out"]) == done.stderr.count(b"left out: ") == 4
    assert document["rows"] == 6
    done = command("eval", tmp_path / "a.parquet", "-l", "log_loss", "--keep-going")
    assert done.returncode == 0
    done = command("eval", tmp_path / "b.parquet", tmp_path / "c.csv.gz", "-l", "log_loss", "--keep-going")
    assert (done.returncode, done.stdout) == (3, b"")
    done = command("eval", tmp_path / "a.parquet", "-l", "log_loss", "-p", "nothing", "--keep-going")
    assert (done.returncode, done.stdout) == (2, b"")


def test_keep_going_with_losses_of_rows(tmp_path):
    scores = np.array([[1.0, 0.25], [0.5, 2.0]])
    for name, labels in (("a", [0, 1]), ("b", [0, 7]), ("c", [1, 1])):
        pl.DataFrame({"t": labels, "q_0": scores[:, 0], "q_1": scores[:, 1]}).write_ipc(tmp_path / f"{name}.arrow")
    pl.DataFrame({"t": [0], "q_0": [1.0], "q_1": [0.5], "q_2": [0.5]}).write_ipc(tmp_path / "d.arrow")
    found = evaluate_files(tmp_path, "cross_entropy", target="t", prediction="q_*", keep_going=True)
    assert [Path(item["path"]).name for item in found.left_out] == ["d.arrow", "b.arrow"]
    assert found["cross_entropy"] == fl.cross_entropy([0, 1, 1, 1], np.concatenate([scores, scores]))


MEASURED = """
import sys
import fastloss as fl
from fastloss.evaluation import arrow, texts
texts.BLOCK = texts.HEAD = arrow.GROUP = 2**19  # so that a small file has many of them
def peak():  # not ru_maxrss, which begins with the peak of the parent
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
fl.evaluate_files(sys.argv[1], "mse")
before = peak()
fl.evaluate_files(sys.argv[2], "mse")
print(peak() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory is read from /proc")
@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zst", ".jsonl", ".jsonl.gz", ".arrow", ".arrows", ".safetensors"])
def test_a_file_ten_times_larger_takes_no_more_memory(tmp_path, suffix):
    """Of what the larger file holds, decoded, less than a tenth may be added to the peak."""
    rows, width = (4_000_000, 22) if "csv" in suffix else (2_500_000, 37) if "json" in suffix else (12_000_000, 9)
    rng, paths = np.random.default_rng(1), []
    for count in (rows // 10, rows):
        table = {"y": rng.integers(0, 2, count).astype(np.int8), "p": rng.random(count)}
        paths.append(tmp_path / f"{count}{suffix}")
        if suffix in (".arrow", ".arrows"):
            made = pa.table(table)
            with (ipc.new_file if suffix == ".arrow" else ipc.new_stream)(paths[-1], made.schema) as writer:
                writer.write_table(made, max_chunksize=2**15)
        elif suffix == ".safetensors":
            paths[-1].write_bytes(tensors_of(table))
        else:
            written = io.BytesIO()
            (pl.DataFrame(table).write_csv if "csv" in suffix else pl.DataFrame(table).write_ndjson)(written)
            pack = {".gz": lambda data: gzip.compress(data, 1), ".zst": zstd_of}.get(paths[-1].suffix, bytes)
            paths[-1].write_bytes(pack(written.getvalue()))
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", MEASURED, *map(str, paths)], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < rows * width / 10 / 2**20
