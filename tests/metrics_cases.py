"""What the tests of fastloss.metrics share: both modules side by side, and data in the domain of each function."""

import inspect
import math
import re
import warnings

import numpy as np
import pytest

import fastloss.metrics as ours

theirs = pytest.importorskip("sklearn.metrics")
sklearn = pytest.importorskip("sklearn")
NAMES = [name for name in ours.__all__ if name[0].islower()]
MULTIOUTPUT = [name for name in NAMES if "multioutput" in inspect.signature(getattr(ours, name)).parameters]
REGRESSION = [name for name in NAMES if name in (*MULTIOUTPUT, "max_error") or "deviance" in name or "tweedie" in name]
WEIGHTED = [name for name in NAMES if "sample_weight" in inspect.signature(getattr(ours, name)).parameters]
ULP = 2.0**-52
rng = np.random.default_rng(7)
N = 41


def outcome(module, name, *args, **kwargs):
    """("value", v) or ("error", class, message), and the warnings as (class, message)."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            found = "value", getattr(module, name)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever theirs raises, ours must
            found = "error", type(error).__name__, str(error)
    return found, {(w.category.__name__, str(w.message)) for w in caught if w.category is not RuntimeWarning}


def words(text):
    """Letter by letter, but in any order inside braces: theirs prints sets. Ours may add to the words, in parentheses."""
    return [sorted(part) if "'" in part else part for part in re.split(r"[{}]", text.split(" (`")[0])]


def same(name, *args, ulps=16, message=True, **kwargs):
    """Both give the same: values within so many ULP of the larger of theirs and 1 (scores are 1 - ratio; sums of N terms round N times in
    theirs), or the same error (InvalidParameterError is a ValueError and a TypeError)."""
    (found, heard), (wanted, warned) = outcome(ours, name, *args, **kwargs), outcome(theirs, name, *args, **kwargs)
    ours_of_both = found[:2] == ("error", "InvalidParameterError") and wanted[:2] in (("error", "ValueError"), ("error", "TypeError"))
    assert ours_of_both or (found[:-1] == wanted[:-1] if wanted[0] == "error" else found[0] == wanted[0]), (found, wanted)
    if wanted[0] == "error":
        assert not message or ours_of_both or words(found[2]) == words(wanted[2])
    else:
        value, other = found[1], wanted[1]
        assert np.shape(value) == np.shape(other) and isinstance(value, np.ndarray) == isinstance(other, np.ndarray)
        assert isinstance(value, float | np.ndarray)
        other = np.where(np.asarray(other) < -1e29, -math.inf, other)  # theirs divides by what rounding left of 0
        np.testing.assert_allclose(value, other, rtol=ulps * ULP, atol=ulps * ULP * ("score" in name))
    assert heard == warned
    return found[-1]


def data(name, n=N, dtype=np.float64, outputs=None):
    """(y_true, y_pred) in the domain of a metric."""
    shape = (n,) if outputs is None else (n, outputs)
    if name in REGRESSION:
        return rng.gamma(2.0, 2.0, shape).astype(dtype), rng.gamma(2.0, 2.0, shape).astype(dtype)
    y = rng.integers(0, 2, n)
    y[:2] = 0, 1
    if name in ("zero_one_loss", "hamming_loss"):
        return y, rng.integers(0, 2, n)
    return y, (rng.standard_normal(n) if name == "hinge_loss" else rng.random(n)).astype(dtype)


PROBABILITIES = ["log_loss", "brier_score_loss", "d2_log_loss_score", "d2_brier_score"]
OF_LABELS = ["log_loss", "brier_score_loss", "hinge_loss", "d2_log_loss_score", "d2_brier_score"]
