"""What is answered besides costs, of every format, partitions and standard input; and nothing of it by broken files."""

import datetime
import gzip
import io
import json
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import ipc

import fastloss as fl
from fastloss.cli import main as command
from fastloss.evaluation import DataError, SourceError, evaluate_files
from fastloss.evaluation.segments import Values
from tests.test_answers_of_files import expected_segments, told
from tests.test_formats import arrow_of, polars_of, tensors_of, zstd_of

N = 900
DAYS = [datetime.date(2024, 2, 28) + datetime.timedelta(i) for i in range(3)]
LOSSES = ["log_loss", "brier"]
ANSWERS = {"spread": True, "worst": 5, "bootstrap": 8, "calibration": True}


def made(seed=6, rows=N):
    rng = np.random.default_rng(seed)
    p = rng.random(rows).astype(np.float32).astype(float)
    return pl.DataFrame({
        "y": (rng.random(rows) < p).astype(np.int8), "p": p, "w": rng.integers(1, 9, rows).astype(float),
        "text": [("nord", "süd, x", "1", "ost")[i] for i in rng.integers(0, 4, rows)], "number": rng.integers(-2, 3, rows),
        "far": rng.integers(-2, 3, rows) * 10**12, "flag": rng.random(rows) < 0.3, "day": [DAYS[i] for i in rng.integers(0, 3, rows)],
        "some": [None if i == 0 else f"s{i}" for i in rng.integers(0, 4, rows).tolist()],
        "gaps": [None if i == 0 else i for i in rng.integers(0, 4, rows).tolist()],
        "late": [f"late{i % 2}" if i > 2 * rows // 3 else None for i in range(rows)],
    })  # fmt: skip


def sunk(write, **options):
    sink = io.BytesIO()
    write(sink, **options)
    return sink.getvalue()


def words(table):
    """The table as Arrow, text in dictionaries of each batch's own."""
    return table.with_columns(pl.col("text", "some").cast(pl.Categorical)).to_arrow()


TENSORS = ("y", "p", "w", "number", "far", "gaps")
WRITERS = {
    ".csv": lambda t: sunk(t.write_csv),
    ".tsv": lambda t: sunk(t.write_csv, separator="\t"),
    ".csv.gz": lambda t: gzip.compress(sunk(t.write_csv)),
    ".tsv.gz": lambda t: gzip.compress(sunk(t.write_csv, separator="\t")),
    ".csv.zst": lambda t: zstd_of(sunk(t.write_csv)),
    ".jsonl": lambda t: sunk(t.write_ndjson),
    ".jsonl.gz": lambda t: gzip.compress(sunk(t.write_ndjson)),
    ".jsonl.zst": lambda t: zstd_of(sunk(t.write_ndjson)),
    ".parquet": lambda t: sunk(t.write_parquet, row_group_size=300),
    ".arrow": lambda t: arrow_of(t.to_arrow(), ipc.new_file),
    ".arrows": lambda t: arrow_of(t.to_arrow(), ipc.new_stream),
    ".words.arrows": lambda t: arrow_of(words(t), ipc.new_stream, batch=70, emit_dictionary_deltas=True),
    ".feather": lambda t: polars_of(t, compression="zstd"),
    ".enum.feather": lambda t: polars_of(t.with_columns(pl.col("text").cast(pl.Enum(["1", "süd, x", "ost", "nord"])))),
    ".safetensors": lambda t: tensors_of({name: t[name].to_numpy() for name in TENSORS}),
}
TEXTS = tuple(suffix for suffix in WRITERS if suffix.startswith((".csv", ".tsv", ".jsonl")))


@pytest.fixture(scope="module")
def table():
    return made()


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    for suffix, write in WRITERS.items():
        (folder / f"t{suffix}").write_bytes(write(table))
    return folder


@pytest.fixture
def small_blocks(monkeypatch):
    """So that a small file has many of them."""
    for name in ("texts.BLOCK", "texts.HEAD", "arrow.GROUP"):
        monkeypatch.setattr(f"fastloss.evaluation.{name}", 2000)


CASES = [
    (suffix, by) for suffix in WRITERS for by in ("text", "number", "far", "flag", "day", "some", "gaps", "late", ["some", "flag", "gaps"])
    if suffix != ".safetensors" or by in TENSORS
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "by"), CASES)
@pytest.mark.parametrize("rows", [7, 2**18])
def test_segments_of_every_format_and_kind(folder, table, suffix, by, rows, small_blocks):
    found = evaluate_files(folder / f"t{suffix}", LOSSES, weight="w", by=by, chunk_rows=rows)
    if by == "day" and suffix in TEXTS:
        table = table.with_columns(pl.col("day").cast(pl.String))
    expected = expected_segments(table, [by] if isinstance(by, str) else by, LOSSES)
    assert {s.values: (s.n, [r.cost for r in s.results]) for s in found.segments} == expected


