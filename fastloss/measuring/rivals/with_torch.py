"""torch: its functional losses on tensors that share the arrays' memory; what it has no function for is written of its operators.

Costs and losses run in inference mode. The gradient is autograd's, of a leaf that requires it: forward and backward, as training does.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

from fastloss.measuring.environment import threads as told

NAME = "torch"
GRADIENT_PER_SAMPLE = False
DTYPES = ("float16", "bfloat16", "float32", "float64")
MEANS, LOSSES = {}, {}  # {loss: function(prediction, target)} -> tensor of the cost, and of the losses

torch.set_num_threads(told())


def version():
    return torch.__version__


def threads():
    return torch.get_num_threads()


def tensor(array):
    """A tensor over an array's memory; torch does not know NumPy's (ml_dtypes') bfloat16, but its bits."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("int16")).view(torch.bfloat16)
    return torch.from_numpy(array)


def array(tensor, like):
    """An array over a tensor's memory, of the dtype of another array."""
    return tensor.view(torch.int16).numpy().view(like.dtype) if tensor.dtype is torch.bfloat16 else tensor.numpy()


def cost(function, y, p):
    target, prediction = tensor(y), tensor(p)

    def call():
        with torch.inference_mode():
            return function(prediction, target).item()

    return call


def loss(function, y, p):
    target, prediction = tensor(y), tensor(p)

    def call():
        with torch.inference_mode():
            return array(function(prediction, target), p)

    return call


def cost_gradient(function, y, p):
    target, prediction = tensor(y), tensor(p).requires_grad_()

    def call():
        mean = function(prediction, target)
        (gradient,) = torch.autograd.grad(mean, prediction)
        return mean.item(), array(gradient, p)

    return call


def prepare(wrap=lambda function: function):
    """PREPARE of the functions below, each wrapped when it is prepared."""
    made = {"cost": (cost, MEANS), "cost_gradient": (cost_gradient, MEANS), "loss": (loss, LOSSES)}
    return {
        output: {
            name: lambda y, p, way=way, function=function: way(wrap(function), y, p)
            for name, function in functions.items() if (output, name) != ("cost_gradient", "root_mean_squared_error")
        } for output, (way, functions) in made.items()
    }  # fmt: skip


def _functional(name, function):
    MEANS[name], LOSSES[name] = function, lambda prediction, target: function(prediction, target, reduction="none")


def _written(name, function):
    MEANS[name], LOSSES[name] = lambda prediction, target: function(prediction, target).mean(), function


def pinball(prediction, target, quantile=0.9):
    difference = target - prediction
    return torch.maximum(quantile * difference, (quantile - 1.0) * difference)


def focal(logits, target, gamma=2.0):
    """torchvision.ops.sigmoid_focal_loss without alpha."""
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p = torch.sigmoid(logits)
    wrong = p + target - 2.0 * p * target
    return loss * wrong**gamma


def log_cosh(prediction, target):
    error = (prediction - target).abs()
    return error + F.softplus(-2.0 * error) - 0.6931471805599453


def squared_log_error(prediction, target, reduction="mean"):
    return F.mse_loss(torch.log1p(prediction), torch.log1p(target), reduction=reduction)


def half_squared_error(prediction, target, reduction="mean"):
    return 0.5 * F.mse_loss(prediction, target, reduction=reduction)


_functional("squared_error", F.mse_loss)
_functional("half_squared_error", half_squared_error)
MEANS["root_mean_squared_error"] = lambda p, y: F.mse_loss(p, y).sqrt()
_functional("absolute_error", F.l1_loss)
_functional("huber", F.huber_loss)
_functional("smooth_l1", F.smooth_l1_loss)
_written("pinball", pinball)
_written("log_cosh", log_cosh)
_functional("squared_log_error", squared_log_error)
_functional("poisson_loss", F.poisson_nll_loss)
_functional("log_loss", F.binary_cross_entropy)
_functional("logistic", F.binary_cross_entropy_with_logits)
_written("exponential", lambda z, y: torch.exp(-y * z))
_functional("soft_margin", F.soft_margin_loss)
_written("hinge", lambda z, y: F.relu(1.0 - y * z))
_written("squared_hinge", lambda z, y: F.relu(1.0 - y * z).square())
_functional("brier", F.mse_loss)
_written("focal", focal)

PREPARE = prepare()
