"""Cython, Numba and plain Python run the same definitions; instruction sets of one bit family agree to the bit; a forced choice holds."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends
from fastloss.engine.numba_backend import NumbaBackend
from fastloss.engine.python_backend import PythonBackend
from fastloss.losses import REGISTRY
from tests.accuracy import pairs

NAMES = [name for name, definition in REGISTRY.items() if not definition.root]

# Run in a process of its own, with a backend or instruction set forced: everything computed, as hexadecimal text.
PROGRAM = """
import json, sys
import numpy as np
import fastloss as fl
from tests.accuracy import pairs
from fastloss.losses import REGISTRY
found = {"backend": fl.info()["backend"], "isa": fl.info()["isa"], "bits": fl.info()["bits"]}
for name, definition in REGISTRY.items():
    if definition.root:
        continue
    for dtype in ("float32", "float64"):
        y, p = pairs(definition, dtype)
        loss = fl.get(name)
        keep = np.isfinite(loss.loss(y, p))
        arrays = loss.loss_gradient_hessian(y[keep], p[keep])
        outputs = (np.nan_to_num(array, nan=7.0).tobytes().hex() for array in arrays)
        found[f"{name} {dtype}"] = [float(loss(y[keep], p[keep])).hex(), *outputs]
print(json.dumps(found))
"""


def run(code=PROGRAM, **environment):
    clean = {key: value for key, value in os.environ.items() if key not in ("FASTLOSS_BACKEND", "FASTLOSS_ISA")}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**clean, **environment}, cwd=os.getcwd())


def results(**environment):
    done = run(**environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


LEVELS = list(backends.compiled_levels())


@pytest.mark.parametrize("isa", LEVELS)
def test_each_instruction_set(isa):
    """Every level that can run here runs when forced; those with fma agree with the best to the bit, the rest to a few ULP."""
    found, best = results(FASTLOSS_ISA=isa), results(FASTLOSS_ISA=LEVELS[-1])
    assert (found.pop("backend"), found.pop("isa")) == ("cython", isa) and len(found) == 2 * len(NAMES) + 1
    if found["bits"] == best["bits"]:
        assert {key: value for key, value in best.items() if key in found} == found
    else:
        for key, value in found.items():
            if key != "bits":
                assert float.fromhex(value[0]) == pytest.approx(float.fromhex(best[key][0]), rel=1e-5 if "float32" in key else 1e-12), key


def test_compiled_is_the_default():
    assert run("import fastloss as fl; print(fl.info()['backend'], fl.info()['isa'])").stdout.split() == ["cython", LEVELS[-1]]


@pytest.mark.parametrize("environment, words", [
    ({"FASTLOSS_BACKEND": "fortran"}, "FASTLOSS_BACKEND must be one of cython, numba, python, got 'fortran'"),
    ({"FASTLOSS_ISA": "x86-64-v9"}, "FASTLOSS_ISA=x86-64-v9 cannot run here; what was built and can run:"),
    ({"FASTLOSS_ISA": "x86-64-v2", "FASTLOSS_BACKEND": "numba"}, "it says nothing with FASTLOSS_BACKEND=numba"),
    ({"FASTLOSS_NUM_THREADS": "many"}, "FASTLOSS_NUM_THREADS must be a whole number from 1, got 'many'"),
])  # fmt: skip
def test_a_forced_choice_never_falls_back(environment, words):
    done = run("import fastloss as fl, numpy as np; fl.mse(np.ones(5000), np.ones(5000))", **environment)
    assert done.returncode == 1 and words in done.stderr
    shown = run("import sys; from fastloss.cli import main; sys.exit(main(['info']))", **environment)
    assert (shown.returncode, shown.stdout) == (2, "") and words in shown.stderr


HIDE = """
import sys, importlib.abc
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in HIDDEN:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
import fastloss as fl
"""


def test_without_compiled_kernels_numba_serves_and_says_so():
    hidden = HIDE.replace("HIDDEN", "('fastloss.kernels.cpu',)")
    done = run(hidden + "import numpy as np; print(fl.info()['backend'], fl.info()['note']); print(fl.mse(np.ones(3), np.zeros(3)))")
    assert done.stdout.startswith("numba the compiled kernels are missing in ") and done.stdout.endswith("1.0\n")
    forced = run(hidden + "fl.mse([1.0], [2.0])", FASTLOSS_BACKEND="cython")
    assert "no compiled kernels are installed" in forced.stderr and forced.returncode == 1


def fresh(name):
    """A configured loss that has no kernels bound yet."""
    return type(fl.get(name))(**fl.get(name).parameters)


@pytest.mark.parametrize("backend", [NumbaBackend, PythonBackend], ids=["numba", "python"])
@pytest.mark.parametrize("name", NAMES)
def test_definitions_agree_across_backends(name, backend, monkeypatch):
    """In float32 all are within the policy's 4 ULP of the truth, so within 8 of each other."""
    y, p = pairs(REGISTRY[name], "float32")
    y = np.round(y) if name == "logistic" else y  # the gradient of soft labels cancels, see tests/references.py
    ours = fresh(name).loss_gradient(y, p)
    cost = [fresh(name)(y, p, nan="skip", reduction="sum"), fresh(name)(y, p, np.ones(len(y)), nan="skip", reduction="sum")]
    monkeypatch.setattr(backends, "current", backend)
    theirs = fresh(name).loss_gradient(y, p)
    for mine, other in zip(ours, theirs, strict=True):
        with np.errstate(invalid="ignore"):
            scale = np.spacing(np.maximum(np.abs(mine), np.abs(other)))
            wrong = ~((mine == other) | (np.isnan(mine) & np.isnan(other)) | (np.abs(mine.astype(float) - other) <= 8 * scale))
        assert not wrong.any(), (name, y[wrong][:3], p[wrong][:3], mine[wrong][:3], other[wrong][:3])
    for mine, weights in zip(cost, (None, np.ones(len(y))), strict=True):
        assert fresh(name)(y, p, weights, nan="skip", reduction="sum") == pytest.approx(mine, rel=1e-6)


@pytest.mark.parametrize("backend", [NumbaBackend, PythonBackend], ids=["numba", "python"])
def test_other_backends_sum_exactly(backend, monkeypatch):
    from fractions import Fraction

    monkeypatch.setattr(backends, "current", backend)
    rng = np.random.default_rng(0)
    n = 40_000 if backend is NumbaBackend else 2_000
    y, p, w = rng.standard_normal(n), np.exp(9 * rng.standard_normal(n)), rng.random(n)
    loss = fresh("absolute_error")
    terms = loss.loss(y, p) * w
    want = sum(map(Fraction, terms.tolist()), Fraction(0)) / sum(map(Fraction, w.tolist()), Fraction(0))
    costs = {loss(y, p, w, n_threads=threads) for threads in (1, 2, 5)}
    assert costs == {want.numerator / want.denominator}
