"""multilabel_margin, the loss of pairs: exact sums and counts in both forms of its kernels and on every backend, and torch's numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from tests.test_rows_backends import COMPILED, NUMBA, PYTHON, on

CLASSES = pytest.mark.parametrize("classes", [2, 3, 10, 65, 128, 129, 700, 1100])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
BACKENDS = pytest.mark.parametrize("backend", [COMPILED, NUMBA, PYTHON], ids=["compiled", "numba", "python"])
FORMS = pytest.mark.parametrize("classes", [3, 10, 129])


def pairs_of(y, z, margin=1.0):
    """(the sum over pairs, in how many of them each class is), exactly."""
    scores, total, owed = [Fraction(x) for x in z.tolist()], Fraction(0), [0] * len(z)
    own, others = np.flatnonzero(y).tolist(), np.flatnonzero(y == 0).tolist()
    for j in own:
        least = scores[j] - Fraction(margin)
        for i in others:
            if scores[i] > least:
                total += scores[i] - least
                owed[i] += 1
                owed[j] -= 1
    return total, owed


def rows(classes, dtype, n=40):
    """Targets and scores: any, ties and gaps of exactly the margin, gaps just beside it, far away, of all sizes; few, no, only targets."""
    rng = np.random.default_rng(classes)
    y = rng.random((n, classes)) < np.minimum(rng.choice([0.1, 0.3, 0.7], (n, 1)), 6 / classes)
    y[3], y[4], y[5] = False, True, np.arange(classes) == classes - 1
    z = 2 * rng.standard_normal((n, classes))
    z[::5] = np.round(2 * z[::5]) / 2
    z[1::5] = np.round(z[1::5]) * (1 + np.finfo(dtype).eps * rng.integers(-2, 3, z[1::5].shape))
    z[2::5] += 1000
    z[4::5] *= 10.0 ** rng.integers(-30, 30, z[4::5].shape)
    return y.astype(dtype), z.astype(dtype)


@BACKENDS
@DTYPES
@CLASSES
def test_exact(classes, dtype, backend):
    y, z = rows(classes, dtype, 40 if classes < 200 else 10)
    for margin in (1.0, 0.0) if classes < 200 else (1.0,):
        value, gradient = on(backend, lambda margin=margin: fl.MultilabelMargin(margin=margin).loss_gradient(y, z))
        for i in range(len(z)):
            total, owed = pairs_of(y[i], z[i], margin)
            true = total / classes
            unit = Fraction(float(np.spacing(np.dtype(dtype).type(max(float(true), float(np.finfo(dtype).smallest_normal))))))
            assert abs(Fraction(float(value[i])) - true) <= 4 * unit, (i, value[i], float(true))
            assert np.array_equal(gradient[i], np.array(owed, dtype) / np.dtype(dtype).type(classes)), i
    assert not value[3:5].any() and not gradient[3:5].any()


@CLASSES
@DTYPES
def test_outputs_agree(dtype, classes):
    """The value without a gradient, a gradient in the place of the scores, any layout, hits of any dtype: the same bits."""
    y, z = rows(classes, dtype, 75)
    loss = fl.MultilabelMargin()
    value, gradient = loss.loss_gradient(y, z)
    assert np.array_equal(loss.loss(y, z), value) and not loss.loss_gradient_hessian(y, z)[2].any()
    assert loss(y, z) == float(sum(map(Fraction, value.tolist())) / len(value))
    for hits in (y.astype(bool), y.astype("i1"), np.asfortranarray(y), list(y.T.copy())):
        assert np.array_equal(loss.gradient(hits, z), gradient)
    for scores in (z.copy(), np.asfortranarray(z), np.repeat(z, 2, 1)[:, ::2]):
        assert loss.gradient(y, scores, gradient_out=scores) is scores and np.array_equal(scores, gradient)
    weights = np.arange(75.0)
    assert np.array_equal(loss.gradient(y, z, weights), (weights[:, None].astype(dtype) * gradient))


def test_streams_past_the_caches():
    """Outputs larger than the caches are stored in another way."""
    y, z = (np.tile(part, (160, 1)) for part in rows(700, "float32", 75))
    y, z = y[:6000], z[:6000]
    gradient = fl.MultilabelMargin().gradient(y, z)
    assert gradient.nbytes > 1 << 24 and np.array_equal(gradient[:75], fl.MultilabelMargin().gradient(y[:75], z[:75]))
    assert np.array_equal(gradient, np.tile(gradient[:75], (80, 1)))


@pytest.mark.parametrize("classes", [3, 33, 129])
@DTYPES
def test_nan_anywhere_is_of_its_row_alone(dtype, classes):
    y, z = rows(classes, dtype, 6)
    y[1] = np.arange(classes) % 3 == 0
    clean = fl.MultilabelMargin().loss_gradient(y, z)
    for j in range(classes):
        for k in range(2):
            given = [y.copy(), z.copy()]
            given[k][1, j] = np.nan
            for part, before in zip(fl.MultilabelMargin().loss_gradient(*given), clean, strict=True):
                assert np.isnan(part[1]).all() and np.array_equal(np.delete(part, 1, 0), np.delete(before, 1, 0))
    y[1], z[1, -1] = 0, np.nan  # no pairs
    assert np.isnan(fl.multilabel_margin(y, z))


INF = np.inf


@BACKENDS
@FORMS
@pytest.mark.parametrize("hits, scores, total, owed", [
    ((1, 0), (0.0, -INF), 0.0, (0, 0)), ((1, 0), (INF, 0.0), 0.0, (0, 0)), ((1, 0, 0), (-INF, 0.0, 1.0), INF, (-2, 1, 1)),
    ((1, 0, 0), (0.0, INF, 0.5), INF, (-2, 1, 1)), ((1, 0), (INF, INF), np.nan, (np.nan, np.nan)),
    ((1, 0), (-INF, -INF), np.nan, (np.nan, np.nan)), ((1, 1, 0), (0.0, -INF, -INF), np.nan, (np.nan,) * 3),
    ((1, 1), (-INF, INF), 0.0, (0, 0)), ((0, 0), (-INF, INF), 0.0, (0, 0)), ((1, 0), (0.0, 3e38), 3e38, (-1, 1)),
])  # fmt: skip
def test_infinities(hits, scores, total, owed, classes, backend):
    """A class of -inf that is no target is not there."""
    y, z = np.zeros((2, classes), "f4"), np.full((2, classes), -INF, "f4")
    y[:, : len(hits)], z[:, : len(scores)] = hits, scores
    masks = 1 in hits and len(hits) < classes and -INF in np.array(scores)[np.array(hits) == 1]  # against these, a mask is NaN
    value, gradient = on(backend, lambda: fl.MultilabelMargin().loss_gradient(y, z))
    if masks:
        assert np.isnan(value).all() and np.isnan(gradient).all()
        return
    np.testing.assert_allclose(value, np.float32(total) / classes, rtol=1e-6)
    np.testing.assert_allclose(gradient[:, : len(owed)], np.tile(np.divide(owed, classes), (2, 1)), rtol=1e-6)
    assert np.isnan(gradient).any() == np.isnan(total) and (np.isnan(total) or not gradient[:, len(owed) :].any())


@FORMS
@pytest.mark.parametrize("dtype, power", [("float32", 122), ("float64", 1018)])
def test_near_the_end_of_the_range(classes, dtype, power):
    """As the same numbers in the middle of it: rows of the former go another way."""
    rng = np.random.default_rng(classes)
    y, z = np.arange(classes) % 70 == 0, 0.125 * rng.standard_normal((9, classes)).astype(dtype)
    z[:, 0], z[:, 1], z[:, 2] = 4.5, 5.0, -6.0
    y = np.tile(y, (9, 1))
    for margin in (0.0, 2.0**-10):
        value, gradient = fl.MultilabelMargin(margin=margin).loss_gradient(y, z)
        far, slope = fl.MultilabelMargin(margin=math.ldexp(margin, power)).loss_gradient(y, np.ldexp(z, power))
        np.testing.assert_allclose(np.ldexp(far, -power), value, rtol=2 * np.finfo(dtype).eps)
        assert np.array_equal(slope, gradient)


@CLASSES
@DTYPES
def test_torch(dtype, classes):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    y, z = rng.random((40, classes)) < 0.3, rng.standard_normal((40, classes)).astype(dtype)
    listed = np.full(y.shape, -1)
    for i, row in enumerate(y):
        listed[i, : row.sum()] = np.flatnonzero(row)
    value, gradient = fl.MultilabelMargin().loss_gradient(y, z)
    for compute in (dtype, "float64"):
        score = torch.tensor(z.astype(compute), requires_grad=True)
        theirs = torch.nn.functional.multilabel_margin_loss(score, torch.tensor(listed), reduction="none")
        theirs.sum().backward()
        np.testing.assert_allclose(value, theirs.detach().numpy(), rtol=classes * np.finfo(dtype).eps)  # torch adds term to term
    # in float64: in float32 torch takes some gaps near the margin for others
    np.testing.assert_allclose(gradient, score.grad.numpy(), rtol=1e-6 if dtype == "float32" else 1e-12, atol=classes * 2.0**-52)


def test_what_is_refused():
    y, z = np.eye(4), np.zeros((4, 4))
    y[2, 1] = 0.5
    with pytest.raises(fl.InputError, match=r"`y_true` of `multilabel_margin` must be 0 or 1 \(or bool\), got 0\.5 at index \(2, 1\)"):
        fl.multilabel_margin(y, z)
    with pytest.raises(ValueError, match="`margin` of `multilabel_margin` must be a real number"):
        fl.MultilabelMargin(margin=np.inf)
