"""What is taken for rows of scores: buffers and scores of any strides, lists of columns of any library, and what is refused."""

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import rowinputs

RNG = np.random.default_rng(5)
LOSSES = ["softmax_cross_entropy", "kl_divergence_with_logits", "multiclass_error"]


def given(name, shape, classes, dtype="float64"):
    z = RNG.standard_normal((*shape, classes)).astype(dtype)
    targets = RNG.random((*shape, classes)).astype(dtype)
    return (targets if name.startswith("kl") else RNG.integers(0, classes, shape)), z


BUFFERS = {
    "a part of each row": lambda shape: np.full((*shape[:-1], 2 * shape[-1]), -7.0)[..., : shape[-1]],
    "Fortran's order": lambda shape: np.full(shape, -7.0, order="F"),
    "upside down": lambda shape: np.full(shape, -7.0)[::-1],
    "every other": lambda shape: np.full((2 * shape[0], *shape[1:]), -7.0)[::2],
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("layout", BUFFERS)
@pytest.mark.parametrize("shape", [(6,), (2, 4), (3, 2, 4)])
def test_loss_out_of_any_strides_is_written(name, layout, shape):
    y, z = given(name, shape, 3)
    loss, buffer = fl.get(name), BUFFERS[layout](shape)
    expected = loss.loss(y, z)
    assert loss.loss(y, z, loss_out=buffer) is buffer
    assert np.array_equal(buffer, expected)
    if name != "multiclass_error":
        buffer = BUFFERS[layout](shape)
        found, gradient = loss.loss_gradient(y, z, loss_out=buffer)
        assert found is buffer and np.array_equal(buffer, expected) and np.array_equal(gradient, loss.gradient(y, z))


LAYOUTS = {
    "transposed": lambda z: z.transpose(1, 0, *range(2, z.ndim)).copy().transpose(1, 0, *range(2, z.ndim)),
    "Fortran's order": np.asfortranarray,
    "every other row": lambda z: np.repeat(z, 2, axis=0)[::2],
    "every other column": lambda z: np.repeat(z, 2, axis=1)[:, ::2],
    "channels first": lambda z: np.moveaxis(np.ascontiguousarray(np.moveaxis(z, -1, 1)), 1, -1),
}


@pytest.mark.parametrize("long", [rowinputs.LONG, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", LOSSES[:2])
def test_scores_of_many_dimensions_and_any_strides(name, layout, long, monkeypatch):
    """In one piece, in stretches (of any length: 1) or in pieces that are copied: the same bits, and every output written."""
    monkeypatch.setattr(rowinputs, "LONG", long)
    monkeypatch.setattr(rowinputs, "PIECE", 50)
    y, z = given(name, (5, 4, 3), 7)
    w, loss, laid = RNG.random((5, 4, 3)), fl.get(name), LAYOUTS[layout](z)
    assert np.array_equal(laid, z) and not laid.flags.c_contiguous
    assert loss(y, laid, w) == loss(y, z, w)
    targets = LAYOUTS[layout](y)
    cost, gradient = loss.cost_gradient(y, z, w)
    for buffer in (None, np.empty_like(z), LAYOUTS[layout](np.empty_like(z)), laid):
        found = loss.cost_gradient(targets, laid, w, gradient_out=buffer)
        assert found[0] == cost and np.array_equal(found[1], gradient)
        assert buffer is None or found[1] is buffer
    laid = LAYOUTS[layout](z)
    parts = loss.loss_gradient_hessian(y, laid, loss_out=np.empty((5, 4, 3), order="F"), hessian_out=np.empty_like(z, order="F"))
    for part, expected in zip(parts, loss.loss_gradient_hessian(y, z), strict=True):
        assert np.array_equal(part, expected)


@pytest.mark.parametrize("long", [rowinputs.LONG, 1])
def test_bad_rows_are_named_wherever_they_lie(long, monkeypatch):
    monkeypatch.setattr(rowinputs, "LONG", long)
    monkeypatch.setattr(rowinputs, "PIECE", 14)
    y, z = given("softmax_cross_entropy", (5, 4), 7)
    y[3, 2] = 7
    with pytest.raises(fl.InputError, match=r"got 7 at index \(3, 2\)"):
        fl.cross_entropy(y, np.asfortranarray(z))
    y[3, 2], z[4, 1, 3] = 0, np.nan
    with pytest.raises(fl.InputError, match=r"got nan at index \(4, 1\)"):
        fl.cross_entropy(y, np.asfortranarray(z), nan="raise")
    w = np.ones((5, 4))
    w[2, 0] = -1
    with pytest.raises(fl.InputError, match=r"got -1.0 at index \(2, 0\)"):
        fl.cross_entropy(y, np.asfortranarray(z), w)


def test_no_copy_of_all_scores_is_made():
    import tracemalloc

    y, z = RNG.integers(0, 8, (200, 4000)), np.zeros((200, 8, 4000), np.float32)  # channels first: stretches of 4,000 rows
    for scores in (np.moveaxis(z, 1, 2), np.zeros((4000, 200, 8), np.float32).transpose(1, 0, 2)):
        tracemalloc.start()
        fl.cross_entropy(y, scores)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10e6 < scores.nbytes


def test_no_classes_are_too_few():
    with pytest.raises(ValueError, match="`y_pred` has 0 columns; rows of scores are of 2 classes or more"):
        fl.cross_entropy(np.zeros((2, 3), int), np.zeros((2, 3, 0)))


@pytest.mark.parametrize("name", ["gradient_out", "loss_out", "hessian_out"])
def test_outputs_that_overlap_themselves_are_refused(name):
    y, z = given("softmax_cross_entropy", (6,), 3)
    window = np.lib.stride_tricks.sliding_window_view(np.zeros(8), 3, writeable=True)
    zero = np.lib.stride_tricks.as_strided(np.zeros(6), (6, 3), (8, 0))
    for buffer in (window, zero):
        out = np.lib.stride_tricks.as_strided(np.zeros(1), (6,), (0,)) if name == "loss_out" else buffer
        with pytest.raises(ValueError, match=f"`{name}` must have memory for every element"):
            fl.SoftmaxCrossEntropy().loss_gradient_hessian(y, z, **{name: out})


def columns_of(z, kind):
    """The columns of an array as a list of arrays of some library."""
    if kind == "polars":
        pl = pytest.importorskip("polars")
        return [pl.Series(column) for column in z.T]
    if kind == "torch":
        torch = pytest.importorskip("torch")
        return [torch.tensor(column) for column in z.T]
    return [memoryview(np.ascontiguousarray(column)) if kind == "memoryview" else column for column in z.T]


@pytest.mark.parametrize("kind", ["numpy", "polars", "torch", "memoryview"])
@pytest.mark.parametrize("n", [3, 4])
def test_lists_of_arrays_are_columns_and_lists_of_lists_are_rows(kind, n):
    """Where there are as many rows as classes, only the kind of the parts can say."""
    y, z = given("softmax_cross_entropy", (n,), 3)
    expected = fl.cross_entropy(y, z)
    for columns in (columns_of(z, kind), tuple(columns_of(z, kind))):
        assert fl.cross_entropy(y, columns) == expected
    assert fl.cross_entropy(y, z.tolist()) == expected
    targets, _ = given("kl_divergence", (n,), 3)
    assert fl.kl_divergence_with_logits(columns_of(targets, kind), columns_of(z, kind)) == fl.kl_divergence_with_logits(targets, z)


def test_a_list_of_columns_and_rows_is_refused():
    z = np.zeros((2, 2))
    text = r"`y_pred` must be .* a list of rows .* or a list of columns .*, got a ndarray as `y_pred\[0\]` and a list as `y_pred\[1\]`"
    with pytest.raises(ValueError, match=text):
        fl.cross_entropy([0, 1], [z[0], [1.0, 2.0]])
    with pytest.raises(ValueError, match=r"`y_true` must be .* got a ndarray as `y_true\[1\]` and a float as `y_true\[0\]`"):
        fl.kl_divergence_with_logits([1.0, z[0]], z)


@pytest.mark.parametrize("dtypes", [("int64", "float16"), ("float32", "uint8"), ("bool", "float16"), ("int8", "int8")])
def test_columns_with_integers_are_float64(dtypes):
    columns = [np.array([2001, 0, 1]).astype(dtypes[0]), np.array([1, 0, 1]).astype(dtypes[1])]
    wide = np.column_stack([column.astype(float) for column in columns])
    cost, gradient = fl.SoftmaxCrossEntropy().cost_gradient([1, 0, 0], columns)
    assert gradient.dtype == np.float64
    expected = fl.SoftmaxCrossEntropy().cost_gradient([1, 0, 0], wide)
    assert cost == expected[0] and np.array_equal(gradient, expected[1])


@pytest.mark.parametrize("name", ["multilabel_margin", "multilabel_logistic"])
@pytest.mark.parametrize("dtypes", [("bool", "int8", "uint64"), ("int8", "float16", "float32")])
def test_columns_of_targets_with_integers_are_as_an_array_of_them(name, dtypes):
    hits, z = RNG.random((40, 3)) < 0.5, RNG.standard_normal((40, 3)).astype(np.float32)
    loss = fl.get(name)
    found = loss.loss_gradient([hits[:, j].astype(dtype) for j, dtype in enumerate(dtypes)], z)
    for mine, wanted in zip(found, loss.loss_gradient(hits, z), strict=True):
        assert np.array_equal(mine, wanted)
    wide = loss.loss([hits[:, 0], hits[:, 1], hits[:, 2].astype(float)], z)
    assert np.array_equal(wide, loss.loss(hits.astype(float), z))


def test_columns_of_both_halves_are_float32():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    y, z = given("softmax_cross_entropy", (9,), 2, "float16")
    columns = [z[:, 0], z[:, 1].astype(ml_dtypes.bfloat16)]
    gradient = fl.SoftmaxCrossEntropy().gradient(y, columns)
    assert gradient.dtype == np.float32
    assert np.array_equal(gradient, fl.SoftmaxCrossEntropy().gradient(y, np.column_stack([c.astype(np.float32) for c in columns])))


DAYS = np.array(["2020-01-01", "2021-01-01"], "M8[D]")


@pytest.mark.parametrize("given, labels, codes", [
    (["b", "a", "b"], ["a", "b"], [1, 0, 1]), ([1, "a"], ["a", 1], [1, 0]), (["a", None], [None, "a"], [1, 0]),
    ([20, 10], [10, 20], [1, 0]), ([2.0, 1.0], [1, 2], [1, 0]), ([True, False], [False, True], [1, 0]),
    ([2**63 + 1, 3], [2**63, 2**63 + 1, 3], [1, 2]), (DAYS[::-1], DAYS, [1, 0]), ([], ["a", "b"], []),
    (np.array(["b", "a"], np.dtypes.StringDType()), ["a", "b"], [1, 0]), (np.array([b"b", b"a"]), [b"a", b"b"], [1, 0]),
    (np.array([["b", "a"], ["a", "a"]]), ("a", "b"), [[1, 0], [0, 0]]),
])  # fmt: skip
def test_labels_of_any_kind_become_class_numbers(given, labels, codes):
    found = fl.encode_labels(given, labels)
    assert found.dtype == np.int64 and np.array_equal(found, codes) and found.shape == np.shape(codes)


@pytest.mark.parametrize("given, labels, text", [
    (["a", None], ["a", "b"], "must be one of the labels 'a', 'b', got None at index 1$"),
    (["a", 1], ["a", "1"], "must be one of the labels 'a', '1', got 1 at index 1$"),
    (np.array(["a", "x"], np.dtypes.StringDType()), ["a", "b"], "got 'x' at index 1$"),
    (np.array([["a", "b"], ["b", "x"]]), ["a", "b"], r"got 'x' at index \(1, 1\)$"),
    (np.array([1, 7]), [1, 2], "must be one of the labels 1, 2, got 7 at index 1$"),
    ([0.5, np.nan], [0.5, 1.0], "got nan at index 1$"), ([["a"], ["a", "b"]], ["a", "b"], r"got \['a'\] at index 0$"),
    (["1"], [1, 2], "must be one of the labels 1, 2, got '1' at index 0$"),
    (["a"], {"a", "b"}, "in the order of the scores' columns, got a set, which has no order"),
    (["a"], ["a", "a"], r"must be 2 or more different labels, .* got \['a', 'a'\]"), (["a"], "ab", "different labels, .* got 'ab'"),
])  # fmt: skip
def test_labels_that_are_none_are_named(given, labels, text):
    with pytest.raises(ValueError, match=text):
        fl.encode_labels(given, labels)


def test_a_missing_label_of_polars_is_named():
    pl = pytest.importorskip("polars")
    with pytest.raises(ValueError, match="got None at index 1$"):
        fl.encode_labels(pl.Series(["a", None]), ["a", "b"])
    assert fl.encode_labels(pl.Series(["b", "a"], dtype=pl.Categorical), pl.Series(["a", "b"])).tolist() == [1, 0]


def test_rows_of_another_number_of_classes_do_not_go_on(tmp_path):
    t, z = np.array([0, 1, 2]), np.zeros((3, 4))
    state = fl.State("cross_entropy").update(t, z)
    for other in (state, fl.State.from_bytes(state.to_bytes())):
        with pytest.raises(ValueError, match="`y_pred` has 3 classes, but what was added before has 4"):
            other.update(t, z[:, :3])
        with pytest.raises(ValueError, match="has 3 classes, but what was added before has 4"):
            other.merge(fl.State("cross_entropy").update(t, z[:, :3]))
        assert other.n == 3


def test_what_errors_say_of_natural_mistakes():
    z = np.zeros((3, 4))
    with pytest.raises(ValueError, match="labels that begin at 1: pass y_true - 1"):
        fl.cross_entropy([1, 2, 4], z)
    with pytest.raises(TypeError, match="soft_label_cross_entropy"):
        fl.cross_entropy(np.eye(4)[:3], z)
    with pytest.raises(TypeError, match="class_weight, ignore_index; did you mean `class_weight`"):
        fl.SoftmaxCrossEntropy(class_weights=[1, 2, 3, 4])
    with pytest.raises(ValueError, match="class_weight=1;2;3"):
        fl.get("cross_entropy:class_weight=1,2,3")
    with pytest.raises(ValueError, match="`temperature` of `softmax` must be > 0"):
        fl.softmax(z, temperature=0)
    with pytest.raises(ValueError, match="`X` has 3 rows"):
        fl.linear_cross_entropy(z, np.ones((5, 4)), [0, 1])
