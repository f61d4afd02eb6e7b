"""Columns of other libraries: the same bits as of NumPy's arrays, without copies where their memory allows, and what is refused."""

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

RNG = np.random.default_rng(8)
N = 1000
Y, P, W = RNG.random(N), RNG.random(N), RNG.random(N)
MISSING = np.arange(N) % 7 == 3
HUBER = fl.Huber(delta=0.3)


def cut(values, sizes, make, join):
    """The values in chunks of these sizes, again and again."""
    parts, start, which = [], 0, 0
    while start < len(values):
        parts.append(make(values[start : start + sizes[which % len(sizes)]]))
        start, which = start + sizes[which % len(sizes)], which + 1
    return join(parts)


def chunked(values, *sizes):
    return cut(values, sizes, pa.array, lambda parts: pa.chunked_array(parts) if parts else pa.chunked_array([], pa.float64()))


def polars_chunks(values, *sizes):
    return cut(values, sizes, pl.Series, lambda parts: pl.concat(parts, rechunk=False))


class Only:
    """An object with one protocol of the array it holds, and no other."""

    def __init__(self, held):
        self.held = held


class OnlyDLPack(Only):
    def __dlpack__(self, **options):
        return self.held.__dlpack__(**options)

    def __dlpack_device__(self):
        return 1, 0


class OnlyArrow(Only):
    def __arrow_c_array__(self, requested_schema=None):
        return self.held.__arrow_c_array__(requested_schema)


class OnlyStream(Only):
    def __arrow_c_stream__(self, requested_schema=None):
        return self.held.__arrow_c_stream__(requested_schema)


class OnlyArray(Only):
    def __array__(self, dtype=None, copy=None):
        return self.held


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


# what is missing


NULLS = {
    "pyarrow": lambda a: pa.array(a, mask=MISSING),
    "pyarrow, chunks": lambda a: pa.chunked_array([pa.array(a[:400], mask=MISSING[:400]), pa.array(a[400:], mask=MISSING[400:])]),
    "polars": lambda a: pl.from_arrow(pa.array(a, mask=MISSING)),
    "a dictionary": lambda a: pa.array(a, mask=MISSING).dictionary_encode(),
}


