"""Keras' loss classes with our functions in them: signatures, reductions, masks and configurations are Keras' own."""

import keras

import fastloss as fl
from fastloss.adapters.keras import functions

NAMES = {
    "MeanSquaredError": "mean_squared_error", "MeanAbsoluteError": "mean_absolute_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error", "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "Huber": "huber", "LogCosh": "log_cosh", "Hinge": "hinge", "SquaredHinge": "squared_hinge", "KLDivergence": "kl_divergence",
    "BinaryCrossentropy": "binary_crossentropy", "BinaryFocalCrossentropy": "binary_focal_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy", "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
}  # fmt: skip


def _class(name):
    """Keras' class of that name, whose function is ours."""
    base, function = getattr(keras.losses, name), getattr(functions, NAMES[name])

    def __init__(self, *args, **kwargs):  # noqa: N807
        base.__init__(self, *args, **kwargs)
        self.fn = function

    def get_config(self):
        return {**base.get_config(self), **self._fn_kwargs}  # Keras' own forgets some, as Huber's delta

    made = type(name, (base,), {"__init__": __init__, "get_config": get_config, "__module__": "fastloss.keras", "__qualname__": name})
    made.__doc__ = f"keras.losses.{name}, computed by fastloss.{chr(10) * 2}{function.__doc__}"
    return keras.saving.register_keras_serializable("fastloss")(made)


CLASSES = {name: _class(name) for name in NAMES}


@keras.saving.register_keras_serializable("fastloss")
class FastLoss(keras.losses.Loss):
    """Any loss of fastloss as a Keras loss: of every number of y_pred, or of rows of scores (..., C) with labels (...) or targets (..., C).

    loss       a configured loss, fl.TweedieLoss(power=1.5), or its text, "tweedie:power=1.5"; TypeError for costs that are no means
    reduction, name, dtype  as Keras' losses have them

    Labels may come with a last axis of length 1, as Keras brings them. The losses of single numbers are averaged over the last axis.
    """

    def __init__(self, loss, reduction="sum_over_batch_size", name=None, dtype=None):
        self.loss = fl.get(loss)
        if self.loss.definition.base or self.loss.definition.terms:
            raise TypeError(f"`{self.loss.name}` is no mean of losses: it has not a loss of each sample")
        super().__init__(name=name or self.loss.name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        if not isinstance(self.loss, fl.RowLoss):
            return functions.mean_of(self.loss, y_true, y_pred)
        if not self.loss.labels:
            return functions.per_sample(self.loss, y_true, y_pred)
        y = keras.ops.squeeze(y_true, -1) if len(y_true.shape) == len(y_pred.shape) else y_true
        return functions.per_sample(self.loss, keras.ops.cast(y, "int32"), y_pred)

    def get_config(self):
        return {**super().get_config(), "loss": self.loss.spec}


class Callback(keras.callbacks.Callback):
    """Fills a fastloss.Recorder: model.fit(callbacks=[Callback(log)]), with "loss" as the cost of training and "val_loss" as that of
    validation, epoch by epoch."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        self.log.record(epoch, train=logs.get("loss"), validation=logs.get("val_loss"))
