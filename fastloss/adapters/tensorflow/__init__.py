"""TensorFlow; see fastloss/tensorflow.py."""

FLOOR = 2, 16  # the first with Keras 3

try:
    import tensorflow as tf
except ImportError as error:
    raise ImportError('fastloss.tensorflow needs TensorFlow: pip install "fastloss[tensorflow]"') from error
if tuple(map(int, tf.__version__.split(".")[:2])) < FLOOR:
    raise ImportError(f'fastloss.tensorflow needs TensorFlow >= 2.16, and this is {tf.__version__}: pip install "fastloss[tensorflow]"')
