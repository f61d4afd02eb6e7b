"""Targets of the fused linear cross-entropy, of a language model's last layer: time and memory beside torch's two functions in a row."""

import importlib.util
import os
import subprocess
import sys

import numpy as np

import fastloss as fl
from benchmarks import THREADS
from benchmarks.targets.rows import Row
from fastloss.measuring.timing import side_by_side

FEATURES, CLASSES = 1024, 32_000

# Peak of a call in bytes above what was resident before; what first calls load is loaded before.
PEAK = """
import sys
from benchmarks.targets.linear import candidates, data
who, what, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
candidates(*data(64, 64, 64))[who, what]()
call = candidates(*data(n))[who, what]
def kilobytes(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = kilobytes("VmRSS")
call()
print((kilobytes("VmHWM") - before) * 1024)
"""


def data(n, d=FEATURES, classes=CLASSES):
    """Hidden states, weights and labels."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((n, d), np.float32), rng.standard_normal((classes, d), np.float32)
    w *= np.float32(d**-0.5)
    return x, w, rng.integers(0, classes, n)


def candidates(x, w, y):
    """{(who, "cost" or "gradients"): function of no arguments that returns the cost}; torch's if it is installed."""
    found = {
        ("ours", "cost"): lambda: fl.linear_cross_entropy(x, w, y),
        ("ours", "gradients"): lambda: fl.linear_cross_entropy(x, w, y, gradient=True).cost,
    }
    if importlib.util.find_spec("torch") is None:
        return found
    import torch
    from torch.nn import functional

    torch.set_num_threads(THREADS)
    features, weights = (torch.from_numpy(array).requires_grad_() for array in (x, w))
    labels = torch.from_numpy(y)

    def cost():
        with torch.no_grad():
            return functional.cross_entropy(functional.linear(features, weights), labels).item()

    def gradients():
        features.grad = weights.grad = None
        loss = functional.cross_entropy(functional.linear(features, weights), labels)
        loss.backward()
        return loss.item()

    return found | {("torch", "cost"): cost, ("torch", "gradients"): gradients}


def peak_memory(who, what, n):
    """Bytes above its inputs that a call takes, in a process of its own."""
    command = [sys.executable, "-c", PEAK, who, what, str(n)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ)).stdout)


def linear(bench):
    """Cost, and cost and gradients, over torch's."""
    n = max(64, min(4096, bench.n // 8192))
    size, calls = f"N = {n}, d = {FEATURES}, C = {CLASSES}", candidates(*data(n))
    kinds = {"cost": "cost", "gradients": "cost and gradients"}
    if ("torch", "cost") not in calls:
        yield from (Row(f"{label}: ours / torch, {size}", None, "<=", 1.0, note="torch is not installed") for label in kinds.values())
        return
    for what, label in kinds.items():
        ours, theirs = calls["ours", what](), calls["torch", what]()
        if not abs(ours - theirs) <= 1e-5 * abs(theirs):
            raise RuntimeError(f"the costs differ: {ours} and torch's {theirs}")
        timings = side_by_side({who: calls[who, what] for who in ("ours", "torch")}, seconds=bench.seconds, min_rounds=4)
        note = ", ".join(f"{who} {timing.minimum:.2f} s" for who, timing in timings.items())
        yield Row(f"{label}: ours / torch, {size}", timings["ours"].minimum / timings["torch"].minimum, "<=", 1.0, note=note)
    for what, label in kinds.items():
        ours, theirs = (peak_memory(who, what, n) for who in ("ours", "torch"))
        note = f"{ours / 1e6:.0f} and {theirs / 1e6:.0f} MB"
        yield Row(f"{label}: peak memory above the inputs, ours / torch", ours / theirs, "<=", 0.1, note=note)
    results = 4 * FEATURES * (n + CLASSES)  # bytes of the gradients, which were asked for
    note = f"{(ours - results) / 1e6:.0f} and {(theirs - results) / 1e6:.0f} MB"
    yield Row("the same above inputs and gradients", (ours - results) / (theirs - results), "<=", 0.1, note=note)
