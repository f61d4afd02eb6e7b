"""What is missing in columns of other libraries, and what is no column: NaN, and what is refused."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import fastloss as fl
from fastloss.engine import chunks, foreign
from tests.columns import HUBER, MISSING, NULLS, RNG, N, OnlyArray, OnlyStream, P, Y


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


class Awkward:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("{braces} {0}\n of another library")


def test_words_of_another_library_are_kept():
    with pytest.raises(TypeError, match=r"^`y_pred`, a Awkward, is no array of numbers: \{braces\} \{0\} of another library$"):
        HUBER(Y, Awkward())
    with pytest.raises(TypeError, match=r"`y_true` must be an array of bool.*got dtype object \(objects\)"):
        HUBER(OnlyArray(np.array(["a", None], object)), P[:2])


def test_a_column_whose_stream_fails():
    class Failing:
        def __arrow_c_stream__(self, requested_schema=None):
            raise NotImplementedError

    with pytest.raises(TypeError, match="`y_pred`, a Failing, is no array of numbers: NotImplementedError$"):
        HUBER(Y, Failing())


def test_arrow_data_that_was_handed_over_is_not_read_again():
    """Whoever took it over may have freed its memory."""

    class Once:
        def __init__(self, name, source):
            self.capsules = getattr(source, name)()
            setattr(type(self), name, lambda self, requested_schema=None: self.capsules)

    class OfArray(Once):
        pass

    class OfStream(Once):
        pass

    array = OfArray("__arrow_c_array__", pa.array([1.0, 2.0]))
    stream = OfStream("__arrow_c_stream__", pa.chunked_array([[1.0, 2.0]]))
    assert pa.Array._import_from_c_capsule(*array.capsules).to_pylist() == [1.0, 2.0]
    assert pa.ChunkedArray._import_from_c_capsule(stream.capsules).to_pylist() == [1.0, 2.0]
    for taken in (array, stream):
        with pytest.raises(ValueError, match="its Arrow data was handed over before, and released"):
            fl.mse([1.0, 2.0], taken)
