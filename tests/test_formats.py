"""Arrow, JSON lines, compressed text and safetensors: what independent writers wrote is read, and what is broken is said where."""

import gzip
import io
import json
import math
import os
import struct
import sys
import zlib

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import ipc

import fastloss as fl
from fastloss.evaluation import DataError, SourceError, evaluate_files, streams
from fastloss.evaluation.source import AS_TEXT, Want, open_source

N = 257


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    return {"y": rng.integers(0, 2, N).astype(np.int8), "p": rng.random(N), "w": rng.random(N).astype(np.float32).astype(np.float64)}


def columns_of(path, names, rows):
    """The columns of a file, put together again from chunks of ``rows``; copied at once, as buffers are reused."""
    source = open_source(path)
    for name in names:
        source.column(name)
    chunks = [(c.first, c.rows, [np.array(a) for a in c.arrays]) for c in source.chunks([Want("", name) for name in names], rows)]
    assert [first for first, _, _ in chunks] == np.cumsum([0] + [count for _, count, _ in chunks])[:-1].tolist()
    assert all(count <= rows for _, count, _ in chunks)
    return [np.concatenate([arrays[i] for _, _, arrays in chunks]) for i in range(len(names))]


def text_of(table, separator):
    rows = zip(*(values.tolist() for values in table.values()), strict=True)
    return "".join(separator.join(map(str, row)) + "\n" for row in [list(table), *rows]).encode()


def json_of(table):
    rows = zip(*(values.tolist() for values in table.values()), strict=True)
    return "".join(json.dumps(dict(zip(table, row, strict=True))) + "\n" for row in rows).encode()


def polars_of(table, **options):
    sink = io.BytesIO()
    pl.DataFrame(table).write_ipc(sink, **options)
    return sink.getvalue()


def arrow_of(table, new, batch=50, **options):
    sink, made = io.BytesIO(), pa.table(table)
    with new(sink, made.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(made, max_chunksize=batch)
    return sink.getvalue()


def zstd_of(data):
    return pa.compress(data, codec="zstd", asbytes=True)


def tensors_of(arrays, kinds=None):
    """A safetensors file, by hand."""
    header, data = {"__metadata__": {"made": "by hand"}}, b""
    names = {"f": "F", "i": "I", "u": "U"}
    for name, array in arrays.items():
        kind = (kinds or {}).get(name) or f"{names[array.dtype.kind]}{array.dtype.itemsize * 8}"
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


WRITERS = {
    ".csv.gz": lambda t: gzip.compress(text_of(t, ",")),
    ".tsv.gz": lambda t: b"".join(gzip.compress(part) for part in text_of(t, "\t").splitlines(True)),  # many members
    ".csv.zst": lambda t: zstd_of(text_of(t, ",")),
    ".tsv.zst": lambda t: zstd_of(text_of(t, "\t")[:99]) + b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstd_of(text_of(t, "\t")[99:]),  # two frames
    ".jsonl": json_of,
    ".ndjson": lambda t: json_of(t).replace(b"\n", b"\r\n\r\n").strip(),
    ".jsonl.gz": lambda t: gzip.compress(json_of(t)),
    ".jsonl.zst": lambda t: zstd_of(json_of(t)),
    ".arrow": lambda t: arrow_of(t, ipc.new_file),
    ".arrows": lambda t: arrow_of(t, ipc.new_stream),
    ".ipc": lambda t: arrow_of(t, ipc.new_stream, compression="lz4"),
    ".feather": lambda t: arrow_of(t, ipc.new_file, compression="zstd"),
    ".polars.arrow": polars_of,  # its schema is at its end alone
    ".polars.feather": lambda t: polars_of(t, compression="zstd"),
    ".safetensors": tensors_of,
}


@pytest.mark.parametrize("rows", [1, 7, 50, 100, N - 1, N, N + 1, 2**20])
@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_every_value_once_in_order(tmp_path, table, suffix, rows):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(WRITERS[suffix](table))
    for found, name in zip(columns_of(path, ["p", "y", "w", "p"], rows), ["p", "y", "w", "p"], strict=True):
        assert np.array_equal(found, table[name]), name


@pytest.mark.parametrize("block", [1, 3, 64, 1000])
@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zst", ".jsonl"])
def test_blocks_do_not_change_values(tmp_path, table, suffix, block, monkeypatch):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(WRITERS[suffix](table))
    monkeypatch.setattr("fastloss.evaluation.texts.BLOCK", block)
    assert np.array_equal(columns_of(path, ["p"], 100)[0], table["p"])


@pytest.mark.parametrize("size", [1, 2, 5, 17, 100])
def test_blocks_are_cut_at_line_ends_outside_of_quotes(size):
    records = [b"a,b\n", b'"x\ny",1\n', b'"q""\n""r",2\r\n', b"\n", b'z,"3"\n', b'"\n\n",4']
    stream = io.BytesIO(b"".join(records))
    found = list(streams.blocks(stream.read, "t", True, size))
    ends = set(np.cumsum([len(record) for record in records]).tolist())
    assert b"".join(found) == b"".join(records)
    assert set(np.cumsum([len(block) for block in found]).tolist()) <= ends


def test_csv_with_line_ends_in_quotes_agrees_with_the_plain_file(tmp_path):
    content = b't,"p\nq"\n' + b'"a\nb",0.5\n"c,""",0.25\n,1\n' * 40
    (tmp_path / "t.csv").write_bytes(content)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(content))
    plain, packed = (columns_of(tmp_path / name, ["p\nq"], 7)[0] for name in ("t.csv", "t.csv.gz"))
    assert packed.tolist() == plain.tolist() == [0.5, 0.25, 1.0] * 40


