"""torch: its functional losses on tensors that share the arrays' memory; what it has no function for is written of its operators.

Costs run in inference mode. The gradient is autograd's, of a leaf that requires it: forward and backward, as training does.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

from benchmarks import THREADS

NAME = "torch"
GRADIENT_PER_SAMPLE = False
COST, COST_GRADIENT = {}, {}

torch.set_num_threads(THREADS)


def version():
    return torch.__version__


def threads():
    return torch.get_num_threads()


def _enter(name, function):
    """function(prediction, target) -> tensor of the cost."""

    def cost(y, p):
        target, prediction = torch.from_numpy(y), torch.from_numpy(p)

        def call():
            with torch.inference_mode():
                return function(prediction, target).item()

        return call

    def cost_gradient(y, p):
        target, prediction = torch.from_numpy(y), torch.from_numpy(p).requires_grad_()

        def call():
            mean = function(prediction, target)
            (gradient,) = torch.autograd.grad(mean, prediction)
            return mean.item(), gradient.numpy()

        return call

    COST[name], COST_GRADIENT[name] = cost, cost_gradient


def pinball(prediction, target, quantile=0.9):
    difference = target - prediction
    return torch.maximum(quantile * difference, (quantile - 1.0) * difference).mean()


def focal(logits, target, gamma=2.0):
    """torchvision.ops.sigmoid_focal_loss without alpha."""
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p = torch.sigmoid(logits)
    wrong = p + target - 2.0 * p * target
    return (loss * wrong**gamma).mean()


def log_cosh(prediction, target):
    error = (prediction - target).abs()
    return (error + F.softplus(-2.0 * error)).mean() - 0.6931471805599453


_enter("squared_error", F.mse_loss)
_enter("half_squared_error", lambda p, y: 0.5 * F.mse_loss(p, y))
_enter("root_mean_squared_error", lambda p, y: F.mse_loss(p, y).sqrt())
_enter("absolute_error", F.l1_loss)
_enter("huber", F.huber_loss)
_enter("smooth_l1", F.smooth_l1_loss)
_enter("pinball", pinball)
_enter("log_cosh", log_cosh)
_enter("squared_log_error", lambda p, y: F.mse_loss(torch.log1p(p), torch.log1p(y)))
_enter("poisson_loss", lambda z, y: F.poisson_nll_loss(z, y, log_input=True))
_enter("log_loss", F.binary_cross_entropy)
_enter("logistic", F.binary_cross_entropy_with_logits)
_enter("exponential", lambda z, y: torch.exp(-y * z).mean())
_enter("soft_margin", F.soft_margin_loss)
_enter("hinge", lambda z, y: F.relu(1.0 - y * z).mean())
_enter("squared_hinge", lambda z, y: F.relu(1.0 - y * z).square().mean())
_enter("brier", F.mse_loss)
_enter("focal", focal)
del COST_GRADIENT["root_mean_squared_error"]  # a cost only in the registry
