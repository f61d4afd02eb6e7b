"""Flush-to-zero or a rounding mode that another library has set changes no result; and it is still set afterwards."""

import ctypes
import ctypes.util
import json
import platform
import subprocess
import sys

import pytest

from fastloss.engine import backends

# Where a fenv_t of glibc has the control word of vector arithmetic, the bits that flush subnormals, and fesetround's FE_UPWARD.
LAYOUT = {"x86_64": (28, 0x8040, 0x800), "aarch64": (0, 1 << 24, 0x400000)}
MACHINE = platform.machine()


def set_environment(mode):
    """In this thread from here on, "flush": subnormal results and operands are 0; "upward": results are rounded up; "default"."""
    math = ctypes.CDLL(ctypes.util.find_library("m"))
    offset, flush, upward = LAYOUT[MACHINE]
    memory = (ctypes.c_uint8 * 64)()
    math.fegetenv(memory)
    word = ctypes.c_uint32.from_buffer(memory, offset)
    word.value = word.value | flush if mode == "flush" else word.value & ~flush
    math.fesetenv(memory)
    math.fesetround(upward if mode == "upward" else 0)


def environment():
    """What is set, seen from what it does. (Not written as constants: Python would compute those beforehand.)"""
    least, one, third = float("5e-324"), float("1"), float("3")
    return "flush" if least * one == 0.0 else "upward" if one / third != 6004799503160661 * 2.0**-54 else "default"


def results():
    """Everything computed, as bytes; by objects and threads that are made here."""
    import numpy as np

    import fastloss as fl
    from fastloss.losses import REGISTRY
    from tests.accuracy import pairs

    mode, found = sys.argv[1], {}
    for name, definition in REGISTRY.items():
        for dtype in ("float32", "float64"):
            y, p = pairs(definition, dtype)
            keep = np.isfinite(fl.get(definition.base or name).loss(y, p))
            y, p = (np.resize(values[keep], 9000) for values in (y, p))
            w = np.resize([1.0, 0.1, 1e-310, 3.0], 9000)
            tiny = np.full(9000, 3e-310 if dtype == "float64" else 1e-44, dtype)
            weight = np.float32(1e-44)
            set_environment(mode)
            loss = fl.get(name)
            costs = [loss(y[:900], p[:900]), loss(y[:900], p[:900], w[:900]), loss(y, p, n_threads=2), loss(y, p, w, n_threads=2)]
            outputs = []
            if not definition.root:
                outputs += loss.loss_gradient_hessian(y, p, w, n_threads=2)
                outputs += [loss.cost_gradient(y, p, w, n_threads=2)[1]]
            if definition.family == "regression":
                zero = np.zeros_like(tiny)
                costs += [loss(zero, tiny), loss(zero[:9], tiny[:9]), loss(zero[:9], tiny[:9], w[:9])]
                costs += [loss(zero, 0.1), loss(tiny[:9], 1e-44), loss(zero, tiny, weight)]
            costs += fl.evaluate([name], y, p).values()
            still = environment()
            set_environment("default")
            assert still == mode
            found[f"{name} {dtype}"] = [cost.hex() for cost in costs] + [array.tobytes().hex() for array in outputs]
    for name in ("gamma_deviance", "poisson_deviance"):  # 0 is outside the domain of the prediction, the least subnormal inside
        for p in (0.0, np.finfo(np.float32).smallest_subnormal):
            y, p = np.ones(5, np.float32), np.full(5, p, np.float32)
            set_environment(mode)
            try:
                cost = fl.get(name)(y, p)
            except fl.InputError as error:
                cost = str(error)
            set_environment("default")
            found[f"{name} {p[0]}"] = cost if isinstance(cost, str) else cost.hex()
    return found


def results_under(mode):
    code = "import json\nfrom tests.test_environment import results\nprint(json.dumps(results()))"
    done = subprocess.run([sys.executable, "-c", code, mode], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def default():
    return results_under("default")


@pytest.mark.skipif(backends.current().name != "cython", reason="only compiled code can set the environment")
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc" or MACHINE not in LAYOUT, reason="how to set it is not known here")
@pytest.mark.parametrize("mode", ["flush", "upward"])
def test_nothing_changes(mode, default):
    found = results_under(mode)
    changed = [key for key in default if found[key] != default[key]]
    assert found.keys() == default.keys() and not changed


def test_subnormal_costs_are_there(default):
    """That the test above tests: some costs of the default environment are subnormal."""
    costs = [float.fromhex(value) for values in default.values() if isinstance(values, list) for value in values if value.startswith("0x")]
    assert sum(0.0 < cost < 2.0**-1022 for cost in costs) > 5
