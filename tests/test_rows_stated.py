"""What the notes of rowwise losses state beyond the promise of all losses: errors that parameters add, and what is infinite."""

import numpy as np
import pytest
from mpmath import exp, log, mp, mpf, tanh

import fastloss as fl
from tests.accuracy import ulp

ROOM = 4 + np.log2(10)


def true_cross_entropy(z, label, temperature, softcap):
    """(loss, its derivatives by the scores), of mpmath's numbers."""
    t = [mpf(float(x)) / temperature for x in z]
    u = t if softcap is None else [softcap * tanh(x / softcap) for x in t]
    terms = [exp(x - u[label]) for x in u]
    total = sum(terms)
    others = sum(terms[:label] + terms[label + 1 :])
    slopes = [1 if softcap is None else 1 - tanh(x / softcap) ** 2 for x in t]
    p = [term / total for term in terms]
    p[label] = -others / total
    return log(1 + others), [a * b / temperature for a, b in zip(p, slopes, strict=True)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("temperature", "softcap"), [(0.0703125, None), (3.0, None), (1.0, 30.0), (1.5, 50.0)])
def test_temperature_and_softcap_add_no_more_than_is_stated(dtype, temperature, softcap):
    rng = np.random.default_rng(5)
    loss = fl.SoftmaxCrossEntropy(temperature=temperature, softcap=softcap)
    for scale in (0.1, 1.0, 10.0):
        z = (scale * rng.standard_normal((30, 10))).astype(dtype)
        labels = rng.integers(0, 10, 30)
        found, slopes = loss.loss_gradient(labels, z)
        soft = None
        if softcap is None:
            soft = fl.SoftLabelCrossEntropy(temperature=temperature).loss_gradient(np.eye(10, dtype=dtype)[labels], z)
        with mp.workprec(200):
            for i in range(30):
                value, true = true_cross_entropy(z[i], labels[i], mpf(temperature), softcap and mpf(softcap))
                size = np.abs(z[i]).max() / temperature
                room = ROOM + (size if softcap is None else 4 * min(size, softcap))
                assert abs(mpf(float(found[i])) - value) <= room * ulp(value, dtype)
                for one, other in zip(slopes[i], true, strict=True):
                    assert abs(mpf(float(one)) - other) <= 2 * room * ulp(other, dtype)
                if soft is not None:
                    assert abs(mpf(float(soft[0][i])) - value) <= room * ulp(value, dtype)
                    for one, other in zip(soft[1][i], true, strict=True):
                        assert abs(mpf(float(one)) - other) <= 2 * room * ulp(other, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_masked_class_stays_masked_under_a_softcap(dtype):
    z = np.array([[0.0, 1.0, -np.inf]], dtype)
    loss, whole = fl.SoftmaxCrossEntropy(softcap=5.0), z[:, :2]
    for masked, plain in zip(loss.loss_gradient_hessian([0], z), loss.loss_gradient_hessian([0], whole), strict=True):
        assert np.array_equal(masked[..., :2], plain) and not masked[..., 2:].any()
    assert np.isnan(loss.loss([0], np.full((1, 3), -np.inf, dtype))).all()


@pytest.mark.parametrize("name", ["ReverseKlDivergenceWithLogProbs", "ReverseKlDivergenceWithLogits"])
@pytest.mark.parametrize(("dtype", "low"), [("float32", -110.0), ("float64", -800.0)])
def test_a_share_too_small_to_see_is_infinitely_far_from_none(name, dtype, low):
    y, z = np.array([[1, 0, 0]], dtype), np.array([[0, low, low]], dtype)
    assert getattr(fl, name)().loss(y, z) == np.inf


def test_infinite_where_a_target_too_small_to_see_is_ruled_out():
    masked = np.array([[0.0, -np.inf]], "f4")
    assert fl.KlDivergenceWithLogTargets().loss(np.array([[0, -110]], "f4"), masked) == np.inf
    assert fl.Distillation().loss(np.array([[87, -87]], "f4"), masked) == np.inf
    assert fl.Poly1CrossEntropy(epsilon=-1.0).loss([2], np.array([[0, 0, -np.inf]], "f4")) == np.inf


@pytest.mark.parametrize(("dtype", "classes"), [("float32", 1025), ("float32", 5000), ("float64", 1025)])
def test_cumulated_sums_keep_their_digits(dtype, classes):
    rng = np.random.default_rng(0)
    y, p = (rng.dirichlet(np.ones(classes), 2).astype(dtype) for _ in range(2))
    found, slopes = fl.SquaredEarthMoversDistance().loss_gradient(y, p)
    wide = np.cumsum(p.astype(np.longdouble) - y.astype(np.longdouble), axis=1)
    wide[:, -1] = 0
    value, true = (wide**2).sum(1), 2 * np.cumsum(wide[:, ::-1], axis=1)[:, ::-1]
    terms = 2 * np.cumsum(np.abs(wide)[:, ::-1], axis=1)[:, ::-1]
    assert (np.abs(found - value) <= 8 * np.finfo(dtype).eps * value).all()
    assert (np.abs(slopes - true) <= 8 * np.finfo(dtype).eps * terms).all()