@pytest.mark.parametrize("weight", [None, "w"])
def test_answers_are_the_same_of_every_format(folder, weight, small_blocks):
    """All bits, bootstrap and the places of the worst samples included."""
    expected = None
    for suffix in WRITERS:
        for rows in (7, 2**18):
            found = evaluate_files(folder / f"t{suffix}", LOSSES, weight=weight, by="number", chunk_rows=rows, **ANSWERS)
            assert {sample.file for samples in found.worst.values() for sample in samples} == {str(folder / f"t{suffix}")}
            for sample in {id(sample): sample for samples in found.worst.values() for sample in samples}.values():
                sample.file, sample.target = "t", float(sample.target)
            expected = expected or told(found)
            assert told(found) == expected, (suffix, rows)


def places(table, k=5):
    losses = fl.LogLoss().loss(table["y"].to_numpy(), table["p"].to_numpy())
    return np.argsort(-losses, kind="stable")[:k].tolist()


def test_worst_samples_of_a_directory_of_all_formats(table, tmp_path, small_blocks):
    cuts = np.linspace(0, N, len(WRITERS) + 1).astype(int).tolist()
    owner = {}
    for i, (suffix, write) in enumerate(WRITERS.items()):
        path = tmp_path / f"d{i % 3}" / f"{i:02}{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(write(table[cuts[i] : cuts[i + 1]]))
        owner |= {row: (str(path), row - cuts[i]) for row in range(cuts[i], cuts[i + 1])}
    found = evaluate_files(tmp_path, "log_loss", by="number", worst=5, chunk_rows=10)
    expected = places(table)
    assert sorted((s.file, s.row) for s in found.worst["log_loss"]) == sorted(owner[row] for row in expected)
    assert [s.prediction for s in found.worst["log_loss"]] == table["p"].to_numpy()[expected].tolist()
    whole = {s.values: (s.n, [r.cost for r in s.results]) for s in found.segments}
    assert whole == {
        (n,): (len(rows), [fl.log_loss(rows["y"].to_numpy(), rows["p"].to_numpy())]) for (n,), rows in table.group_by(["number"])
    }