def test_costs_agree_across_formats_and_with_arrays(tmp_path, table):
    expected = fl.State(["log_loss", "squared_error"]).update(table["y"], table["p"], table["w"]).compute()
    for suffix, write in WRITERS.items():
        path = tmp_path / f"t{suffix}"
        path.write_bytes(write(table))
        assert evaluate_files(path, ["log_loss", "squared_error"], weight="w", chunk_rows=64).costs == expected, suffix


def test_types_of_arrow(tmp_path):
    columns = {
        "half": np.array([0.5, 1, 2], np.float16), "unsigned": np.array([1, 2, 2**64 - 1], np.uint64), "flag": [True, False, True],
        "words": pa.array(["a", "b", "a"]).dictionary_encode(), "views": pa.array(["a", "b", "too long to be inside"], pa.string_view()),
        "decimal": pa.array([1, 2, 3]).cast(pa.decimal128(21, 2)), "rows": pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32())),
        "fixed": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6, dtype=np.float32)), 2), "none": pa.nulls(3),
    }  # fmt: skip
    for new, name in ((ipc.new_file, "t.arrow"), (ipc.new_stream, "t.arrows")):
        (tmp_path / name).write_bytes(arrow_of(columns, new, batch=2))
        source = open_source(tmp_path / name)
        assert source.rows == 3
        assert {key: source.column(key).kind for key in ("half", "flag", "words", "views", "decimal")} == {
            "half": "number", "flag": "bool", "words": "text", "views": "text", "decimal": "number",
        }  # fmt: skip
        assert (source.column("rows").width, source.column("fixed").width) == (2, 2)
        half, unsigned, decimal = columns_of(tmp_path / name, ["half", "unsigned", "decimal"], 10)
        assert half.dtype == np.float16
        assert (half.tolist(), unsigned.tolist(), decimal.tolist()) == ([0.5, 1, 2], [1, 2, 2**64 - 1], [1, 2, 3])
        wants = [Want("", "words", "a"), Want("", "views", ("b", "a")), Want("", "fixed", width=2), Want("", "none")]
        chunks = list(source.chunks(wants, 10))
        assert np.concatenate([c.arrays[0] for c in chunks]).tolist() == [True, False, True]
        assert np.concatenate([c.arrays[1] for c in chunks]).tolist()[:2] == [1, 0]
        assert np.concatenate([c.arrays[2] for c in chunks]).tolist() == [[0, 1], [2, 3], [4, 5]]
        assert all(c.nulls[3].all() for c in chunks)


def test_dictionaries_of_a_stream_that_change(tmp_path):
    schema = pa.schema([("t", pa.dictionary(pa.int8(), pa.string()))])
    columns = [pa.array(words).dictionary_encode().cast(schema.field(0).type) for words in (["a", "b"], ["c", "a"])]
    batches = [pa.record_batch([column], schema) for column in columns]
    with ipc.new_stream(tmp_path / "t.arrows", schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    found = [c.arrays[0].tolist() for c in open_source(tmp_path / "t.arrows").chunks([Want("", "t", ("a", "b", "c"))], 100)]
    assert sum(found, []) == [0, 1, 2, 0]


@pytest.mark.parametrize("suffix", [".arrow", ".arrows", ".feather"])
def test_arrow_cut_anywhere(tmp_path, table, suffix):
    whole, path = WRITERS[suffix](table), tmp_path / f"t{suffix}"
    for length in [*range(1, 40), *range(40, len(whole) - 8, 61)]:
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="truncated or damaged"):
            open_source(path)


