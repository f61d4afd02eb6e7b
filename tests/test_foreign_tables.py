"""Tables as rows of scores, and the columns of pandas, torch, jax by what is special about each."""

import tracemalloc

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import fastloss as fl
from fastloss.engine import chunks, foreign
from tests.columns import BIG, HUBER, MISSING, RNG, N, OnlyStream, P, W, Y, chunked


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
        (
            pa.StructArray.from_arrays([pa.array([1.0, 2.0])] * 2, ["a", "b"], mask=pa.array([False, True])),
            "some of its rows are missing",
        ),
        (pl.Series([1.0]), "must have rows of C scores"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            fl.cross_entropy([0], bad)


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
