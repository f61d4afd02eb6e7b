"""Targets of rows: softmax cross-entropy over the number of classes, log loss from probabilities, half precision."""

import subprocess
import sys
from functools import partial

import numpy as np

import fastloss as fl
from benchmarks.targets.rows import Row
from fastloss.measuring import roofline, rows
from fastloss.measuring.timing import side_by_side

FASTER = {"cost": {"torch": (8.0, 25.0), "jax": (2.0, 2.0), "sklearn": (15.0, 15.0)},
          "cost_gradient": {"torch": (5.0, 15.0), "jax": (2.0, 2.0), "sklearn": (15.0, 15.0)}}  # fmt: skip


def classes(bench):
    """Cost, and cost and gradient, over rooflines and rivals, for every number of classes."""
    for output, kind in (("cost", "read"), ("cost_gradient", "write")):
        for count in rows.CLASSES:
            found = rows.compare(output, count, bench.n, seconds=bench.seconds)
            bench.comparisons.append(found)
            limit = (1.5 if count >= 100 else 2.0 if count >= 3 else None) if output == "cost" else 1.6 if count >= 10 else None
            what = f"{count:,} classes, {output.replace('_', ' and ')}"
            note = f"{found.seconds / found.n * 1e9:.3f} ns a logit; of medians {found.over(kind, 'median'):.2f}"
            yield Row(f"{what}: ours / bare {'read' if kind == 'read' else 'read and write'}", found.over(kind), "<=", limit, note=note)
            for name, (many, few) in FASTER[output].items():
                value = found.times_ours(name)
                yield Row(f"{what}: {name} / ours", value, ">=", few if count <= 10 else many, note=found.absent.get(name, ""))


def in_place(bench):
    """The gradient over the logits, over the bare read and write of one array."""
    for count in rows.CLASSES[2:]:
        t, z = rows.data(bench.n, count)
        flat = z.reshape(-1)[: z.size // 2 * 2]
        halves = [flat[: flat.size // 2], flat[flat.size // 2 :]]
        candidates = {"ours": partial(fl.SoftmaxCrossEntropy().cost_gradient, t, z, gradient_out=z)}
        candidates |= roofline.read_write(halves, [np.empty_like(half) for half in halves])
        timings = side_by_side(candidates, seconds=bench.seconds)
        value = timings["ours"].minimum / roofline.fastest(timings, "write")[1].minimum
        yield Row(f"{count:,} classes, gradient in place: ours / bare read and write", value, "<=", 1.4)


def half_rows(bench):
    """Logits per second of bfloat16 over those of float32."""
    for count in (10, 100, 1_000, 32_000):
        made = {dtype: rows.ours("cost", *rows.data(bench.n, count, dtype)) for dtype in ("float32", "bfloat16")}
        timings = side_by_side(made, seconds=bench.seconds)
        value = timings["float32"].minimum / timings["bfloat16"].minimum
        yield Row(f"{count:,} classes, cost: bfloat16 / float32 logits per second", value, ">=", 1.4)


PEAK = """
import resource, sys
import numpy as np
import fastloss as fl
rng = np.random.default_rng(0)
p = rng.random((int(sys.argv[1]), int(sys.argv[2])), dtype=np.float32)
p /= p.sum(1, keepdims=True)
t = rng.integers(0, p.shape[1], len(p))
fl.multiclass_log_loss(t[:1000], p[:1000])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fl.multiclass_log_loss(t, p)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def log_loss_rows(bench):
    """Log loss from probabilities beside scikit-learn's metric, and its memory."""
    from sklearn import metrics

    for count in (3, 10, 100):
        t, z = rows.data(bench.n // 8, count)
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        labels = np.arange(count)
        made = {"ours": partial(fl.MulticlassLogLoss(clip="sklearn"), t, p), "sklearn": partial(metrics.log_loss, t, p, labels=labels)}
        results = {name: call() for name, call in made.items()}
        if not abs(results["ours"] - results["sklearn"]) <= 1e-4 * results["sklearn"]:
            raise AssertionError(f"log losses differ: {results}")
        timings = side_by_side(made, seconds=bench.seconds)
        value = timings["sklearn"].minimum / timings["ours"].minimum
        yield Row(f"log loss of probabilities, {count} classes: sklearn.metrics.log_loss / ours", value, ">=", 30.0)
    out = subprocess.run([sys.executable, "-c", PEAK, str(bench.n // 10), "10"], capture_output=True, text=True, check=True)
    yield Row("log loss of probabilities: peak memory above the inputs", float(out.stdout), "<=", 10.0, " MB")
