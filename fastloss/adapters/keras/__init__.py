"""Keras 3; see fastloss/keras.py."""

FLOOR = 3, 7  # masks of losses, mean_with_sample_weight

try:
    import keras
except ImportError as error:
    raise ImportError('fastloss.keras needs Keras 3 and one of its backends: pip install "fastloss[keras]"') from error
if tuple(map(int, keras.__version__.split(".")[:2])) < FLOOR:
    raise ImportError(f'fastloss.keras needs Keras >= 3.7, and this is {keras.__version__}: pip install --upgrade "fastloss[keras]"')
