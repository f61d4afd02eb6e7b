"""jax: jax.numpy expressions under jit, value_and_grad for the gradient, on arrays that are put on the device (the CPU) beforehand.

float64 is enabled, which leaves float32 as it is. Means of half precision are accumulated in float32. XLA takes the number of its
threads from the environment when its client starts; afterwards nothing changes it, and ``threads`` counts them.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid, softplus

from fastloss.measuring.environment import threads as told

NAME = "jax"
GRADIENT_PER_SAMPLE = False
DTYPES = ("float16", "bfloat16", "float32", "float64")
LOSSES = {}  # {loss: function(prediction, target) of jax arrays -> losses}
ROOTS = {"root_mean_squared_error": "squared_error", "root_mean_squared_log_error": "squared_log_error"}

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)


def version():
    return jax.__version__


def threads():
    """Of XLA's pool, counted where the system tells the names of threads; elsewhere what it was told."""
    jax.block_until_ready(jnp.zeros(1))  # the client starts with the first array
    tasks = Path("/proc/self/task")
    if not tasks.exists():
        return told()
    return sum((task / "comm").read_text().startswith("tf_XLAEigen") for task in tasks.iterdir())


def _put(*arrays):
    return [jax.device_put(np.asarray(array)) for array in arrays]


def _mean(losses):
    return jnp.mean(losses, dtype=jnp.promote_types(losses.dtype, jnp.float32))


def _prepare(name):
    function, rooted = LOSSES[ROOTS.get(name, name)], name in ROOTS

    def mean(p, y):
        found = _mean(function(p, y))
        return jnp.sqrt(found) if rooted else found

    def cost(y, p):
        call = jax.jit(mean)
        y, p = _put(y, p)
        return lambda: call(p, y).block_until_ready().item()

    def cost_gradient(y, p):
        call = jax.jit(jax.value_and_grad(mean))
        y, p = _put(y, p)

        def both():
            value, gradient = jax.block_until_ready(call(p, y))
            return value.item(), np.asarray(gradient)

        return both

    def loss(y, p):
        call = jax.jit(function)
        y, p = _put(y, p)
        return lambda: np.asarray(call(p, y).block_until_ready())

    PREPARE["cost"][name] = cost
    if not rooted:
        PREPARE["cost_gradient"][name], PREPARE["loss"][name] = cost_gradient, loss


def _huber(p, y):
    error = jnp.abs(p - y)
    return jnp.where(error <= 1.0, 0.5 * error * error, error - 0.5)


def _log_cosh(p, y):
    error = jnp.abs(p - y)
    return error + softplus(-2.0 * error) - np.log(2.0).item()


def _logistic(z, y):
    """optax.sigmoid_binary_cross_entropy."""
    return jnp.maximum(z, 0.0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))


def _focal(z, y):
    p = sigmoid(z)
    return _logistic(z, y) * jnp.square(p + y - 2.0 * p * y)


def _fair(p, y):
    error = jnp.abs(p - y)
    return error - jnp.log1p(error)


def _pinball(p, y):
    difference = y - p
    return jnp.maximum(0.9 * difference, -0.1 * difference)


LOSSES.update(
    squared_error=lambda p, y: jnp.square(p - y),
    half_squared_error=lambda p, y: 0.5 * jnp.square(p - y),
    absolute_error=lambda p, y: jnp.abs(p - y),
    huber=_huber,
    smooth_l1=_huber,
    pseudo_huber=lambda p, y: jnp.sqrt(1.0 + jnp.square(p - y)) - 1.0,
    log_cosh=_log_cosh,
    pinball=_pinball,
    expectile=lambda p, y: jnp.where(y >= p, 0.9, 0.1).astype(p.dtype) * jnp.square(p - y),
    fair=_fair,
    lq=lambda p, y: jnp.abs(p - y) ** 1.5,
    squared_log_error=lambda p, y: jnp.square(jnp.log1p(p) - jnp.log1p(y)),
    absolute_percentage_error=lambda p, y: jnp.abs(p - y) / jnp.maximum(jnp.abs(y), 2.0**-52),
    symmetric_absolute_percentage_error=lambda p, y: 2.0 * jnp.abs(p - y) / (jnp.abs(p) + jnp.abs(y)),
    log_loss=lambda p, y: -y * jnp.log(p) - (1.0 - y) * jnp.log1p(-p),
    logistic=_logistic,
    exponential=lambda z, y: jnp.exp(-y * z),
    soft_margin=lambda z, y: softplus(-y * z),
    hinge=lambda z, y: jnp.maximum(0.0, 1.0 - y * z),
    squared_hinge=lambda z, y: jnp.square(jnp.maximum(0.0, 1.0 - y * z)),
    perceptron=lambda z, y: jnp.maximum(0.0, -y * z),
    brier=lambda p, y: jnp.square(p - y),
    focal=_focal,
    poisson_loss=lambda z, y: jnp.exp(z) - y * z,
    gamma_loss=lambda z, y: z + y * jnp.exp(-z),
    tweedie_loss=lambda z, y: 2.0 * (jnp.exp(0.5 * z) + y * jnp.exp(-0.5 * z)),
)
PREPARE = {"cost": {}, "cost_gradient": {}, "loss": {}}
for _name in (*LOSSES, *ROOTS):
    _prepare(_name)