def test_arrow_that_is_cut_while_it_is_read(tmp_path, table):
    path = tmp_path / "t.arrow"
    path.write_bytes(WRITERS[".arrow"](table))
    source = open_source(path)
    os.truncate(path, 3000)
    with pytest.raises(DataError, match="was cut while it was read"):
        list(source.chunks([Want("", "p")], 50))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_text_that_is_cut_at_a_line_end_while_it_is_read(tmp_path, table, suffix, monkeypatch):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(json_of(table) if suffix == ".jsonl" else text_of(table, ","))
    monkeypatch.setattr("fastloss.evaluation.texts.BLOCK", 500)
    source = open_source(path)
    os.truncate(path, path.read_bytes().rfind(b"\n", 0, 6000) + 1)
    with pytest.raises(DataError, match="was cut while it was read"):
        list(source.chunks([Want("", "p")], 50))


def test_arrow_bytes_that_lie(tmp_path, table):
    """Any bit of the headers may be wrong: values, or an error, and never the end of the process."""
    extra = {"t": ["some", None, "words that are longer than others"] * 85 + ["", "x"], "l": [[1.0, None]] * N}
    whole = bytearray(arrow_of({**table, **extra, "v": pa.array(extra["t"], pa.string_view())}, ipc.new_stream, batch=200))
    rng, outcomes = np.random.default_rng(1), {"read": 0, "refused": 0}
    starts = [i for i in range(0, len(whole), 8) if whole[i : i + 4] == b"\xff\xff\xff\xff"]
    for start in starts:
        length = struct.unpack_from("<i", whole, start + 4)[0]
        for at in rng.integers(start, start + 8 + length, 150 if length else 0):
            bit = 1 << int(rng.integers(8))
            whole[at] ^= bit
            (tmp_path / "t.arrows").write_bytes(whole)
            try:
                source = open_source(tmp_path / "t.arrows")
                list(source.chunks([Want("", name) for name in source.names if source.column(name).kind == "number"], 100))
                outcomes["read"] += 1
            except (DataError, SourceError) as error:
                assert "t.arrows" in str(error)
                outcomes["refused"] += 1
            whole[at] ^= bit
    assert min(outcomes.values()) > 10


def test_arrow_bomb(tmp_path):
    """A compressed buffer says by itself how much it unfolds to."""
    path = tmp_path / "t.arrow"
    path.write_bytes(arrow_of({"p": np.zeros(2**26)}, ipc.new_file, batch=2**26, compression="zstd"))
    assert path.stat().st_size < 2**18
    with pytest.raises(DataError, match="more than 100 times as many"):
        list(open_source(path).chunks([Want("", "p")], 100))


BAD_JSON = {
    "cut": ('{"y": 1, "p": 0.5', "row 3000: the line must be a JSON object, and is cut or damaged"),
    "NaN": ('{"y": 1, "p": NaN}', "row 3000: NaN is not JSON; write null"),
    "list": ("[1, 0.5]", "row 3000: a line must be a JSON object"),
    "text": ('{"y": 1, "p": "half"}', "row 3000: column 'p' must hold a number, got \"half\""),
    "rows": ('{"y": 1, "p": [0.5]}', r"row 3000: column 'p' must hold a number, got \[0.5\]"),
}


@pytest.mark.parametrize("case", BAD_JSON)
@pytest.mark.parametrize("where", ["late", "early"])
def test_bad_json_lines(tmp_path, case, where, monkeypatch):
    line, message = BAD_JSON[case]
    if where == "late":
        monkeypatch.setattr("fastloss.evaluation.texts.HEAD", 5000)
    (tmp_path / "t.jsonl").write_text('{"y": 1, "p": 0.5}\n' * 3000 + line + "\n" + '{"y": 1, "p": 0.5}\n' * 300)
    with pytest.raises((DataError, SourceError), match=message if where == "late" else None) as caught:
        evaluate_files(tmp_path / "t.jsonl", "brier")
    assert "t.jsonl" in str(caught.value)


