"""Columns of other libraries: the same bits as of NumPy's arrays, in one place or in several, without copies where memory allows."""

import array
import ctypes
import gc
import mmap
import tracemalloc

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import fastloss as fl
from fastloss.engine import chunks, foreign
from tests.columns import BIG, HUBER, RNG, N, OnlyArray, OnlyArrow, OnlyDLPack, OnlyStream, P, W, Y, chunked, polars_chunks


def mapped(values):
    memory = mmap.mmap(-1, values.nbytes)
    memory[:] = values.tobytes()
    return np.frombuffer(memory, values.dtype)


KINDS = {
    "polars": pl.Series,
    "polars, chunks": lambda a: polars_chunks(a, 300, 1, 99),
    "polars, a slice": lambda a: pl.Series(np.concatenate([a[:13], a, a[:7]])).slice(13, len(a)),
    "pyarrow": pa.array,
    "pyarrow, a slice": lambda a: pa.array(np.concatenate([a[:13], a, a[:7]])).slice(13, len(a)),
    "pyarrow, chunks": lambda a: chunked(a, 250, 11),
    "pyarrow, a dictionary": lambda a: pa.array(a).dictionary_encode(),
    "Arrow array alone": lambda a: OnlyArrow(pa.array(a)),
    "Arrow stream alone": lambda a: OnlyStream(chunked(a, 400)),
    "__array__ alone": OnlyArray,
    "DLPack alone": OnlyDLPack,
    "DLPack, read-only": lambda a: OnlyDLPack(np.frombuffer(a.tobytes(), a.dtype)),
    "memoryview": memoryview,
    "mmap": mapped,
    "array.array": lambda a: array.array("d", a),
    "ctypes": lambda a: (ctypes.c_double * len(a))(*a),
}  # fmt: skip


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_as_of_arrays(kind, short, monkeypatch):
    """As target, prediction, weights or all, of short columns (made one array) and of long ones (taken in stretches)."""
    if not short:
        monkeypatch.setattr(chunks, "LONG", 64)
        monkeypatch.setattr(chunks, "PIECE", 150)
    y, p, w = (KINDS[kind](a) for a in (Y, P, W))
    yn, pn, wn = Y, P, W
    assert HUBER(y, p) == HUBER(yn, pn) and HUBER(yn, p) == HUBER(yn, pn) and HUBER(y, pn, w) == HUBER(yn, pn, wn)
    assert HUBER(y, 0.5) == HUBER(yn, 0.5) and HUBER(0.5, p) == HUBER(0.5, pn) and fl.huber(y, p, 2.0) == fl.huber(yn, pn, 2.0)
    for method in ("loss", "gradient", "loss_gradient", "gradient_hessian", "loss_gradient_hessian"):
        found, expected = (getattr(HUBER, method)(*given) for given in ((y, p, w), (yn, pn, wn)))
        assert np.array_equal(found, expected) and (isinstance(found, np.ndarray) or type(found) is tuple)
    (cost, gradient), out = HUBER.cost_gradient(yn, pn, wn), np.full(N, -1.0)
    found = HUBER.cost_gradient(y, p, w, gradient_out=out)
    assert found[0] == cost and found[1] is out and np.array_equal(out, gradient)
    assert fl.evaluate(["mse", "huber"], y, p, w) == fl.evaluate(["mse", "huber"], yn, pn, wn)
    assert fl.State("rmse").update(y, p, w).compute() == fl.rmse(yn, pn, wn)
    assert HUBER(y, p, nan="skip", reduction="sum") == HUBER(yn, pn, nan="skip", reduction="sum")
    assert fl.dice(y, p) == fl.dice(yn, pn) and np.array_equal(fl.Dice().cost_gradient(y, p)[1], fl.Dice().cost_gradient(yn, pn)[1])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32"])
@pytest.mark.parametrize("make", [pa.array, pl.Series, lambda a: chunked(a, 70, 3)])
def test_every_type_of_number(dtype, make):
    a = (RNG.random(N) < 0.5) if dtype == "bool" else RNG.integers(0, 100, N).astype(dtype)
    assert HUBER(make(a), P) == HUBER(a, P) and HUBER(Y, make(a)) == HUBER(Y, a)
    assert HUBER.gradient(Y, make(a)).dtype == HUBER.gradient(Y, a).dtype


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 64, 100])
@pytest.mark.parametrize("offset", range(0, 18))
def test_bits_at_any_offset(size, offset):
    """Of bool and of what is valid, both are bits."""
    values, valid = RNG.random(offset + size + 5) < 0.5, RNG.random(offset + size + 5) < 0.7
    bools = pa.array(values).slice(offset, size)
    assert np.array_equal(foreign.column("y", bools), values[offset : offset + size])
    numbers = pa.array(values.astype(np.int16), mask=~valid).slice(offset, size)
    expected = np.where(valid, values, np.nan)[offset : offset + size]
    assert np.array_equal(foreign.column("y", numbers), expected, equal_nan=True)
    assert foreign.column("y", numbers).dtype == (np.float64 if np.isnan(expected).any() else np.int16)


def random_sizes():
    return RNG.integers(0, 60, 40).tolist() + [1]


