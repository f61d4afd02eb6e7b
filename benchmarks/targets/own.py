"""Losses that users define, beside built-in ones of the same formula; and what their compiling costs a process."""

import os
import subprocess
import sys
import tempfile

import numpy as np

import fastloss as fl
from benchmarks.targets.rows import Row
from fastloss.losses import REGISTRY
from fastloss.losses.spec import Parameter
from fastloss.measuring import cases
from fastloss.measuring.timing import side_by_side

LIMITS = {  # of the own loss's time over the built-in one's: arithmetic formulas, then those with transcendental functions
    "squared_error": 1.3, "huber": 1.3, "pinball": 1.3, "hinge": 1.3, "fair": 3.0, "log_cosh": 3.0, "logistic": 3.0, "poisson_loss": 3.0,
}  # fmt: skip

PROCESS = """
import time
import numpy as np
started = time.perf_counter()
{imports}
import fastloss as fl
imported = time.perf_counter()

@fl.loss
class Timed:
    scale = fl.Parameter(1.0, fl.POSITIVE)

    def value(y, p, scale):
        u = (p - y) / scale
        return log1p(u * u)

y, p = np.zeros(1000, "f4"), np.ones(1000, "f4")
Timed().cost_gradient(y, p)
print(time.perf_counter() - imported)
"""


def twin(name):
    """A built-in loss's value as an own loss: its derivatives are derived."""
    of = REGISTRY[name]
    space = {key: value for key, value in vars(of.body).items() if isinstance(value, Parameter) or key == "value"}
    return fl.loss(target=of.target, prediction=of.prediction, wide=of.wide)(type("Own" + of.class_name, (), space))()


def own(bench):
    """Cost, and cost with gradient, over those of the built-in loss; the first call, and that of a later process."""
    for name, limit in LIMITS.items():
        mine, theirs = twin(name), fl.get(name)
        for dtype in cases.DTYPES:
            y, p = cases.data(name, bench.n, dtype)
            out = np.empty_like(p)
            for what, call in (
                ("cost", lambda loss, y=y, p=p: loss(y, p)),
                ("cost and gradient", lambda loss, y=y, p=p, out=out: loss.cost_gradient(y, p, gradient_out=out)),
            ):
                candidates = {"own": lambda call=call, mine=mine: call(mine), "built in": lambda call=call, theirs=theirs: call(theirs)}
                timings = side_by_side(candidates, seconds=bench.seconds)
                ratio = timings["own"].minimum / timings["built in"].minimum
                yield Row(f"own {name}, {what}, {dtype}: own / built in", ratio, "<=", limit)
    with tempfile.TemporaryDirectory() as folder:
        first = _seconds("", folder)
        yield Row("own loss: definition and first cost and gradient, Numba's import among it", first, "<=", 2.0, " s")
        yield Row("own loss: the same in a later process", min(_seconds("", folder) for _ in range(5)), "<=", 0.2, " s")
        yield Row("own loss: the same, Numba imported before", _seconds("import numba", folder + "/other"), None, None, " s")


def _seconds(imports, folder):
    with tempfile.TemporaryDirectory() as place:
        script = os.path.join(place, "timed.py")
        with open(script, "w") as file:
            file.write(PROCESS.format(imports=imports))
        path = os.pathsep.join([os.path.dirname(os.path.dirname(fl.__file__)), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"FASTLOSS_CACHE_DIR": folder, "PYTHONPATH": path}
        return float(subprocess.run([sys.executable, script], check=True, capture_output=True, text=True, env=environment).stdout)
