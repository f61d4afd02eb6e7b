"""Keras 3 losses computed by fastloss, on CPUs, with whichever backend Keras has: tensorflow, jax or torch.

    model.compile(optimizer, loss=fastloss.keras.Huber(delta=1.0))             keras.losses' classes: names, arguments, reductions, masks
    model.compile(optimizer, loss=fastloss.keras.FastLoss("tweedie:power=1.5"))   any loss of fastloss
    model.fit(..., callbacks=[fastloss.keras.Callback(log)])                   fills a fastloss.Recorder, epoch by epoch
    fastloss.keras.huber(y_true, y_pred, delta=1.0)                            keras.losses' functions: a loss per row of the last axis

The classes are subclasses of Keras' own with our function in them, so models save and load with them (where fastloss.keras is imported).
With the tensorflow backend XLA must not compile the step, as it cannot call back from TensorFlow: Keras' default on machines without a GPU
is right, elsewhere give compile(..., jit_compile=False); we say so. With jax the loss is part of the compiled step; with torch it is an
autograd function.

What is asked of values is asked when they come: targets outside a loss's domain are our InputError (a ValueError) eagerly and with torch,
tf.errors.InvalidArgumentError in TensorFlow's graphs, jax.errors.JaxRuntimeError in jax, all with our message. Of keras.losses there are no
CategoricalFocalCrossentropy, CategoricalGeneralizedCrossEntropy, CategoricalHinge, Circle, CosineSimilarity, CTC, Dice, Poisson, Tversky:
fastloss has not the same formulas. Gradients by y_pred; of losses of y_pred - y_true also by y_true with tensorflow and jax.

Needs Keras >= 3.7: pip install "fastloss[keras]".
"""

from fastloss.adapters.absent import absent as _absent
from fastloss.adapters.keras.classes import CLASSES, Callback, FastLoss
from fastloss.adapters.keras.functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    sparse_categorical_crossentropy,
    squared_hinge,
)

MeanSquaredError, MeanAbsoluteError = CLASSES["MeanSquaredError"], CLASSES["MeanAbsoluteError"]
MeanAbsolutePercentageError = CLASSES["MeanAbsolutePercentageError"]
MeanSquaredLogarithmicError = CLASSES["MeanSquaredLogarithmicError"]
Huber, LogCosh, Hinge, SquaredHinge = CLASSES["Huber"], CLASSES["LogCosh"], CLASSES["Hinge"], CLASSES["SquaredHinge"]
KLDivergence = CLASSES["KLDivergence"]
BinaryCrossentropy, BinaryFocalCrossentropy = CLASSES["BinaryCrossentropy"], CLASSES["BinaryFocalCrossentropy"]
CategoricalCrossentropy, SparseCategoricalCrossentropy = CLASSES["CategoricalCrossentropy"], CLASSES["SparseCategoricalCrossentropy"]

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "Callback",
    "CategoricalCrossentropy",
    "FastLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]

__getattr__ = _absent(__name__, __all__, "it has losses of keras.losses (see dir()), and FastLoss for those of fastloss")
