"""benchmarks.ulp: its references are true, its errors are what they are called, and what it recorded is what README shows."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp, mpf

from benchmarks.ulp import measure, points, record, references
from fastloss.compiler.subset import VOCABULARY
from fastloss.engine import backends
from tests.test_math import TRUE

INEXACT = sorted(set(VOCABULARY) - set(references.EXACT))


def sample(name, dtype, n=400):
    """Arguments of the domain for which mpmath has a finite, nonzero result, and that result."""
    rng = np.random.default_rng(1)
    a, b = points.pairs(name, dtype, rng, n) if VOCABULARY[name] == 2 else 2 * (points.directed(name, dtype, rng, n),)
    size = 1e4 if name != "log_ratio" else 1e300
    keep = np.isfinite(a) & np.isfinite(b) & (np.abs(a) < (size if VOCABULARY[name] == 1 else np.inf)) & (a != 0) & (b != 0)
    keep &= (a > 0) | (name not in points.NONNEGATIVE)
    keep &= (a > -1) | (name not in ("log1p", "log1pmx"))
    keep &= (b > 0) | (name != "kl_div")
    keep &= (np.minimum(a, b) > -1) | (name != "log1p_difference")
    with np.errstate(all="ignore"):
        if name == "pow":
            keep &= np.abs(b.astype(float) * np.log(np.abs(a).astype(float))) < 1e4
        if name == "exp_product":
            keep &= np.abs(a.astype(float) * b.astype(float)) < 1e4
    a, b = a[keep], b[keep]
    with mp.workprec(2500):
        true = [TRUE[name](*map(mpf, pair[: VOCABULARY[name]])) for pair in zip(a.tolist(), b.tolist(), strict=True)]
    return a, b, true


@pytest.mark.parametrize("name", INEXACT)
def test_references_for_float32(name):
    a, b, true = sample(name, "float32")
    assert len(a) > 100
    with np.errstate(all="ignore"):
        found = references.SINGLE[name](*(part.astype(float) for part in (a, b)[: VOCABULARY[name]]))
    for x, y, got, want in zip(a, b, found.tolist(), true, strict=True):
        if mpf(2) ** -150 < abs(want) < mpf(2) ** 128:
            assert abs(got - want) <= abs(want) * mpf(2) ** -35, (x, y)
        else:
            assert abs(got) <= 2.0**-149 or abs(got) > 3.4e38, (x, y)


@pytest.mark.parametrize("name", INEXACT)
def test_references_for_float64(name):
    a, b, true = sample(name, "float64")
    assert len(a) > 100
    nearest, rest = references.in_double(name, *(a, b)[: VOCABULARY[name]])
    for x, y, n, r, want in zip(a, b, nearest.tolist(), rest.tolist(), true, strict=True):
        if math.isinf(n):
            assert abs(want) > mpf(2) ** 1024 - mpf(2) ** 970, (x, y)
            continue
        unit = mpf(2) ** max(math.frexp(n)[1] - 53, -1074) if n else mpf(2) ** -1074
        assert abs(r) <= 0.5 and abs((want - n) / unit - r) < 1e-9, (x, y)


@pytest.mark.skipif(backends.current().name != "cython", reason="what is measured are compiled kernels")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_errors_are_seen(dtype, monkeypatch):
    """A module whose exp is off by known amounts is found out, to the fraction of a unit and of the sign of a zero."""
    a = np.linspace(-3, 3, 1000).astype(dtype)
    real = np.dtype(dtype).type

    class Off:
        change = None

        def apply_math(self, name, a, b, out):
            backends.current().module.apply_math(name, a, b, out)
            self.change(out)

    def found(change, arguments=a):
        off = Off()
        off.change = change
        monkeypatch.setattr(measure, "modules", lambda: {"x86-64-v3": backends.current().module, "x86-64-v4": off})
        return measure.measure("exp", dtype, arguments, arguments)["x86-64-v4"]

    def spoil(index, value):
        return lambda out: out.__setitem__(index, value)

    right = found(lambda out: None)
    assert 0.3 < right.ulp < 1.0 and right.points == 1000 and right.differing == right.zero_signs == 0
    for units in (1, 7):
        worse = found(lambda out, units=units: out.__setitem__(700, out[700] + units * np.spacing(out[700])))
        assert units - 1.0 < worse.ulp < units + 1.0 and worse.differing == 1
        assert units == 1 or worse.argument == (float(a[700]),)
    for value in (math.nan, math.inf, -math.inf):
        assert found(spoil(3, real(value))).ulp == math.inf
    special = points.special(dtype)
    nan, infinite = int(np.flatnonzero(np.isnan(special))[0]), int(np.flatnonzero(special == np.inf)[0])
    assert found(spoil(nan, real(1.0)), special).ulp == found(spoil(infinite, np.finfo(dtype).max), special).ulp == math.inf
    below = np.full(9, -1000.0, dtype)
    assert found(spoil(4, real(-0.0)), below).zero_signs == 1
    assert found(spoil(4, np.finfo(dtype).smallest_subnormal), below).ulp == 1.0, "a subnormal's unit is fixed"


def test_patterns_are_all_there():
    """Every float32 once, by blocks; a stride takes its share."""
    blocks = list(measure.tasks("exp", "float32", 0, 1))
    ends = [(start, stop) for _, _, kind, start, stop, *_ in blocks if kind == "patterns"]
    assert ends[0][0] == 0 and ends[-1][1] == 2**32 and all(a[1] == b[0] for a, b in zip(ends, ends[1:], strict=False))
    bits = points.patterns("float32", 2**31 - 3, 2**31 + 3, 1).view(np.uint32)
    assert bits.tolist() == list(range(2**31 - 3, 2**31 + 3))
    assert (
        sum(len(points.patterns("float32", *block[3:])) for block in measure.tasks("exp", "float32", 0, 2**20) if block[2] == "patterns")
        == 2**12
    )


def test_a_larger_error_is_a_complaint():
    found = measure.Found()
    found.ulp, found.argument = 0.9, (1.0,)
    known = {"x86-64-v4": {"float32": {"exp": record.entry(found, True)}}}
    assert record.broken("exp", "float32", "x86-64-v4", found, known) is None
    assert "nothing is recorded" in record.broken("log", "float32", "x86-64-v4", found, known)
    found.ulp = 1.0
    assert "1.000 ULP at (1.0,)" in record.broken("exp", "float32", "x86-64-v4", found, known)
    found.ulp, found.differing = 0.9, 2
    assert "2 results differ" in record.broken("exp", "float32", "x86-64-v4", found, known)
    found.differing, found.zero_signs = 0, 3
    assert "3 zeros" in record.broken("exp", "float32", "x86-64-v4", found, known)


def test_the_command_names_the_extra_that_it_lacks():
    script = "import runpy, sys; sys.modules['gmpy2'] = None; runpy.run_module('benchmarks.ulp', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 1
    assert done.stderr == 'python -m benchmarks.ulp needs gmpy2, which is not installed: pip install -e ".[test]"\n'