def test_chunks_of_targets_predictions_and_weights_that_end_at_different_places(monkeypatch):
    monkeypatch.setattr(chunks, "LONG", 20)
    monkeypatch.setattr(chunks, "PIECE", 45)
    for _ in range(30):
        y, p, w = chunked(Y, *random_sizes()), polars_chunks(P, *random_sizes()[-1:], 33), chunked(W, *random_sizes())
        assert isinstance(foreign.column("y", y), chunks.Chunks)
        assert HUBER(y, p, w) == HUBER(Y, P, W)
        assert np.array_equal(HUBER.cost_gradient(y, p, w)[1], HUBER.cost_gradient(Y, P, W)[1])
        bad = W.copy()
        at = int(RNG.integers(N))
        bad[at] = -1
        with pytest.raises(fl.InputError, match=f"got -1.0 at index {at}$"):
            HUBER(y, p, chunked(bad, *random_sizes()))
        with pytest.raises(fl.InputError, match=f"`y_true` of `poisson_loss` must be >= 0, got -1.0 at index {at}"):
            fl.poisson_loss(chunked(bad, *random_sizes()), p)


def test_the_parts_of_a_column_are_found(monkeypatch):
    monkeypatch.setattr(chunks, "LONG", 20)
    monkeypatch.setattr(chunks, "PIECE", 45)
    for _ in range(50):
        column = foreign.column("y", chunked(Y, *random_sizes()))
        assert np.array_equal(column.whole(), Y) and column[N - 1] == Y[-1] and column[:0].shape == (0,)
        for start, stop in RNG.integers(0, N, (50, 2)):
            assert np.array_equal(column[start:stop], Y[start:stop])
        covered = list(chunks.stretches([column], N))
        assert [start for start, _ in covered[1:]] == [stop for _, stop in covered[:-1]] and covered[-1][1] == N
        assert all(stop - start <= 60 for start, stop in covered)


def test_outputs_in_the_memory_of_a_part_are_refused(monkeypatch):
    monkeypatch.setattr(chunks, "LONG", 20)
    memory = np.concatenate([P, P])
    column = pa.chunked_array([memory[:500], memory[800:1300]])
    with pytest.raises(
        ValueError, match="`gradient_out` overlaps a part of `y_pred`, which is in several; it must share no memory with it"
    ):
        HUBER.gradient(Y, column, gradient_out=memory[:N])
    expected = HUBER.gradient(Y, np.concatenate([memory[:500], memory[800:1300]]))
    assert np.array_equal(HUBER.gradient(Y, column, gradient_out=np.empty(2 * N)[::2]), expected)
    z = pa.table({"a": column, "b": column})
    with pytest.raises(ValueError, match="`gradient_out` overlaps `y_pred`"):
        fl.SoftmaxCrossEntropy().gradient(np.zeros(N, int), z, gradient_out=memory.reshape(N, 2))


def test_no_copies_where_they_lie_as_they_should():
    column, many = pl.Series(P), pa.chunked_array([P[:400], P[400:]])
    for given in (column, pa.array(P), pa.array(P).slice(5), OnlyDLPack(P), memoryview(P)):
        found = foreign.column("p", given)
        assert np.shares_memory(found, given.to_numpy(zero_copy_only=True) if isinstance(given, pa.Array) else np.asarray(
            given.held if isinstance(given, OnlyDLPack) else given))  # fmt: skip
    parts = foreign.Chunks.of([(400, P[:400])], P.dtype)
    assert np.shares_memory(parts, P)
    big = pa.chunked_array([np.ones(chunks.LONG), np.ones(chunks.LONG)])
    found = foreign.column("p", big)
    assert [np.shares_memory(a, b.to_numpy()) for a, b in zip(found.arrays, big.chunks, strict=True)] == [True, True]
    assert many.num_chunks == 2


@pytest.mark.parametrize("kind", ["chunks", "chunks with nulls", "bits", "polars chunks", "integers with nulls"])
def test_a_call_takes_a_piece_at_a_time(kind):
    """What has to be made is made in pieces of 2**18 samples: NumPy takes no memory of the size of 2,000,000 numbers."""
    a, y = np.ones(BIG), np.zeros(BIG)
    mask = np.arange(BIG) % 5 == 0
    column = {
        "chunks": lambda: chunked(a, 700_000, 100_001),
        "chunks with nulls": lambda: pa.chunked_array([pa.array(a[:900_000], mask=mask[:900_000]), pa.array(a[900_000:])]),
        "bits": lambda: pa.array(mask),
        "polars chunks": lambda: polars_chunks(a, 700_000, 100_001),
        "integers with nulls": lambda: pa.array(a.astype(int), mask=mask),
    }[kind]()
    arrow = pa.total_allocated_bytes()
    HUBER(y, column, nan="skip")
    tracemalloc.start()
    cost = HUBER(y, column, nan="skip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cost == HUBER(0.0, 1.0) * (0.2 if kind == "bits" else 1)
    assert peak < 8e6 < a.nbytes and pa.total_allocated_bytes() == arrow


def test_memory_is_kept_while_it_is_needed_and_then_given_back():
    gc.collect()
    before = pa.total_allocated_bytes()
    source = pa.array(np.arange(100_000) * 2)  # a buffer of Arrow's own, not of NumPy's
    source = pa.compute.add(source, 1)
    held = foreign.column("y", source)
    stream = foreign.column("y", pa.chunked_array([pa.compute.add(source, 2), pa.compute.add(source, 3)]))
    del source
    gc.collect()
    assert pa.total_allocated_bytes() - before >= 3 * 800_000
    assert np.array_equal(held, np.arange(100_000) * 2 + 1) and stream[150_000] == 100_000 + 4
    del held, stream
    gc.collect()
    assert pa.total_allocated_bytes() == before
