"""Readers: what each format gives, and what each does with files that are damaged, foreign or hostile."""

import io
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.evaluation import DataError, SourceError, evaluate_files
from fastloss.evaluation.plan import plan
from fastloss.evaluation.source import Want, open_source

N = 257


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    return {"y": rng.integers(0, 2, N).astype(np.int8), "p": rng.random(N), "w": rng.random(N).astype(np.float32).astype(np.float64)}


def columns_of(path, names, rows, labels=None):
    """The columns of a file, put together again from chunks of ``rows``; copied at once, as buffers are reused."""
    source = open_source(path)
    wants = [Want("y_true", name, (labels or {}).get(name)) for name in names]
    for name in names:
        source.column(name)
    parts = [(chunk.first, chunk.rows, [np.array(a) for a in chunk.arrays]) for chunk in source.chunks(wants, rows)]
    assert [first for first, _, _ in parts] == np.cumsum([0] + [count for _, count, _ in parts])[:-1].tolist()
    return [np.concatenate([arrays[i] for _, _, arrays in parts]) for i in range(len(names))]


def write(path, table):
    """The table as a file of the format that the extension names."""
    frame, suffix = pl.DataFrame(table), "".join(path.suffixes)
    if suffix == ".parquet":
        frame.write_parquet(path, row_group_size=64)
    elif suffix == ".one.parquet":
        frame.write_parquet(path, row_group_size=10**6)
    elif suffix in (".csv", ".tsv"):
        frame.write_csv(path, separator="," if suffix == ".csv" else "\t")
    elif suffix == ".npz":
        np.savez(path, **table)
    elif suffix == ".deflated.npz":
        np.savez_compressed(path, **table)
    else:
        records = np.zeros(N, [(name, values.dtype) for name, values in table.items()])
        for name, values in table.items():
            records[name] = values
        np.save(path, records)
    return path


FORMATS = [".npy", ".npz", ".deflated.npz", ".parquet", ".one.parquet", ".csv", ".tsv"]


@pytest.mark.parametrize("rows", [1, 7, 64, 100, N - 1, N, N + 1, 2**20])
@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_every_value_once_in_order(tmp_path, table, suffix, rows):
    path = write(tmp_path / f"t{suffix}", table)
    for found, name in zip(columns_of(path, ["p", "y", "w", "p"], rows), ["p", "y", "w", "p"], strict=True):
        assert np.array_equal(found, table[name]), name


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", ">f4", "<f2", ">f2", "<i8", ">i2", "u1", "?"])
def test_npy_keeps_dtype_and_order(tmp_path, order, dtype):
    values = np.asarray(np.arange(3 * N).reshape(N, 3) % 91, dtype=dtype, order=order)
    np.save(tmp_path / "t.npy", values)
    found = columns_of(tmp_path / "t.npy", ["2", "0"], 50)
    assert found[0].dtype.newbyteorder("=") == values.dtype.newbyteorder("=")
    assert np.array_equal(found[0], values[:, 2])
    assert np.array_equal(found[1], values[:, 0])


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_versions(tmp_path, version):
    values = np.linspace(0, 1, N)
    with open(tmp_path / "t.npy", "wb") as file:
        np.lib.format.write_array(file, values, version=version)
    assert np.array_equal(columns_of(tmp_path / "t.npy", ["0"], 100)[0], values)


def test_text_columns_become_bool_by_label(tmp_path):
    words = np.array(["cat", "dog", "cow"] * 9)
    np.save(tmp_path / "t.npy", words)
    np.savez(tmp_path / "t.npz", a=words.astype("S"))
    frame = pl.DataFrame({"a": words.tolist(), "b": [1.5, 2.0, 3.0] * 9}).with_columns(c=pl.col("a").cast(pl.Categorical))
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.csv")
    for path, name in [("t.npy", "0"), ("t.npz", "a"), ("t.parquet", "a"), ("t.parquet", "c"), ("t.csv", "a")]:
        ((source, wants),) = plan([tmp_path / path], {"y_true": name}, "dog")
        found = np.concatenate([np.array(c.arrays[0]) for c in source.chunks(wants, 4)])
        assert found.dtype == bool
        assert found.tolist() == (words == "dog").tolist(), path
    for path in ("t.parquet", "t.csv"):
        for label in ("2", 2, 2.0, "2.0"):
            ((source, wants),) = plan([tmp_path / path], {"y_true": "b"}, label)
            assert np.concatenate([np.array(c.arrays[0]) for c in source.chunks(wants, 4)]).tolist() == [False, True, False] * 9