class Piped:
    def __init__(self, data):
        self.buffer = io.BytesIO(data)


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "arrow"])
def test_standard_input(folder, table, format, monkeypatch, capsys, small_blocks):
    data = WRITERS[".arrows" if format == "arrow" else f".{format}"](table)
    monkeypatch.setattr(sys, "stdin", Piped(data))
    found = evaluate_files("-", LOSSES, format=format, by=["some", "flag"], chunk_rows=50, **ANSWERS)
    expected = evaluate_files(folder / "t.parquet", LOSSES, by=["some", "flag"], **ANSWERS)
    assert {sample.file for sample in found.worst["brier"]} == {"standard input"}
    assert [sample.row for sample in found.worst["log_loss"]] == places(table)
    for one in (found, expected):
        for sample in {id(sample): sample for samples in one.worst.values() for sample in samples}.values():
            sample.file, sample.target = "t", float(sample.target)
    assert told(found) == told(expected)
    monkeypatch.setattr(sys, "stdin", Piped(data))
    assert command(["eval", "-", "--format", format, "-l", "log_loss", "--by", "text", "--worst", "2", "--json", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(sample["file"], sample["row"]) for sample in document["worst"][0]["samples"]] == [
        ("standard input", i) for i in places(table, 2)
    ]
    assert [segment["values"] for segment in document["segments"]] == [["1"], ["nord"], ["ost"], ["süd, x"]]


def test_dictionaries_that_change_from_batch_to_batch(tmp_path):
    for ordered in (False, True):
        kind = pa.dictionary(pa.int8(), pa.string(), ordered)
        schema = pa.schema([("y", pa.int8()), ("p", pa.float64()), ("g", kind)])
        with ipc.new_stream(tmp_path / "t.arrows", schema) as writer:
            for values in (["a", "b"], ["c", "a"], ["b", None]):
                words = pa.array(values).dictionary_encode()
                column = pa.DictionaryArray.from_arrays(words.indices.cast(pa.int8()), words.dictionary, ordered=ordered)
                batch = pa.record_batch([pa.array([1, 0], pa.int8()), pa.array([0.5, 0.25]), column], schema)
                writer.write_batch(batch)
        for rows in (1, 2, 100):
            found = evaluate_files(tmp_path / "t.arrows", "mse", by="g", chunk_rows=rows)
            assert [(s.values[0], s.n, s["mse"]) for s in found.segments] == [
                ("a", 2, 0.15625), ("b", 2, 0.15625), ("c", 1, 0.25), (None, 1, 0.0625),
            ]  # fmt: skip


def test_kinds_are_those_of_the_values(tmp_path):
    """A file whose values are all missing goes with any other, and so does one whose first are."""
    (tmp_path / "a.csv").write_text("y,p,g\n" + "0,0.5,\n" * 2000 + "1,0.5,1\n")
    (tmp_path / "b.jsonl").write_text('{"y": 1, "p": 0.5, "g": "1"}\n{"y": 1, "p": 0.25, "g": "x"}\n')
    (tmp_path / "c.jsonl").write_text('{"y": 1, "p": 0.5, "g": null}\n')
    pl.DataFrame({"y": [1], "p": [0.5], "g": [None]}).write_parquet(tmp_path / "d.parquet")
    found = evaluate_files(tmp_path, "mse", by="g")
    assert [(s.values[0], s.n) for s in found.segments] == [("1", 2), ("x", 1), (None, 2002)]
    (tmp_path / "e.csv").write_text("y,p,g\n1,0.5,1\n")
    with pytest.raises(SourceError, match="column 'g' holds text in .*a.csv, but numbers in .*e.csv"):
        evaluate_files(tmp_path, "mse", by="g")


def test_bools_of_bytes_that_are_neither_0_nor_1():
    column = Values("it has", 10)
    codes = column.of(np.array([0, 1, 2, 255], np.uint8).view(bool))
    assert [column.values[code] for code in codes.tolist()] == [False, True, True, True]


class TestPartitions:
    @pytest.fixture
    def folder(self, table, tmp_path):
        """Rows in partitions of three keys."""
        self.table = table.with_columns(shop=pl.Series([(7, 12, 1000)[i % 3] for i in range(N)]), some=pl.col("some"))
        for (number, some, shop), rows in self.table.group_by(["number", "some", "shop"], maintain_order=True):
            place = tmp_path / f"shop={shop}" / f"some={'__HIVE_DEFAULT_PARTITION__' if some is None else some}" / f"number={number}"
            place.mkdir(parents=True)
            rest = rows.drop("number", "some", "shop")
            if number % 2:
                (place / "part.csv.gz").write_bytes(gzip.compress(sunk(rest.write_csv)))
            else:
                rest.write_parquet(place / "part.parquet")
        return tmp_path

    @pytest.mark.parametrize("by", ["shop", "some", "number", ["some", "shop"], ["flag", "number", "text"]])
    def test_keys_are_columns_of_segments(self, folder, by):
        found = evaluate_files(folder, LOSSES, weight="w", by=by, chunk_rows=11)
        expected = expected_segments(self.table, [by] if isinstance(by, str) else by, LOSSES)
        assert {s.values: (s.n, [r.cost for r in s.results]) for s in found.segments} == expected

    def test_keys_that_are_numbers_in_some_paths_alone_are_words(self, tmp_path, capsys):
        for shop in ("12", "A7", "true", "__HIVE_DEFAULT_PARTITION__"):
            (tmp_path / f"shop={shop}").mkdir()
            (tmp_path / f"shop={shop}" / "a.csv").write_text("y,p\n1,0.5\n")
        assert [s.values[0] for s in evaluate_files(tmp_path, "mse", by="shop").segments] == ["12", "A7", "true", None]
        assert [each.columns["shop"].type for each in fl.inspect_files(tmp_path)] == [
            "text, '12' of its path", "text, 'A7' of its path", "Null", "text, 'true' of its path",
        ]  # fmt: skip
        assert not any("'shop' is" in sentence for each in fl.inspect_files(tmp_path) for sentence in each.advice)
        assert command(["eval", str(tmp_path), "-l", "mse", "--by", "shop", "-q"]) == 0
        assert "(missing)" in capsys.readouterr().out

    def test_keys_of_other_kinds(self, tmp_path):
        for key in ("true", "false"):
            (tmp_path / f"b={key}" / "x=1.5").mkdir(parents=True)
            (tmp_path / f"b={key}" / "x=1.5" / "a.jsonl").write_text('{"y": 1, "p": 0.5}\n')
        assert [s.values[0] for s in evaluate_files(tmp_path, "mse", by="b").segments] == [False, True]
        with pytest.raises(DataError, match=r"row 0: column 'x' must hold text, integers, bools or dates to evaluate by, got 1.5"):
            evaluate_files(tmp_path, "mse", by="x")


def test_columns_in_files_of_their_own_beside_keys_and_streams(tmp_path, monkeypatch):
    (tmp_path / "shop=1").mkdir()
    (tmp_path / "shop=1" / "a.csv").write_text("y,p,t\n1,0.5,a\n0,0.25,\n1,0.875,b\n")
    w, g = tmp_path / "w.npy", tmp_path / "g.npy"
    np.save(w, [1.0, 2.0, 3.0])
    np.save(g, ["u", "v", "u"])
    found = evaluate_files(tmp_path / "shop=1" / "a.csv", "mse", weight=str(w), by=["shop", str(g), "t"], worst=1)
    assert [(s.values, s["mse"], s.results[0].weight_sum) for s in found.segments] == [
        ((1, "u", "a"), 0.25, 1), ((1, "u", "b"), 0.015625, 3), ((1, "v", None), 0.0625, 2),
    ]  # fmt: skip
    assert (found.worst["mse"][0].file, found.worst["mse"][0].row) == (str(tmp_path / "shop=1" / "a.csv"), 0)
    monkeypatch.setattr(sys, "stdin", Piped(b"t,a0,a1\nx,1,2\ny,2,1\nz,1,1\n"))
    with pytest.raises(DataError, match="standard input, row 2: column 't' must be one of the classes 'x', 'y', got another"):
        evaluate_files("-", "cross_entropy", target="t", prediction="a0,a1", classes="x,y", weight=str(w), format="csv")
