"""optax's losses of jax arrays on CPUs, computed by fastloss, and any other loss as a jax function.

    fastloss.jax.huber_loss(predictions, targets, delta=1.0)     optax.losses' names, arguments and results (predictions first)
    f = fastloss.jax.from_loss(fl.TweedieLoss(power=1.5))        any loss: f(predictions, targets, sample_weight=None), per sample
    c = fastloss.jax.cost("huber:delta=2")                       its exact weighted mean, a scalar: one pass for value and gradient

They work under jit, vmap, grad, value_and_grad, jvp, hessian (of elementwise losses, and those of softmax and divergences), for float16,
bfloat16, float32 and float64. XLA calls fastloss through its foreign function interface, on its own buffers: nothing is copied. That is for
CPUs; on other devices compiling fails.

What is asked of values is asked when they come: a label outside its domain is a jax.errors.JaxRuntimeError (an XlaRuntimeError in older
versions) with our message, when the result is waited for. What can be seen of shapes and dtypes is a ValueError or TypeError at once.
Half precision is computed in float32 and rounded once (optax rounds at every step). What optax allows beyond the domains of our losses
(negative or soft labels of focal loss) is refused. Of optax.losses there are no convex_kl_divergence, cosine_similarity, ctc_loss,
ctc_loss_with_forward_probs, dice losses, make_fenchel_young_loss, ntxent, poly_loss_cross_entropy (of distributions),
ranking_softmax_loss, smooth_labels, sparsemax_loss (binary), triplet_margin_loss.

A class whose logit is -inf and whose label is 0 adds 0 to softmax_cross_entropy, with the derivative 0 by that label.

Needs jax >= 0.5: pip install "fastloss[jax]".
"""

from fastloss.adapters.absent import absent as _absent
from fastloss.adapters.jax.general import cost, from_loss
from fastloss.adapters.jax.losses import (
    cosine_distance,
    generalized_kl_divergence,
    hinge_loss,
    huber_loss,
    kl_divergence,
    kl_divergence_with_log_targets,
    l2_loss,
    log_cosh,
    multiclass_hinge_loss,
    multiclass_perceptron_loss,
    multiclass_sparsemax_loss,
    perceptron_loss,
    safe_softmax_cross_entropy,
    sigmoid_binary_cross_entropy,
    sigmoid_focal_loss,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
    squared_error,
)

__all__ = [
    "cosine_distance",
    "cost",
    "from_loss",
    "generalized_kl_divergence",
    "hinge_loss",
    "huber_loss",
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "l2_loss",
    "log_cosh",
    "multiclass_hinge_loss",
    "multiclass_perceptron_loss",
    "multiclass_sparsemax_loss",
    "perceptron_loss",
    "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "squared_error",
]

__getattr__ = _absent(__name__, __all__, "it has losses of optax (see dir()), and from_loss for those of fastloss")
