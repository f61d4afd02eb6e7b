"""fastloss.keras against keras.losses, with the backend that KERAS_BACKEND names: python -m tests.keras_cases; see test_keras.py."""

import sys

import keras
import numpy as np

import fastloss as fl
import fastloss.keras as ours

theirs = keras.losses
RNG = np.random.default_rng(3)
N, C = 9, 4


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


P, Y, U, SOFT, Z, W = (
    normal(N, 3),
    normal(N, 3),
    sigmoid(normal(N, 3)),
    sigmoid(normal(N, 3)),
    normal(N, C),
    RNG.random(N).astype("float32"),
)
HARD, Q, LABELS, SHARE = (SOFT > 0.5).astype("float32"), softmax(Z), RNG.integers(0, C, N), softmax(normal(N, C))
ONE_HOT = np.eye(C, dtype="float32")[LABELS]
IMAGE = normal(2, 3, C)
CASES = [  # class, arguments, targets, predictions
    ("MeanSquaredError", {}, Y, P),
    ("MeanSquaredError", {}, Y[:, :1], P),
    ("MeanSquaredError", {}, Y[:, 0], P[:, :1]),
    ("MeanAbsoluteError", {}, Y, P),
    ("MeanAbsolutePercentageError", {}, Y, P),
    ("MeanSquaredLogarithmicError", {}, Y, P),
    ("Huber", {"delta": 0.5}, Y, P),
    ("LogCosh", {}, Y, P),
    ("Hinge", {}, HARD, P),
    ("Hinge", {}, 2 * HARD - 1, P),
    ("SquaredHinge", {}, HARD, P),
    ("KLDivergence", {}, SHARE, Q),
    ("BinaryCrossentropy", {}, SOFT, U),
    ("BinaryCrossentropy", {}, np.ones_like(HARD), HARD),  # clipped
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, HARD, U),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, SOFT, P),
    ("BinaryFocalCrossentropy", {}, HARD, U),
    ("BinaryFocalCrossentropy", {"from_logits": True, "apply_class_balancing": True, "gamma": 1.5}, HARD, P),
    ("CategoricalCrossentropy", {}, SHARE, Q),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ONE_HOT, Z),
    ("SparseCategoricalCrossentropy", {}, LABELS, 2 * Q / 3),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS[:, None], Z),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS[:6].reshape(2, 3), IMAGE),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": int(LABELS[0])}, LABELS, Z),
    ("SparseCategoricalCrossentropy", {"ignore_class": int(LABELS[0])}, LABELS, Q),
]
assert {name for name, *_ in CASES} == {name for name in ours.__all__ if name[0].isupper()} - {"FastLoss", "Callback"}


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def values():
    """Every class, reduction and weight; its function; its configuration, which makes it again."""
    for name, arguments, y, p in CASES:
        weights = (None, W) if len(p) == N else (None,)
        for reduction in ("sum_over_batch_size", "sum", "none", "mean_with_sample_weight"):
            for w in weights:
                one = getattr(ours, name)(reduction=reduction, **arguments)
                found, expected = (numbers(loss(y, p, w)) for loss in (one, getattr(theirs, name)(reduction=reduction, **arguments)))
                assert found.shape == expected.shape and found.dtype == expected.dtype
                # Keras rounds at every step: 8 ULP of the largest loss
                np.testing.assert_allclose(found, expected, rtol=0, atol=8 * 2.0**-23 * np.max(np.abs(expected)), err_msg=name)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(one))
        assert type(again) is type(one) and again.get_config() == one.get_config() and isinstance(one, getattr(theirs, name))
        np.testing.assert_array_equal(numbers(again(y, p)), numbers(one(y, p)))


