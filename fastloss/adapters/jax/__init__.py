"""jax and optax; see fastloss/jax.py."""

FLOOR = 0, 5  # jax.ffi

try:
    import jax
except ImportError as error:
    raise ImportError('fastloss.jax needs jax: pip install "fastloss[jax]"') from error
if jax.__version_info__ < FLOOR:
    raise ImportError(f'fastloss.jax needs jax >= 0.5, and this is {jax.__version__}: pip install --upgrade "fastloss[jax]"')
