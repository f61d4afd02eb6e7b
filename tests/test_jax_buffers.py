"""What fastloss.jax's handler is given: buffers of no elements, dtypes that it does not read."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402

import fastloss.jax as ours  # noqa: E402


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_rows_without_classes_are_an_error_and_not_what_was_in_memory(wrap):
    for _ in range(3):
        with pytest.raises(Exception, match=r"rows of `soft_label_cross_entropy` have no classes: predictions are \(3, 0\)"):
            wrap(ours.softmax_cross_entropy)(jnp.zeros((3, 0)), jnp.zeros((3, 0))).block_until_ready()
    assert ours.softmax_cross_entropy(jnp.zeros((0, 3)), jnp.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("dtype", [jnp.int4, jnp.complex64, jnp.float8_e4m3fn], ids=lambda dtype: np.dtype(dtype).name)
def test_dtypes_that_are_not_read_are_named_before_anything_is_computed(dtype):
    x = jnp.ones(3, dtype)
    with pytest.raises(TypeError, match=f"integers of 8 to 64 bits and bool, got {np.dtype(dtype).name}"):
        ours.huber_loss(*((x, x) if "float8" in np.dtype(dtype).name else (jnp.ones(3), x)))
