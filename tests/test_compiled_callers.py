"""Compiled callers: fastloss.h and fastloss's .pxd, from a small foreign package of Cython and C that is built here."""

import gc
import shutil
import subprocess
import sys
import sysconfig
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends, specs
from fastloss.engine.owndata import class_of, document_of, from_document
from fastloss.losses.spec import OWN

COMPILED = backends.current().name == "cython"
needs_kernels = pytest.mark.skipif(not COMPILED, reason="losses for C are the compiled kernels'")

CYTHON = """
# cython: language_level=3
from fastloss cimport *

cdef class Held:
    cdef fastloss_loss loss
    def __cinit__(self, spec):
        fastloss_get_object(spec, &self.loss)

    def one(self, double y, double p):
        with nogil:
            value, gradient, hessian = (
                fastloss_value(&self.loss, y, p), fastloss_gradient(&self.loss, y, p), fastloss_hessian(&self.loss, y, p))
        return value, gradient, hessian

    def outputs64(self, const double[::1] y, const double[::1] p, double[::1] l, double[::1] g, double[::1] h):
        with nogil:
            fastloss_outputs_f64(&self.loss, &y[0], &p[0], &l[0] if l is not None else NULL, &g[0] if g is not None else NULL,
                                 &h[0] if h is not None else NULL, y.shape[0])

    def outputs32(self, const float[::1] y, const float[::1] p, float[::1] l, float[::1] g, float[::1] h):
        with nogil:
            fastloss_outputs_f32(&self.loss, &y[0], &p[0], &l[0] if l is not None else NULL, &g[0] if g is not None else NULL,
                                 &h[0] if h is not None else NULL, y.shape[0])

    def cost64(self, const double[::1] y, const double[::1] p, const double[::1] w, double[::1] g, Py_ssize_t n):
        cdef double cost
        cdef Py_ssize_t at
        cdef int status
        with nogil:
            status = fastloss_cost_f64(&self.loss, &y[0], &p[0], &w[0] if w is not None else NULL, &g[0] if g is not None else NULL,
                                       n, &cost, &at)
        return status, cost, at

    def cost32(self, const float[::1] y, const float[::1] p, const double[::1] w, float[::1] g, Py_ssize_t n):
        cdef double cost
        cdef Py_ssize_t at
        cdef int status
        with nogil:
            status = fastloss_cost_f32(&self.loss, &y[0], &p[0], &w[0] if w is not None else NULL, &g[0] if g is not None else NULL,
                                       n, &cost, &at)
        return status, cost, at

def named(bytes spec):
    cdef fastloss_loss loss
    fastloss_get(spec, &loss)
    return fastloss_value(&loss, 1.0, 3.0)
"""

C = """
#include <fastloss.h>

static PyObject *huber(PyObject *self, PyObject *arguments) {
    fastloss_loss loss;
    double y[3] = {0, 1, 2}, p[3] = {0.5, 5, 2}, cost;
    ptrdiff_t at;
    const char *spec;
    if (!PyArg_ParseTuple(arguments, "s", &spec) || fastloss_get(spec, &loss) < 0) return NULL;
    if (fastloss_cost_f64(&loss, y, p, NULL, NULL, 3, &cost, &at) != FASTLOSS_OK) return NULL;
    return PyFloat_FromDouble(cost);
}
/* (status, is the cost 5?) of weights that are subnormal, where the caller has the processor take such numbers for 0 */
static PyObject *flushed(PyObject *self, PyObject *arguments) {
    fastloss_loss loss;
    double y[2] = {0, 0}, p[2] = {1, 3}, w[2] = {5e-324, 5e-324}, cost;
    ptrdiff_t at;
    int status;
    if (fastloss_get("mse", &loss) < 0) return NULL;
#ifdef __SSE2__
    unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040);
#endif
    status = fastloss_cost_f64(&loss, y, p, w, NULL, 2, &cost, &at);
#ifdef __SSE2__
    __builtin_ia32_ldmxcsr(before);
#endif
    return Py_BuildValue("ii", status, cost == 5.0);
}
static PyMethodDef methods[] = {{"huber", huber, METH_VARARGS, 0}, {"flushed", flushed, METH_NOARGS, 0}, {0, 0, 0, 0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "plain", 0, -1, methods};
PyMODINIT_FUNC PyInit_plain(void) { return PyModule_Create(&module); }
"""