@pytest.mark.parametrize("kind", NULLS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int8", "bool"])
def test_what_is_missing_is_nan(kind, dtype, monkeypatch):
    a = RNG.integers(0, 2, N).astype(dtype)
    expected = np.where(MISSING, np.nan, a.astype(dtype if dtype.startswith("float") else "float64"))
    for small in (False, True):
        if small:
            monkeypatch.setattr(chunks, "LONG", 20)
            monkeypatch.setattr(chunks, "PIECE", 45)
        column = NULLS[kind](a)
        assert np.isnan(HUBER(column, P)) and np.isnan(HUBER(Y, column))
        assert HUBER(column, P, nan="skip") == HUBER(expected, P, nan="skip")
        assert HUBER(Y, column, nan="skip") == HUBER(Y, expected, nan="skip")
        assert np.array_equal(HUBER.loss(Y, column), HUBER.loss(Y, expected), equal_nan=True)
        with pytest.raises(fl.InputError, match="got nan at index 3;"):
            HUBER(column, P, nan="raise")
        with pytest.raises(fl.InputError, match="`sample_weight` must be finite and >= 0, got nan at index 3$"):
            HUBER(Y, P, column)


@pytest.mark.parametrize("kind", NULLS)
def test_integers_with_missing_ones_do_not_change_the_precision(kind):
    """Beside float32 predictions integer targets are computed in float32; with nulls among them, too."""
    a, p = RNG.integers(0, 5, N), P.astype(np.float32)
    found, expected = HUBER.loss(NULLS[kind](a), p), HUBER.loss(a, p)
    assert np.array_equal(found[~MISSING], expected[~MISSING]) and np.isnan(found[MISSING]).all()
    assert HUBER(NULLS[kind](a), p, nan="skip") == HUBER(a[~MISSING], p[~MISSING])


def test_a_column_of_nothing_but_nulls():
    for column in (
        pa.nulls(N),
        pl.Series([None] * N),
        pa.array([None] * N, pa.float64()),
        pa.nulls(N, pa.dictionary(pa.int8(), pa.int64())),
    ):
        assert fl.State("mse", nan="skip").update(Y, column).n == N
        assert np.isnan(HUBER.loss(Y, column)).all()


def test_a_dictionary_with_missing_values():
    indices, values = pa.array([0, 1, None, 2, 0], pa.int8()), pa.array([1.5, None, -2.0])
    column = pa.DictionaryArray.from_arrays(indices, values)
    assert np.array_equal(foreign.column("y", column), [1.5, np.nan, np.nan, -2.0, 1.5], equal_nan=True)


def test_missing_labels_are_named():
    z = RNG.random((N, 3))
    for kind in NULLS:
        with pytest.raises(TypeError, match="`y_true` of `softmax_cross_entropy` must be integers.*the one at index 3 is missing, or NaN"):
            fl.cross_entropy(NULLS[kind](RNG.integers(0, 3, N)), z)


# memory


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


BIG = 2_000_000


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


# what is refused


class OnDevice:
    shape, dtype = (3,), "float32"

    def __init__(self, number):
        self.number = number

    def __dlpack_device__(self):
        return self.number, 0

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("nothing is copied from a device in silence")

    def cpu(self):
        return np.ones(3)


class OfCuPy:
    __cuda_array_interface__ = {"shape": (3,), "typestr": "<f4", "data": (1 << 40, False), "version": 3}

    def get(self):
        return np.ones(3)


class OfDask:
    def __dask_graph__(self):
        return {}

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("nothing is computed in silence")


def of_pandas_strings():
    return pytest.importorskip("pandas").Series(["yes", "no"])


def sparse():
    return pytest.importorskip("scipy.sparse").csr_array(np.eye(3))


REFUSED = {
    "CUDA": (
        lambda: OnDevice(2),
        r"`{}` is in the memory of a device \(CUDA\), and fastloss computes on CPUs; copy it to the host: {}.cpu()",
    ),
    "ROCm": (lambda: OnDevice(10), r"`{}` is in the memory of a device \(ROCm\)"),
    "another": (lambda: OnDevice(99), r"`{}` is in the memory of a device \(DLPack's number 99\)"),
    "CuPy": (OfCuPy, r"`{}` is in the memory of a device \(CUDA\).*copy it to the host: {}.get\(\)"),
    "dask": (OfDask, "`{}` is a dask collection: compute it, or add its blocks to a fl.State"),
    "a generator": (lambda: (x for x in [1.0]), r"`{}`, a generator, is no array of numbers: an iterator.*pass list\({}\)"),
    "a map": (lambda: map(float, [1]), "`{}`, a map, is no array of numbers: an iterator, which can be read once"),
    "a set": (lambda: {1.0}, "`{}`, a set, is no array of numbers"),
    "a dict": (lambda: {"a": 1.0}, "`{}`, a dict, is no array of numbers"),
    "sparse": (sparse, r"`{}`, a csr_array, is no array of numbers: sparse: pass {}.toarray\(\)"),
    "lazy": (lambda: pl.LazyFrame({"a": [1.0]}), r"not computed yet: pass a column of {}.collect\(\)"),
    "a scalar of Arrow": (lambda: pa.scalar(1.0), r"pass {}.as_py\(\)"),
    "strings of polars": (lambda: pl.Series(["yes", "no"]), r"`{}` must be an array of bool.*strings.*{}.astype\(float\)"),
    "strings of pyarrow": (lambda: pa.array(["yes", "no"]), "`{}` must be an array of bool"),
    "strings of pandas": (of_pandas_strings, "`{}` must be an array of bool"),
    "dates": (lambda: pa.array([0], pa.timestamp("s")), r"`{}` must be an array of bool.*\(dates\)"),
    "a table of Arrow alone": (lambda: OnlyStream(pa.table({"a": [1.0]})), "`{}` must be a column of numbers, got a OnlyStream.*a table"),
    "lists": (lambda: pa.array([[1.0], [2.0, 3.0]]), "`{}` must be an array of bool"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what):
    make, message = REFUSED[what]
    for name, call in (
        ("y_pred", lambda bad: HUBER(Y, bad)),
        ("y_true", lambda bad: HUBER.cost_gradient(bad, P)),
        ("sample_weight", lambda bad: HUBER.loss(Y, P, bad)),
        ("sample_weight", lambda bad: fl.cross_entropy(np.zeros(N, int), RNG.random((N, 3)), bad)),
    ):
        with pytest.raises(TypeError, match=message.format(name, name) if "{}" in message else message):
            call(make())


def test_a_stream_that_fails():
    def batches():
        yield pa.record_batch({"a": [1.0], "b": [2.0]})
        raise OSError("the disk is gone")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"a": pa.float64(), "b": pa.float64()}), batches())
    with pytest.raises(
        ValueError, match="`y_pred`, a RecordBatchReader, is no array of numbers: the Arrow stream failed.*the disk is gone"
    ):
        fl.cross_entropy([0], reader)


