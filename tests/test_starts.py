"""Readers begin at any row and end before any: the rows are those of a reading of all, at any size of chunks."""

from contextlib import closing

import numpy as np
import pytest

from fastloss.evaluation.joined import Joined
from fastloss.evaluation.partitions import opened
from fastloss.evaluation.segments import Coded, want_of
from fastloss.evaluation.source import AS_TEXT, Want, open_source
from tests.test_answers_of_formats import WRITERS, made, small_blocks  # noqa: F401

N = 300
RANGES = [(0, None), (0, N), (1, None), (99, 101), (100, 200), (N - 1, None), (N, None), (7, 8), (150, 151), (0, 1), (250, N)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, table = tmp_path_factory.mktemp("starts") / "key=word", made(2, N)
    folder.mkdir()
    for suffix, write in WRITERS.items():
        (folder / f"t{suffix}").write_bytes(write(table))
    arrays = {name: table[name].to_numpy() for name in ("y", "p", "w", "number")} | {"rows": np.arange(4.0 * N).reshape(N, 4)}
    np.savez(folder / "stored.npz", **arrays, turned=np.asfortranarray(arrays["rows"]))
    np.savez_compressed(folder / "packed.npz", **arrays)
    for name in ("rows", "w"):
        np.save(folder / f"{name}.npy", arrays[name])
    np.save(folder / "turned.npy", np.asfortranarray(arrays["rows"]))
    np.save(folder / "records.npy", np.rec.fromarrays([arrays["y"], arrays["p"]], names="y,p"))
    return folder


def plain(part):
    return part.values(np.arange(len(part.codes))) if isinstance(part, Coded) else np.array(part).tolist()


def rows_of(source, wants, size, first, stop):
    """[(row, values, masks)] of what chunks hold."""
    found = []
    with closing(source.chunks(wants, size, first, stop)) as chunks:
        for chunk in chunks:
            assert 0 < chunk.rows <= max(size, 100)
            columns = [plain(part) for part in chunk.arrays]
            masks = [[False] * chunk.rows if part is None else part.tolist() for part in chunk.nulls]
            hidden = [[None if lost else value for value, lost in zip(*both, strict=True)] for both in zip(columns, masks, strict=True)]
            found += zip(range(chunk.first, chunk.first + chunk.rows), *hidden, strict=True)
    return found


def check(source, wants):
    whole = rows_of(source, wants, 2**18, 0, None)
    assert [row for row, *_ in whole] == list(range(N))
    for size in (13, 2**18):
        for first, stop in RANGES:
            assert rows_of(source, wants, size, first, stop) == whole[first:stop], (size, first, stop)


@pytest.mark.parametrize("suffix", WRITERS)
def test_tables(folder, suffix, small_blocks):  # noqa: F811
    source = opened(folder / f"t{suffix}")
    by = ["number"] if suffix == ".safetensors" else ["text", "some", "gaps", "key"]
    wants = [Want("y_true", "y"), Want("y_pred", "p"), *(want_of(source, name) for name in by)]
    wants += [] if suffix == ".safetensors" else [Want("y_true", "text", AS_TEXT), Want("y_true", "text", ("nord", "ost"))]
    for want in wants:
        source.column(want.name)
    check(source, wants)
    if "key" in by:
        check(source, [want_of(source, "key")])


@pytest.mark.parametrize("name", ["stored", "packed"])
def test_archives(folder, name):
    source = open_source(folder / f"{name}.npz")
    columns = ["y", "p", "rows"] + ["turned"] * (name == "stored")
    check(source, [Want("y_pred", column, width=source.column(column).width) for column in columns])


@pytest.mark.parametrize(("name", "columns"), [("rows", "031"), ("turned", "12"), ("records", "yp"), ("w", "0")])
def test_arrays(folder, name, columns):
    source = open_source(folder / f"{name}.npy")
    check(source, [Want("y_pred", column) for column in columns])


@pytest.mark.parametrize("main", ["t.parquet", "t.csv", None])
def test_columns_in_files_of_their_own(folder, main):
    beside = [str(folder / name) for name in ("w.npy", "rows.npy", "turned.npy")]
    source = Joined(opened(folder / main) if main else None, beside)
    check(source, [*([Want("y_true", "y")] if main else []), *(Want("y_pred", path, width=source.column(path).width) for path in beside)])
