"""Losses of TensorFlow's tensors on CPUs, computed by fastloss, with gradients through tf.custom_gradient.

    f = fastloss.tensorflow.from_loss(fl.TweedieLoss(power=1.5)) any loss: f(y_true, y_pred, sample_weight=None), per sample
    c = fastloss.tensorflow.cost("huber:delta=2")                its exact weighted mean, a scalar: one pass for value and gradient

For tf.keras.losses' functions and classes use fastloss.keras: tf.keras is Keras 3 with its tensorflow backend, and fastloss.keras serves
it.

They work eagerly, where no array of N elements is copied (but bfloat16 results), and in tf.function, through tf.numpy_function;
tf.function(jit_compile=True) is a NotImplementedError, as XLA cannot call back from TensorFlow. Such functions are not in SavedModels.
Wrong values are our InputError (a ValueError) eagerly, and tf.errors.InvalidArgumentError with its text in graphs.

Needs TensorFlow >= 2.16: pip install "fastloss[tensorflow]".
"""

from fastloss.adapters.tensorflow.general import cost, from_loss

__all__ = ["cost", "from_loss"]