# rows of scores


def table(z, *sizes):
    return pa.Table.from_batches(
        [pa.record_batch({f"c{j}": z[start : start + 90, j] for j in range(z.shape[1])}) for start in range(0, len(z), 90)]
    )


ROWS = {
    "polars": lambda z: pl.DataFrame(z),
    "polars, chunks": lambda z: pl.concat([pl.DataFrame(z[:300]), pl.DataFrame(z[300:])], rechunk=False),
    "pyarrow": lambda z: pa.table({f"c{j}": z[:, j] for j in range(z.shape[1])}),
    "pyarrow, batches": table,
    "a batch, sliced": lambda z: pa.record_batch({f"c{j}": np.r_[z[:3, j], z[:, j]] for j in range(z.shape[1])}).slice(3),
    "a reader": lambda z: table(z).to_reader(),
    "Arrow alone": lambda z: OnlyStream(table(z)),
    "columns in chunks": lambda z: [chunked(z[:, j], 100 + j, 7) for j in range(z.shape[1])],
    "lists of one length": lambda z: pa.FixedSizeListArray.from_arrays(pa.array(z.ravel()), z.shape[1]),
    "lists, sliced": lambda z: pa.FixedSizeListArray.from_arrays(pa.array(np.vstack([z[:5], z]).ravel()), z.shape[1])[5:],
    "arrays of polars": lambda z: pl.Series(z),
}  # fmt: skip


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("kind", ROWS)
def test_tables_as_rows(kind, small, monkeypatch):
    if small:
        monkeypatch.setattr(chunks, "LONG", 20)
        monkeypatch.setattr(chunks, "PIECE", 45)
    z, labels, q = RNG.standard_normal((N, 4)), RNG.integers(0, 4, N), RNG.random((N, 4))
    ce, kl, make = fl.SoftmaxCrossEntropy(class_weight=[1, 2, 3, 4], ignore_index=2), fl.get("kl_divergence_with_logits"), ROWS[kind]
    w, labels_column = chunked(W, 130), chunked(labels, 81, 2)
    assert ce(labels, make(z)) == ce(labels, z) and ce(labels_column, make(z), w) == ce(labels, z, W)
    assert ce(labels_column, z, w) == ce(labels, z, W) and kl(make(q), z) == kl(q, z) == kl(q, make(z)) == kl(make(q), make(z))
    found, expected = ce.loss_gradient_hessian(labels_column, make(z), w), ce.loss_gradient_hessian(labels, z, W)
    assert all(map(np.array_equal, found, expected))
    found, expected = ce.cost_gradient(labels_column, make(z), w), ce.cost_gradient(labels, z, W)
    assert found[0] == expected[0] and np.array_equal(found[1], expected[1])
    found, expected = kl.cost_gradient(make(q), make(z)), kl.cost_gradient(q, z)
    assert found[0] == expected[0] and np.array_equal(found[1], expected[1])
    assert fl.evaluate(["cross_entropy", "multiclass_error"], labels, make(z)) == fl.evaluate(
        ["cross_entropy", "multiclass_error"], labels, z
    )
    assert np.array_equal(fl.softmax(make(z)), fl.softmax(z))
    wrong = labels.copy()
    wrong[777] = 9
    with pytest.raises(fl.InputError, match="got 9 at index 777"):
        fl.cross_entropy(chunked(wrong, 130), make(z))
    q[555, 2] = -1
    with pytest.raises(fl.InputError, match=r"got -1.0 at index \(555, 2\)"):
        kl(make(q), make(z))