SETUP = """
from Cython.Build import cythonize
from setuptools import Extension, setup
import fastloss
flags = {"include_dirs": [fastloss.get_include()], "extra_compile_args": ["-Wall", "-Werror=incompatible-pointer-types"]}
parts = [Extension(name, [source], **flags) for name, source in (("foreign", "foreign.pyx"), ("plain", "plain.c"))]
setup(name="foreign", ext_modules=cythonize(parts, include_path=[fastloss.get_include()], language_level=3, quiet=True))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("foreign")
    for name, text in {"foreign.pyx": CYTHON, "plain.c": C, "setup.py": SETUP}.items():
        (folder / name).write_text(text)
    built = subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    sys.path.insert(0, str(folder))
    try:
        import foreign
        import plain

        yield foreign, plain
    finally:
        sys.path.remove(str(folder))


SPECS = ["huber:delta=1.5", "log_loss", "logistic", "tweedie_deviance:power=1.5", "squared_error", "hinge", "focal:gamma=1.5"]


def data(dtype, spec, n=3001, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.01, 0.99, n).astype(dtype)
    y = (rng.random(n) < 0.5).astype(dtype)
    return (2 * y - 1 if spec == "hinge" else y), p


@needs_kernels
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cython_gets_the_bits_that_python_gets(package, spec, dtype):
    held, loss = package[0].Held(spec), fl.get(spec)
    name = "32" if dtype == np.float32 else "64"
    y, p = data(dtype, spec)
    expected = loss.loss_gradient_hessian(y, p)
    for wanted in range(1, 8):
        outs = [np.full(p.size, -7, dtype) if wanted >> o & 1 else None for o in range(3)]
        getattr(held, "outputs" + name)(y, p, *outs)
        for out, right in zip(outs, expected, strict=True):
            assert out is None or out.tobytes() == right.tobytes()
    inplace = p.copy()
    getattr(held, "outputs" + name)(y, inplace, None, inplace, None)
    assert inplace.tobytes() == expected[1].tobytes()
    for w in (None, np.random.default_rng(1).random(p.size)):
        g = np.empty_like(p)
        cost, gradient = loss.cost_gradient(y, p, w)
        cost_of = getattr(held, "cost" + name)
        assert cost_of(y, p, w, None, p.size) == (0, loss(y, p, w), 0)
        assert cost_of(y, p, w, g, p.size) == (0, cost, 0)
        assert g.tobytes() == gradient.tobytes()
    if dtype == np.float64:
        assert held.one(y[0], p[0]) == tuple(values[0] for values in expected)


@needs_kernels
def test_costs_are_correctly_rounded_where_python_has_to_decide(package):
    """Many small data sets: about one quotient in a hundred is too near to the middle between two doubles for the quick way."""
    held, rng = package[0].Held("squared_error"), np.random.default_rng(3)
    for _ in range(500):
        y, p, w = rng.random(5), rng.random(5), rng.random(5)
        losses = [Fraction(value) for value in fl.SquaredError().loss(y, p)]
        terms = [Fraction(float(a) * b) for a, b in zip(losses, w, strict=True)]
        assert held.cost64(y, p, w, None, 5)[1] == float(sum(terms) / sum(map(Fraction, w.tolist())))
    assert held.cost64(np.zeros(2), np.full(2, 2.0**-540), None, None, 2)[1] == 0.0
    assert held.cost64(np.zeros(2), np.full(2, 2.0**-530), None, None, 2)[1] == 2.0**-1060, "subnormal"


@needs_kernels
def test_status_says_what_was_wrong_and_where(package):
    held, ones = package[0].Held("log_loss"), np.ones(4)
    bad, half = np.array([0.0, 1.0, 2.0, 1.0]), np.full(4, 0.5)
    status = {name: number for number, name in enumerate(["ok", "nothing", "target", "prediction", "weight"])}
    for g in (None, np.empty(4)):
        assert held.cost64(bad, half, None, g, 4)[::2] == (status["target"], 2)
        assert held.cost64(ones, np.array([0.5, 1.5, 0.5, 2.0]), None, g, 4)[::2] == (status["prediction"], 1)
        assert held.cost64(bad, half, np.array([1.0, 1.0, 1.0, -1.0]), g, 4)[::2] == (status["target"], 2)
        assert held.cost64(bad, half, np.array([1.0, np.nan, 1.0, -1.0]), g, 4)[::2] == (status["weight"], 1)
        found = held.cost64(ones, half, np.zeros(4), g, 4)
        assert found[0] == status["nothing"] and np.isnan(found[1])
        assert held.cost64(ones, half, None, g, 0)[0] == status["nothing"]
        found = held.cost64(np.array([np.nan, 1.0, 1, 1]), half, None, g, 4)
        assert found[0] == status["ok"] and np.isnan(found[1])
        assert held.cost64(ones, np.array([0.5, 0.0, 0.5, 0.5]), None, g, 4)[:2] == (status["ok"], np.inf)


@needs_kernels
def test_plain_c(package):
    foreign, plain = package
    assert plain.huber("huber:delta=1") == fl.huber(np.arange(3.0), np.array([0.5, 5, 2]))
    assert foreign.named(b"mse") == 4.0
    with pytest.raises(ValueError, match="unknown loss"):
        plain.huber("hubber")
    with pytest.raises(ValueError, match="delta"):
        foreign.Held("huber:delta=-1")
    with pytest.raises(TypeError, match="single predictions"):
        foreign.Held("cross_entropy")
    with pytest.raises(TypeError, match="root of a mean"):
        foreign.Held("rmse")
    with pytest.raises(TypeError, match="single predictions"):
        foreign.Held(fl.Dice())
    assert foreign.Held(fl.Huber(2.0)).one(0.0, 1.0) == (0.5, 1.0, 1.0)


@needs_kernels
def test_the_callers_floating_point_environment_decides_nothing(package):
    assert package[1].flushed() == (0, 1)


@pytest.mark.parametrize("compiler, standard", [("gcc", "c99"), ("gcc", "gnu17"), ("g++", "c++11"), ("g++", "c++20")])
def test_the_header_compiles_without_warnings(compiler, standard, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler} here")
    source = tmp_path / ("caller.cpp" if compiler == "g++" else "caller.c")
    source.write_text("#include <fastloss.h>\nint main(void) { return 0; }\n")
    folders = ["-I", fl.get_include(), "-isystem", sysconfig.get_path("include")]
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
    done = subprocess.run([compiler, f"-std={standard}", *warnings, *folders, "-fsyntax-only", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs_kernels
def test_an_own_loss_outlives_what_defined_it(package):
    """Its address is that of code that is kept as long as the process lives."""
    pytest.importorskip("numba")
    from tests.own_losses import Cauchy

    definition = from_document(document_of(Cauchy.definition) | {"name": "cauchy_for_c", "aliases": []})
    held, wanted = package[0].Held(class_of(definition)(scale=2.0)), Cauchy(2.0).loss_gradient_hessian(1.0, 4.0)
    OWN.pop("cauchy_for_c")
    del definition
    specs.forget()
    gc.collect()
    assert held.one(1.0, 4.0) == pytest.approx(wanted, rel=1e-15)


@needs_kernels
def test_threads_may_call_at_once(package):
    from concurrent.futures import ThreadPoolExecutor

    held = package[0].Held("logistic")
    y, p = data(np.float64, "logistic", n=50_000)
    expected = fl.logistic(y, p)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: held.cost64(y, p, None, None, p.size)[1], range(16)))
    assert found == {expected}


@pytest.mark.skipif(COMPILED, reason="there are compiled kernels")
def test_without_compiled_kernels_it_says_so():
    with pytest.raises(RuntimeError, match="fastloss info"):
        fl.Huber().c_loss()