def npy_bytes(header, data=b"", magic=b"\x93NUMPY", version=(1, 0)):
    text = header.encode("latin1")
    return magic + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text + data


GOOD = "{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }\n"
HOSTILE = {
    "no magic": (npy_bytes(GOOD, bytes(32), magic=b"\x93NUMPX"), "does not begin as a .npy"),
    "text": (b"y,p\n1,2\n", "does not begin as a .npy"),
    "version 4": (npy_bytes(GOOD, bytes(32), version=(4, 0)), "version 4.0"),
    "cut in the magic": (b"\x93NUM", "does not begin"),
    "cut in the length": (b"\x93NUMPY\x01\x00\x10", "header"),
    "cut in the header": (npy_bytes(GOOD)[:40], "truncated"),
    "cut in the data": (npy_bytes(GOOD, bytes(31)), "announces 32 bytes of data, the file holds 31"),
    "more than announced": (npy_bytes(GOOD, bytes(40)), "something else follows"),
    "claims a terabyte": (npy_bytes(GOOD.replace("(4,)", "(137438953472,)"), bytes(32)), "announces 1099511627776 bytes"),
    "claims beyond 64 bits": (npy_bytes(GOOD.replace("(4,)", f"({2**61}, {2**61})"), bytes(32)), "announces"),
    "huge header": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + bytes(64), "at most 10000 bytes"),
    "negative shape": (npy_bytes(GOOD.replace("(4,)", "(-4,)"), bytes(32)), "shape must be"),
    "bool shape": (npy_bytes(GOOD.replace("(4,)", "(True,)"), bytes(8)), "shape must be"),
    "list shape": (npy_bytes(GOOD.replace("(4,)", "[4]"), bytes(32)), "shape must be"),
    "extra key": (npy_bytes(GOOD.replace("}", "'x': 1}"), bytes(32)), "exactly descr"),
    "missing key": (npy_bytes("{'descr': '<f8', 'shape': (4,)}", bytes(32)), "exactly descr"),
    "no dict": (npy_bytes("[1, 2]", bytes(32)), "exactly descr"),
    "code": (npy_bytes("__import__('os').abort()", bytes(32)), "exactly descr"),
    "deep": (npy_bytes("-" * 9000 + "1", bytes(32)), "exactly descr"),
    "fortran_order no bool": (npy_bytes(GOOD.replace("False", "0"), bytes(32)), "exactly descr"),
    "object": (npy_bytes(GOOD.replace("<f8", "|O"), bytes(32)), "never unpickled"),
    "bfloat16": (npy_bytes(GOOD.replace("<f8", "<V2"), bytes(8)), "bfloat16"),
    "void": (npy_bytes(GOOD.replace("<f8", "|V8"), bytes(32)), "must be numbers, bool or text"),
    "nonsense dtype": (npy_bytes(GOOD.replace("<f8", "<f7"), bytes(28)), "none that NumPy knows"),
    "nested records": (npy_bytes(GOOD.replace("'<f8'", "[('a', [('b', '<f8')])]"), bytes(32)), "must be numbers"),
    "sub-arrays": (npy_bytes(GOOD.replace("'<f8'", "[('a', '<f8', (1,))]"), bytes(32)), "one level"),
    "3-D": (npy_bytes(GOOD.replace("(4,)", "(4, 1, 1)"), bytes(32)), "1-D"),
    "0-D": (npy_bytes(GOOD.replace("(4,)", "()"), bytes(8)), "1-D"),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("inside", ["npy", "npz", "deflated npz"])
def test_hostile_npy_is_refused_before_memory_is_taken(tmp_path, case, inside):
    content, text = HOSTILE[case]
    path = tmp_path / ("t.npy" if inside == "npy" else "t.npz")
    if inside == "npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if inside == "npz" else zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("0.npy", content)
    open_source(write_small(tmp_path / f"warm{path.suffix}")).column("0")
    tracemalloc.start()
    with pytest.raises(DataError) as caught:
        open_source(path).column("0")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert text in str(caught.value)
    assert peak < 3e6


def write_small(path):
    (np.savez(path, **{"0": np.zeros(3)}) if path.suffix == ".npz" else np.save(path, np.zeros(3)))
    return path


