"""Targets beside other implementations: the geometric mean over all losses shared with a rival, and our own Numba backend."""

import math
import os
import random
import subprocess
import sys

from benchmarks.targets.rows import Row, arithmetic, worst
from fastloss.losses import REGISTRY
from fastloss.measuring import cases, rivals
from fastloss.measuring.environment import threads

LIMITS = {"torch": 8.0, "sklearn": 10.0, "jax": 4.0}


def means(bench):
    """How many times our time a rival takes, over all losses that both have."""
    absent = rivals.missing(LIMITS)
    for output in ("cost", "cost_gradient"):
        for dtype in cases.DTYPES:
            shared = {name: _shared(name, output) for name in LIMITS if name not in absent}
            for loss in REGISTRY:
                if names := [name for name, losses in shared.items() if loss in losses]:
                    bench.compare(loss, output, dtype, names=tuple(names), seconds=min(bench.seconds, 3.0))
            for name, limit in LIMITS.items():
                yield _mean(bench, name, limit, output, dtype, shared.get(name), absent.get(name))


def _mean(bench, name, limit, output, dtype, losses, why):
    what = f"{output.replace('_', ' and ')}, {dtype}: {'sklearn._loss' if name == 'sklearn' else name} / ours, geometric mean"
    if why is not None:
        return Row(what, None, ">=", limit, note=why)
    found = {loss: bench.compare(loss, output, dtype, names=(name,)) for loss in losses}
    ratios = {loss: comparison.times_ours(name) for loss, comparison in found.items() if name in comparison.timings}
    left = [f"{loss}: {found[loss].absent[name]}" for loss in losses if loss not in ratios]
    if not ratios:
        return Row(what, None, ">=", limit, note="; ".join(left))
    least, most = min(ratios, key=ratios.get), max(ratios, key=ratios.get)
    note = f"{len(ratios)} losses, from {least} {ratios[least]:.1f} to {most} {ratios[most]:.1f}"
    value = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    return Row(what, value, ">=", limit, note="; ".join([note, *(f"left out: {text}" for text in left)]))


def _shared(name, output):
    """Losses of a rival; of scikit-learn those of sklearn._loss, its metrics being another thing."""
    losses = rivals.losses_of(name, output)
    return [loss for loss in losses if name != "sklearn" or loss in rivals.library("sklearn").PRIVATE]


# A process per backend, which makes data for a case and then times one call for each line that it gets.
WORKER = """
import sys, time
from fastloss.measuring import cases, environment, ours
environment.settle(int(sys.argv[1]))
import fastloss
print(fastloss.info()["backend"], flush=True)
for line in sys.stdin:
    words = line.split()
    if words:
        y, p = cases.data(words[0], int(words[2]), words[1])
        call = ours.prepare("cost", words[0], y, p)
        call()
    start = time.perf_counter()
    call()
    print(time.perf_counter() - start, flush=True)
"""


class Worker:
    """A backend in a process of its own."""

    def __init__(self, backend):
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(threads())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"FASTLOSS_BACKEND": backend},
        )  # fmt: skip
        if (runs := self._answer()) != backend:
            raise RuntimeError(f"the worker should run {backend}, and runs {runs}")

    def _answer(self):
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"a worker ended with exit code {self.process.wait()}")
        return line

    def seconds(self, *case):
        """Of one call; of a new case (loss, dtype, n) where one is given."""
        self.process.stdin.write(" ".join(map(str, case)) + "\n")
        self.process.stdin.flush()
        return float(self._answer())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)


def numba(bench):
    """The Numba backend over the compiled kernels, float32 costs, in turns."""
    if "numba" in rivals.missing():
        yield Row("Numba backend / compiled kernels", None, "<=", 2.0, note="Numba is not installed")
        return
    plain = arithmetic()
    groups = {"arithmetic": (plain, 2.0), "transcendental": ([name for name in REGISTRY if name not in plain], 4.0)}
    workers = {backend: Worker(backend) for backend in ("cython", "numba")}
    try:
        for group, (losses, limit) in groups.items():
            ratios = [(_ratio(workers, loss, bench.n, bench.seconds / 2), loss) for loss in losses]
            (value, _), note = worst(ratios)
            yield Row(f"Numba backend / compiled kernels, worst of {len(losses)} {group} costs", value, "<=", limit, note=note)
    finally:
        for worker in workers.values():
            worker.close()


def _ratio(workers, loss, n, seconds):
    """Least time of Numba's over that of the kernels, of calls in turns."""
    least = {backend: worker.seconds(loss, "float32", n) for backend, worker in workers.items()}
    order, shuffle, spent = list(workers), random.Random(0).shuffle, 0.0
    rounds = 0
    while rounds < 5 or spent < seconds:
        shuffle(order)
        for backend in order:
            time = workers[backend].seconds()
            least[backend] = min(least[backend], time)
            spent += time
        rounds += 1
    return least["numba"] / least["cython"]
