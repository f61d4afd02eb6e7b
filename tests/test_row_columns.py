"""Scores and outputs that lie in columns: Fortran's order, lists of columns, whatever dtype, alignment and strides; and stored past the
caches. The same bits as from rows, and nothing written beside what is asked for."""

import numpy as np
import pytest

import fastloss as fl

SENTINEL = 7.0
LAYOUTS = ("tight", "beside a line", "apart", "every other row", "upside down", "columns backwards")


def laid(layout, shape, dtype):
    """(memory, n rows of C in columns): a view of memory that is larger and full of SENTINEL."""
    n, classes = shape
    dtype = np.dtype(dtype)
    if layout in ("tight", "beside a line"):  # from the beginning of a cache line, and from 4 or 8 bytes behind
        memory = np.full(n * classes + 64, SENTINEL, dtype)
        first = -memory.ctypes.data % 64 // dtype.itemsize + (layout != "tight") * max(1, 4 // dtype.itemsize)
        return memory, memory[first : first + n * classes].reshape(shape, order="F")
    memory = np.full((2 * n, classes + 2), SENTINEL, dtype, order="F")
    view = memory[: 2 * n : 2, 1:-1] if layout == "every other row" else memory[3 : n + 3, 1:-1]
    return memory, {"upside down": view[::-1], "columns backwards": view[:, ::-1]}.get(layout, view)


def filled(layout, values, dtype=None):
    view = laid(layout, values.shape, dtype or values.dtype)[1]
    view[...] = values
    return view


def case(n, classes, dtype="f8"):
    random = np.random.default_rng([n, classes])
    return random.integers(classes, size=n), random.normal(0.0, 2.0, (n, classes)).astype(dtype)


@pytest.mark.parametrize("classes", [2, 3, 10, 33, 128, 129, 600])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8"])
def test_columns_have_the_bits_of_rows(dtype, classes):
    """Over several tiles, the last of which is not full; the layout of outputs and their dtype are their own."""
    y, z = case(591, classes, dtype)
    loss = fl.SoftmaxCrossEntropy()
    wanted = loss.loss_gradient_hessian(y, z)
    scores = [filled(layout, z) for layout in LAYOUTS] + [list(z.T.copy()), list(z.T), list(filled("upside down", z).T)]
    for number, by_column in enumerate(scores):
        found = loss.loss_gradient_hessian(y, by_column)
        assert loss(y, by_column) == loss(y, z) and all(map(np.array_equal, found, wanted))
        for part in range(4 if number < 3 else 1):
            layout, out = LAYOUTS[(number + part) % len(LAYOUTS)], ("f4", "f8", "f2", ">f4")[part]
            beside, gradient = laid(layout, z.shape, out)
            around, hessian = laid(LAYOUTS[number % len(LAYOUTS)], z.shape, out)
            with np.errstate(over="ignore"):
                expected = [values.astype(out) for values in loss.gradient_hessian(y, z.astype("f8" if z.dtype.itemsize == 8 else "f4"))]
            loss.gradient_hessian(y, by_column, gradient_out=gradient, hessian_out=hessian)
            assert np.array_equal(gradient, expected[0]) and np.array_equal(hessian, expected[1])
            for memory, view in ((beside, gradient), (around, hessian)):
                view[...] = SENTINEL
                assert (memory == SENTINEL).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scores, out", [("f4", "f4"), ("f8", "f4"), ("f8", "f8"), ("f4", "f8"), ("f8", "f2"), ("f4", ">f4")])
def test_columns_past_the_caches(scores, out, layout):
    """Outputs larger than 16 MB, in columns no two of which begin at the same place of a cache line; rows that are ignored, weights."""
    size = np.dtype(out).itemsize
    n, classes = (1 << 24) // (10 * size) + 1001, 10
    y, z = case(n, classes, scores)
    y[::5] = -1
    w = np.random.default_rng(0).random(n)
    loss = fl.SoftmaxCrossEntropy(ignore_index=-1)
    memory, gradient = laid(layout, z.shape, out)
    hessian = np.empty_like(z, order="F")
    assert gradient.nbytes > 1 << 24
    loss.gradient_hessian(y, filled(layout, z), w, gradient_out=gradient, hessian_out=hessian)
    for start in range(0, n, 50_000):  # parts that are small enough for the caches, as rows
        rows = slice(start, start + 50_000)
        wanted = loss.gradient_hessian(y[rows], z[rows], w[rows])
        assert np.array_equal(gradient[rows], wanted[0].astype(out)) and np.array_equal(hessian[rows], wanted[1])
    gradient[...] = SENTINEL
    assert (memory == SENTINEL).all()


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_columns_that_are_a_power_of_two_apart(dtype, n_threads):
    """They compete for the same places of a cache; in the scores' own place, too."""
    y, z = case(1 << 17, 12, dtype)
    loss = fl.SoftmaxCrossEntropy()
    wanted = loss.gradient_hessian(y, z, n_threads=n_threads)
    by_column = np.asfortranarray(z)
    assert all(map(np.array_equal, loss.gradient_hessian(y, by_column, n_threads=n_threads), wanted))
    loss.gradient(y, by_column, gradient_out=by_column, n_threads=n_threads)
    assert np.array_equal(by_column, wanted[0])


@pytest.mark.parametrize("classes", [3, 40, 150])
def test_targets_in_columns(classes):
    """Targets that are rows, too, in another dtype and layout than the scores, and a list of columns of several."""
    z = case(591, classes)[1]
    y = np.abs(case(591, classes, "f4")[1]) + 0.5
    y /= y.sum(axis=1, keepdims=True)
    loss = fl.SoftLabelCrossEntropy()
    wanted = loss.loss_gradient(y, z)
    for layout in LAYOUTS:
        found = loss.loss_gradient(filled(layout, y), filled(LAYOUTS[-1 - LAYOUTS.index(layout)], z))
        assert all(map(np.array_equal, found, wanted))
    mixed = [column.astype("f8" if j % 2 else "f4") for j, column in enumerate(y.T)]
    assert all(map(np.array_equal, loss.loss_gradient(mixed, list(z.T.copy())), wanted))


@pytest.mark.parametrize("at", [0, 31, 32, 191, 192, 255, 256, 590])
@pytest.mark.parametrize("classes", [3, 10, 150])
def test_what_is_wrong_in_a_column_is_named(classes, at):
    y, z = case(591, classes)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p[at, classes - 1] = 1.5
    loss = fl.MulticlassLogLoss(sum_tolerance=None)
    for scores in (p, np.asfortranarray(p), list(p.T.copy())):
        with pytest.raises(ValueError, match=rf"`y_pred`.*got 1\.5 at index \({at}, {classes - 1}\)"):
            loss(y, scores)
