"""fastloss.jax beside optax: value and gradient in one jitted step, and what a call costs where there is nothing to compute."""

from functools import partial

import numpy as np

from benchmarks.targets.rows import Row
from fastloss.measuring.timing import side_by_side

LOSSES = {  # name: targets of predictions p
    "huber_loss": lambda rng, n: rng.standard_normal(n, dtype=np.float32),
    "sigmoid_binary_cross_entropy": lambda rng, n: (rng.random(n) > 0.5).astype(np.float32),
    "log_cosh": lambda rng, n: rng.standard_normal(n, dtype=np.float32),
}
CLASSES = 1000


def _step(loss):
    import jax

    return jax.jit(jax.value_and_grad(lambda p, y: loss(p, y).mean()))


def _wait(step, *arrays):
    return [one.block_until_ready() for one in step(*arrays)]


def jax_host(bench):
    """Ratios of optax's time to ours, without targets: the issue sets none for jax."""
    try:
        import jax
        import optax

        import fastloss.jax as ours
    except ImportError as error:
        yield Row("fastloss.jax beside optax", None, note=str(error))
        return
    rng = np.random.default_rng(0)
    rows = bench.n // CLASSES
    cases = [(name, n, rng.standard_normal(n, dtype=np.float32), y(rng, n)) for n in (64, bench.n) for name, y in LOSSES.items()]
    softmax = "softmax_cross_entropy_with_integer_labels"
    cases.append((softmax, rows, rng.standard_normal((rows, CLASSES), dtype=np.float32), rng.integers(0, CLASSES, rows)))
    for name, n, p, y in cases:
        p, y = jax.device_put(p), jax.device_put(y)
        steps = {module: _step(getattr(losses, name)) for module, losses in (("ours", ours), ("optax", optax.losses))}
        candidates = {module: partial(_wait, step, p, y) for module, step in steps.items()}
        timings = side_by_side(candidates, seconds=min(bench.seconds, 0.5 if n == 64 else bench.seconds))
        ratio = timings["optax"].minimum / timings["ours"].minimum
        yield Row(f"jax, value and gradient of {name}, n = {n}: optax / ours", ratio, note=f"ours {timings['ours'].minimum * 1e6:.0f} us")
