"""Keras 3; see fastloss/keras.py."""

try:
    import keras
except ImportError as error:
    raise ImportError('fastloss.keras needs Keras 3 and one of its backends: pip install "fastloss[keras]"') from error
if int(keras.__version__.split(".")[0]) < 3:
    raise ImportError(f'fastloss.keras needs Keras >= 3, and this is {keras.__version__}: pip install --upgrade "fastloss[keras]"')