def test_json_lines_with_rows_missing_keys_and_labels(tmp_path):
    lines = [{"t": "a", "q": [1, 2.5]}, {"q": [3, 4], "t": "b", "more": {"x": [1]}}, {"t": "c"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = open_source(tmp_path / "t.jsonl")
    assert source.column("q").width == 2
    assert source.column("more").kind == "other"
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (chunk,) = source.chunks([Want("", "q", width=2), Want("", "t", ("c", "b", "a"))], 10)
    assert chunk.arrays[0][:2].tolist() == [[1, 2.5], [3, 4]]
    assert chunk.nulls[0].tolist() == [False, False, True]
    assert chunk.arrays[1].tolist() == [2, 1, 0]


@pytest.mark.parametrize("inflater", ["pyarrow", "polars"])
@pytest.mark.parametrize("suffix", [".csv.zst", ".tsv.zst", ".jsonl.zst"])
def test_zstandard_by_pyarrow_or_else_by_polars(tmp_path, table, suffix, inflater, monkeypatch):
    content = WRITERS[suffix](table)
    if inflater == "polars":
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / f"t{suffix}").write_bytes(content)
    for rows in (10, N):
        assert np.array_equal(columns_of(tmp_path / f"t{suffix}", ["p"], rows)[0], table["p"])
    (tmp_path / f"t{suffix}").write_bytes(content[:-9])
    with pytest.raises(DataError, match="truncated or damaged"):
        columns_of(tmp_path / f"t{suffix}", ["p"], 100)


@pytest.mark.parametrize("packed", [".gz", ".zst"])
@pytest.mark.parametrize("kind", [".csv", ".jsonl"])
def test_damaged_compression(tmp_path, packed, kind):
    table = {"y": np.zeros(20_000, int), "p": np.random.default_rng(0).random(20_000)}
    whole, path = WRITERS[kind + packed](table), tmp_path / f"t{kind}{packed}"
    for content in (whole[: len(whole) // 2], b"y,p\n1,0.5\n", bytes(100)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="truncated or damaged"):
            columns_of(path, ["p"], 1000)


def test_a_word_late_in_a_compressed_csv_is_named_by_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr("fastloss.evaluation.texts.BLOCK", 1000)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"y,p\n" + b"1,0.5\n" * 3000 + b"0,abc\n"))
    with pytest.raises(DataError, match="row 3000: column 'p' must hold a number, got 'abc'"):
        columns_of(tmp_path / "t.csv.gz", ["p"], 100)


def test_text_bombs(tmp_path):
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = squeeze.compress(b"y,p\n1,0.") + b"".join(squeeze.compress(b"0" * 2**20) for _ in range(100)) + squeeze.flush()
    (tmp_path / "t.csv.gz").write_bytes(packed)
    with pytest.raises(DataError, match="a line is longer than 67108864 bytes"):
        columns_of(tmp_path / "t.csv.gz", ["p"], 100)
    (tmp_path / "t.csv.zst").write_bytes(zstd_of(b"y,p\n1,0." + b"0" * 2**29))
    with pytest.raises(DataError, match="more than 100 times as many"):
        open_source(tmp_path / "t.csv.zst")
    content = b"y,p\n" + b"1,0.5\n" * 10**6  # repetitive, and small
    (tmp_path / "s.csv.zst").write_bytes(zstd_of(content))
    assert len(columns_of(tmp_path / "s.csv.zst", ["p"], 2**18)[0]) == 10**6


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100, b"ARROW1", b"\xff" * 64, bytes(range(256)) * 20], ids=["no", "0", "magic", "1", "all"]
)
def test_foreign_files(tmp_path, suffix, content):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    with pytest.raises((DataError, SourceError)) as caught:
        evaluate_files(path, "brier")
    assert str(path) in str(caught.value)


def test_nulls_are_refused_by_row_or_skipped(tmp_path):
    frame = {"y": [1, 0, 1, None], "p": [0.5, 0.25, None, 0.5]}
    pl.DataFrame(frame).write_ipc(tmp_path / "t.arrow")
    pl.DataFrame(frame).write_ndjson(tmp_path / "t.jsonl")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"y,p\n1,0.5\n0,0.25\n1,\n,0.5\n"))
    for name in ("t.arrow", "t.jsonl", "t.csv.gz"):
        with pytest.raises(DataError, match="row [23]: column '[yp]' has a missing value"):
            evaluate_files(tmp_path / name, "brier")
        found = evaluate_files(tmp_path / name, "brier", nan="skip")
        assert (found["brier"], found.results[0].n_nan) == ((0.25 + 0.0625) / 2, 2)
    assert math.isfinite(found["brier"])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".csv.zst"])
@pytest.mark.parametrize("wanted", ["y p", "p", "y p note"])
def test_a_row_with_a_separator_too_many_is_refused(tmp_path, suffix, wanted):
    """Its numbers would be those of other columns: 1,000 for 1000."""
    comma = "\t" if suffix == ".tsv" else ","
    lines = [["id", "y", "p", "note"], *([str(i), str(i % 2), "0.5", f'"a{comma}b ""c"" {i}\nd"'] for i in range(50))]
    path = tmp_path / f"a{suffix}"

    def write(lines):
        data = ("\n".join(comma.join(line) for line in lines) + "\n").encode()
        path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else zstd_of(data) if suffix.endswith(".zst") else data)

    def chunks():
        return list(open_source(path).chunks([Want("", name, AS_TEXT if name == "note" else None) for name in wanted.split()], 7))

    write(lines)
    assert sum(chunk.rows for chunk in chunks()) == 50
    lines[31] = ["1", "000", "1", "0.5", "x"]
    write(lines)
    with pytest.raises(DataError, match=r"row 30.*5 fields, and there are 4 columns"):
        chunks()