class Payload:
    """Pickled, it creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_objects_are_never_unpickled(tmp_path):
    trap = tmp_path / "trap"
    objects = np.array([Payload(trap)] * 4, dtype=object)
    np.save(tmp_path / "t.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "t.npz", **{"0": objects})
    (tmp_path / "renamed.npy").write_bytes(pickle.dumps(Payload(trap)))
    for name in ("t.npy", "t.npz", "renamed.npy"):
        with pytest.raises(DataError):
            open_source(tmp_path / name).column("0")
        assert not trap.exists()
    pickle.loads(pickle.dumps(Payload(trap))).close()
    assert trap.exists(), "the trap would not have sprung"


def test_file_cut_while_it_is_read(tmp_path):
    np.save(tmp_path / "t.npy", np.zeros(1000))
    source = open_source(tmp_path / "t.npy")
    with open(tmp_path / "t.npy", "r+b") as file:
        file.truncate(128 + 8 * 500)
    with pytest.raises(DataError, match="row 400: .*was cut while it was read"):
        list(source.chunks([Want("y_pred", "0")], 200))


def test_zip_bomb_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("y.npy", "w", force_zip64=True) as member:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|i1", "fortran_order": False, "shape": (300 * 2**20,)})
        member.write(header.getvalue())
        for _ in range(300):
            member.write(bytes(2**20))
    with pytest.raises(DataError, match="more than 100 times as many"):
        open_source(tmp_path / "t.npz").column("y")


def test_repetitive_but_small_npz_is_read(tmp_path):
    np.savez_compressed(tmp_path / "t.npz", y=np.zeros(10**6))
    assert columns_of(tmp_path / "t.npz", ["y"], 2**18)[0].tolist() == [0.0] * 10**6


@pytest.mark.parametrize("how", ["stored", "deflated"])
def test_damaged_npz(tmp_path, how):
    path = tmp_path / "t.npz"
    (np.savez if how == "stored" else np.savez_compressed)(path, y=np.random.default_rng(0).random(5000))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(DataError, match="truncated"):
        open_source(path)
    path.write_bytes(whole[:20000] + whole[20100:])
    with pytest.raises(DataError):
        columns_of(path, ["y"], 1000)


def test_deflated_npz_with_a_changed_byte(tmp_path):
    path = tmp_path / "t.npz"
    np.savez_compressed(path, y=np.random.default_rng(0).random(5000))
    whole = bytearray(path.read_bytes())
    whole[20000] ^= 255
    path.write_bytes(whole)
    with pytest.raises(DataError, match="damaged"):
        columns_of(path, ["y"], 1000)


def test_npz_refuses_unequal_lengths_three_dimensions_and_other_compression(tmp_path):
    np.savez(tmp_path / "t.npz", y=np.zeros(3), p=np.zeros(4), m=np.zeros((3, 2, 2)))
    source = open_source(tmp_path / "t.npz")
    source.column("y")
    with pytest.raises(DataError, match="'y' has 3 rows, 'p' has 4"):
        source.column("p")
    with pytest.raises(DataError, match="must be 1-D"):
        source.column("m")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("y.npy", npy_bytes(GOOD, bytes(32)))
    with pytest.raises(DataError, match="another method"):
        open_source(tmp_path / "b.npz").column("y")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet", ".csv"])
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PAR1", bytes(range(256)) * 20], ids=["empty", "zeros", "PAR1", "bytes"])
def test_foreign_files(tmp_path, suffix, content):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    with pytest.raises((DataError, SourceError)) as caught:
        plan([path], {"y_true": "y", "y_pred": "p"}, None)
    assert str(path) in str(caught.value)


def test_truncated_parquet(tmp_path, table):
    path = write(tmp_path / "t.parquet", table)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match="not a Parquet file, or a truncated or damaged one"):
        open_source(path)


def test_corrupt_parquet_data(tmp_path, table):
    path = tmp_path / "t.parquet"
    pl.DataFrame(table).write_parquet(path, compression="zstd", statistics=False)
    whole = bytearray(path.read_bytes())
    whole[30:2500] = bytes(2470)
    path.write_bytes(whole)
    with pytest.raises(DataError, match="damaged"):
        columns_of(path, ["p"], 100)


CSVS = {
    "word": ("y,p\n1,0.5\n0,abc\n", "row 1: column 'p' must hold numbers|column 'p' must hold numbers, got text, such as 'abc' in row 1"),
    "word late": ("y,p\n" + "1,0.5\n" * 3000 + "0,abc\n", "row 3000: column 'p' must hold a number, got 'abc'"),
    "bool late": ("y,p\n" + "true,0.5\n" * 3000 + "maybe,0.5\n", "row 3000: column 'y' must hold true or false, got 'maybe'"),
    "ragged": ("y,p\n1,0.5,7\n", "more fields"),
    "twice": ("y,p,p\n1,0.5,7\n", "two columns are named 'p'"),
}


@pytest.mark.parametrize("case", CSVS)
def test_bad_csv(tmp_path, case):
    content, text = CSVS[case]
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises((DataError, SourceError), match=text):
        for source, wants in plan([tmp_path / "t.csv"], {"y_true": "y", "y_pred": "p"}, None):
            list(source.chunks(wants, 100))


def test_csv_numbers(tmp_path):
    texts = ["1", "-2.5e-3", "1e400", "NaN", "inf", "-inf", "0.1", '"7"', " 8", "17976931348623157000000000", "5e-324"]
    texts += ["0.30000000000000004", "2.2250738585072011e-308", "9007199254740993", "1" + "0" * 300]
    (tmp_path / "t.csv").write_text("\ufeffa,b\r\n" + "".join(f"{text},x\r\n" for text in texts))
    expected = [float(text.strip('" ')) for text in texts]
    assert np.array_equal(columns_of(tmp_path / "t.csv", ["a"], 5)[0], expected, equal_nan=True)


def test_csv_integers_that_become_fractions(tmp_path):
    (tmp_path / "t.csv").write_text("a\n" + "1\n" * 5000 + "0.5\n")
    assert columns_of(tmp_path / "t.csv", ["a"], 999)[0].tolist() == [1.0] * 5000 + [0.5]


def test_nulls_are_masked_and_filled_with_values_of_the_column(tmp_path):
    pl.DataFrame({"a": [None, 3, 5, None], "b": [None, 0.5, None, 1.5], "c": [None] * 4}).write_parquet(tmp_path / "t.parquet")
    (chunk,) = open_source(tmp_path / "t.parquet").chunks([Want("", name) for name in "abc"], 10)
    assert chunk.arrays[0].dtype.kind == "i"
    assert chunk.arrays[0].tolist() == [3, 3, 5, 3]
    assert [nulls.tolist() for nulls in chunk.nulls] == [[True, False, False, True], [True, False, True, False], [True] * 4]


def test_column_names_are_no_patterns(tmp_path):
    pl.DataFrame({"*": [1.0], "^.*$": [2.0], "p": [3.0]}).write_parquet(tmp_path / "t.parquet")
    assert [a.tolist() for a in columns_of(tmp_path / "t.parquet", ["*", "^.*$", "p"], 10)] == [[1.0], [2.0], [3.0]]


INTERRUPTED = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
from fastloss.evaluation import DataError
from fastloss.evaluation.source import Want, open_source
def interrupt():
    while True:
        time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGINT)
rows = 0
try:
    for chunk in open_source(sys.argv[1]).chunks([Want("y_pred", "p")], 1000):
        if rows == 0:
            threading.Thread(target=interrupt, daemon=True).start()
        rows += chunk.rows
    print("whole", rows)
except DataError as error:
    print("cut", rows, error)
"""


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_interrupt_does_not_make_a_shorter_file(tmp_path, suffix):
    rows, path = 2_000_000, tmp_path / f"t{suffix}"
    frame = pl.DataFrame({"p": np.arange(float(rows))})
    frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path, row_group_size=10_000)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(fl.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, str(path)], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    word, count = done.stdout.split()[:2]
    assert (word == "whole") == (int(count) == rows)
    assert word == "whole" or "interrupted" in done.stdout


@pytest.mark.parametrize("fields", [[("y", "?"), ("p", ">f2"), ("c", "S3")], [("a", "u1"), ("p", "<f8"), ("y", "<i2")]])
def test_records_that_are_aligned(tmp_path, fields):
    rng = np.random.default_rng(0)
    array = np.zeros(1000, np.dtype({"names": [n for n, _ in fields], "formats": [f for _, f in fields]}, align=True))
    array["y"], array["p"] = rng.integers(0, 2, 1000), rng.random(1000)
    assert any(not name for name, *_ in np.lib.format.dtype_to_descr(array.dtype))  # there is padding
    np.save(tmp_path / "x.npy", array)
    assert evaluate_files(tmp_path / "x.npy", "mse", chunk_rows=300).costs == {"mse": fl.mse(array["y"].copy(), array["p"].copy())}


def test_records_of_nothing_but_padding_are_refused(tmp_path):
    path = tmp_path / "x.npy"
    for word in ("|V8", "|V999999999"):
        header = "{'descr': [('', %r)], 'fortran_order': False, 'shape': (4,), }" % word  # noqa: UP031 - it is full of braces
        path.write_bytes(npy_bytes(header, bytes(32)))
        with pytest.raises(DataError):
            evaluate_files(path, "mse")