def test_rows_are_not_copied():
    z = [chunked(np.ones(BIG // 4), 200_000, 50_001) for _ in range(4)]
    labels = chunked(np.zeros(BIG // 4, np.int64), 130_000)
    scores = pa.table({str(j): column for j, column in enumerate(z)})
    fl.cross_entropy(labels[:10], scores[:10])
    tracemalloc.start()
    cost = fl.cross_entropy(labels, scores)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cost == pytest.approx(np.log(4), rel=1e-15) and peak < 2e6 < labels.nbytes


def test_tables_that_are_no_rows():
    for bad, message in (
        (pl.DataFrame({"a": [1.0], "b": ["x"]}), "its column 'b' is not of numbers"),
        (pl.DataFrame({"a": [1.0]}), "1 column; rows of scores are of 2 classes or more"),
        (pl.DataFrame(), "must have rows of C scores"),
        (pl.Series([[1.0, None], None], dtype=pl.Array(pl.Float64, 2)), "some of its lists are missing"),
        (pl.Series([1.0]), "must have rows of C scores"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            fl.cross_entropy([0], bad)


# by library


def test_pandas():
    pd = pytest.importorskip("pandas")
    y, p, w = (pd.Series(a, index=np.arange(N)[::-1]) for a in (Y, P, W))
    assert HUBER(y, p, w) == HUBER(Y, P, W) and np.array_equal(HUBER.gradient(y, p), HUBER.gradient(Y, P))
    assert np.shares_memory(foreign.column("y", y), y.to_numpy())
    whole = RNG.integers(0, 3, N)
    for series in (
        pd.Series(whole),
        pd.Series(whole, dtype="Int64"),
        pd.Series(whole, dtype="int64[pyarrow]"),
        pd.Series(whole, dtype="category"),
    ):
        assert HUBER(series, P) == HUBER(whole, P)
        assert fl.cross_entropy(series, np.outer(P, [1, 2, 3])) == fl.cross_entropy(whole, np.outer(P, [1, 2, 3]))
    assert HUBER(pd.array(whole, dtype="Int64"), pd.Index(P)) == HUBER(whole, P)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("dtype", ["Float64", "Int64", "boolean", "Float32", "double[pyarrow]", "int8[pyarrow]", "bool[pyarrow]"])
def test_missing_values_of_pandas(dtype, long, monkeypatch):
    pd = pytest.importorskip("pandas")
    if long:
        monkeypatch.setattr(chunks, "LONG", 20)
        monkeypatch.setattr(foreign, "LONG", 20)
        monkeypatch.setattr(chunks, "PIECE", 45)
    values = RNG.integers(0, 2, N)
    series = pd.Series(values, dtype=dtype).mask(pd.Series(MISSING))
    expected = np.where(MISSING, np.nan, values)
    assert series.isna().sum() == MISSING.sum()
    assert HUBER(series, P, nan="skip") == HUBER(expected, P, nan="skip")
    single = P.astype(np.float32)  # beside which a column of float64 is computed in float64, and integers are not
    target = expected.astype(np.float64 if dtype in ("Float64", "double[pyarrow]") else np.float32)
    assert np.array_equal(HUBER.loss(series, single), HUBER.loss(target, single), equal_nan=True)
    assert np.array_equal(
        HUBER.loss(Y, series), HUBER.loss(Y, expected.astype(np.float32 if dtype == "Float32" else float)), equal_nan=True
    )
    with pytest.raises(fl.InputError, match="`sample_weight` must be finite and >= 0, got nan at index 3$"):
        HUBER(Y, P, series)


def test_frames_of_pandas_as_rows():
    pd = pytest.importorskip("pandas")
    z, labels = RNG.standard_normal((N, 3)), RNG.integers(0, 3, N)
    one = pd.DataFrame(z)
    several = pd.DataFrame({"a": z[:, 0], "b": pd.Series(z[:, 1], dtype="double[pyarrow]"), "c": z[:, 2]})
    ce = fl.SoftmaxCrossEntropy()
    for frame in (one, several, one.astype("Float64"), one.astype("double[pyarrow]")):
        assert ce(labels, frame) == ce(labels, z) == ce(pd.Series(labels), frame)
        assert np.array_equal(ce.gradient(labels, frame), ce.gradient(labels, z))
    with pytest.raises(TypeError, match=r"`y_pred\['b'\]` must be an array"):
        ce(labels[:2], pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}))


def test_torch():
    torch = pytest.importorskip("torch")
    y, p = torch.tensor(Y), torch.tensor(P, requires_grad=True)
    assert HUBER(y, p) == HUBER(Y, P) and HUBER(y[::2], p[::2]) == HUBER(Y[::2], P[::2])
    assert np.shares_memory(foreign.column("y", y), y.numpy())
    assert HUBER(torch.nn.Parameter(y), p) == HUBER(Y, P)
    with pytest.raises(TypeError, match="`y_pred` is a meta tensor"):
        HUBER(Y, torch.empty(N, device="meta"))
    with pytest.raises(TypeError, match="`y_pred`, a Tensor, is no array of numbers: .*Sparse"):
        HUBER(Y, p.detach().to_sparse())
    z = torch.tensor(np.outer(P, [1, 2, 3]))
    assert fl.cross_entropy(torch.zeros(N, dtype=torch.int64), z.requires_grad_()) == fl.cross_entropy(np.zeros(N, int), z.detach().numpy())
    half = p.detach().bfloat16()
    assert np.shares_memory(foreign.column("p", half).view(np.int16), half.view(torch.int16).numpy())
    assert HUBER(Y.astype(np.float32), half) == HUBER(Y.astype(np.float32), half.float().numpy())
    assert HUBER.gradient(y, half).dtype.name == "bfloat16"
    assert fl.cross_entropy(np.zeros(N, int), z.detach().bfloat16()) == fl.cross_entropy(
        np.zeros(N, int), z.detach().bfloat16().float().numpy()
    )


def test_jax():
    jnp = pytest.importorskip("jax.numpy")
    y, p = jnp.array(Y), jnp.array(P)
    assert HUBER(y, p) == HUBER(np.asarray(y), np.asarray(p))
    assert np.shares_memory(foreign.column("y", y), np.asarray(y))
    half = p.astype(jnp.bfloat16)
    assert HUBER(y, half) == HUBER(np.asarray(y), np.asarray(half).astype(np.float32))


def test_analyses_comparisons_and_calibration():
    y, p = pl.Series(Y), chunked(P, 300)
    analysis = fl.Analysis(state := fl.State(["mse", "mae"]), spread=True, worst=2)
    state.update(y, p)
    analysis.update(y, p)
    plain = fl.Analysis(beside := fl.State(["mse", "mae"]), spread=True, worst=2)
    beside.update(Y, P)
    plain.update(Y, P)
    assert state.compute() == beside.compute() and analysis.spread["mse"].max == plain.spread["mse"].max
    assert [one.row for one in analysis.worst["mse"]] == [one.row for one in plain.worst["mse"]]
    assert repr(fl.compare("mse", y, p, chunked(W, 90))) == repr(fl.compare("mse", Y, P, W))
    hits = Y > 0.5
    assert fl.calibration_error(pa.array(hits), p) == fl.calibration_error(hits, P)