def one_sample():
    """Of one axis alone, in all dtypes."""
    for dtype, rtol in (("float32", 2.0**-20), ("float16", 2.0**-8), ("bfloat16", 2.0**-5)):
        for name, y, p in (
            ("mean_squared_error", Y[0], P[0]), ("binary_crossentropy", HARD[0], U[0]),
            ("binary_focal_crossentropy", HARD[0], U[0]), ("kl_divergence", SHARE[0], Q[0]),
            ("categorical_crossentropy", SHARE[0], Q[0]), ("sparse_categorical_crossentropy", LABELS[0], Q[0]),
        ):  # fmt: skip
            y, p = (one if one.dtype.kind == "i" else keras.ops.convert_to_tensor(one, dtype=dtype) for one in (y, p))
            found, expected = (numbers(keras.ops.cast(getattr(module, name)(y, p), "float32")) for module in (ours, theirs))
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=rtol, err_msg=f"{name} {dtype}")


def masked():
    """Masks of predictions count as Keras counts them."""
    from keras.src.backend import set_keras_mask

    found = []
    for module in (ours, theirs):
        p = keras.ops.convert_to_tensor(IMAGE)
        set_keras_mask(p, keras.ops.convert_to_tensor(np.array([[True, False, True], [True, True, False]])))
        found.append(float(module.Huber()(np.zeros_like(IMAGE), p)))
    np.testing.assert_allclose(*found, rtol=2.0**-21)


X, MATRIX = normal(64, 5), normal(5, 3)
LINEAR = X @ MATRIX


def trained(loss, y, **compiled):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Input((5,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.1), loss=loss, **compiled)
    history = model.fit(X, y, epochs=2, batch_size=16, verbose=0, shuffle=False, sample_weight=np.ones(64, "float32")).history["loss"]
    return model, [float(one) for one in history]  # jax says what went wrong when it is waited for


def models():
    """Eight steps to the same weights, within a few ULP of 1: with any loss, too, that falls."""
    for name, arguments, y in (
        ("Huber", {"delta": 0.5}, LINEAR),
        ("SparseCategoricalCrossentropy", {"from_logits": True}, LINEAR.argmax(-1)),
    ):
        (one, _), (other, _) = (trained(getattr(module, name)(**arguments), y) for module in (ours, theirs))
        for found, expected in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=8 * 2.0**-23)
    for spec, y in (("tweedie:power=1.5", np.abs(LINEAR)), ("cross_entropy", LINEAR.argmax(-1)[:, None])):
        _, history = trained(ours.FastLoss(spec), y)
        assert history[1] < history[0]
    loss = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours.FastLoss("huber:delta=2", name="mine")))
    assert loss.loss == fl.Huber(delta=2) and loss.name == "mine"


def errors():
    kinds = {"tensorflow": "InvalidArgumentError", "jax": "JaxRuntimeError", "torch": "InputError"}
    try:
        trained(ours.FastLoss("hinge"), LINEAR)
        raise AssertionError("targets that are no signs must be refused")
    except Exception as error:
        assert type(error).__name__ == kinds[keras.backend.backend()] and "`y_true` of `hinge` must be -1 or 1" in str(error)
    for call, kind, text in (
        (lambda: ours.FastLoss("rmse"), TypeError, "no mean"),
        (lambda: ours.huber(Y, P, delta=-1.0), ValueError, "`delta`"),
        (lambda: ours.Huber(reduction="most"), ValueError, "reduction"),
        (lambda: ours.categorical_crossentropy(SHARE, Q, axis=3), ValueError, "`axis`"),
        (lambda: ours.binary_focal_crossentropy(HARD, U, label_smoothing=0.1), ValueError, "`label_smoothing`"),
    ):
        try:
            call()
        except kind as error:
            assert text in str(error)
        else:
            raise AssertionError(text)
    if keras.backend.backend() == "tensorflow":
        try:
            trained(ours.Huber(), LINEAR, jit_compile=True)
            raise AssertionError("XLA cannot compile this")
        except NotImplementedError as error:
            assert "compile(jit_compile=False)" in str(error)


if __name__ == "__main__":
    for check in (values, one_sample, masked, models, errors):
        check()
    print(keras.backend.backend(), len(CASES), file=sys.stdout)
