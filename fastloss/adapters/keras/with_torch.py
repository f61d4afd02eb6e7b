"""The losses of samples for Keras' torch backend: an autograd function whose gradient comes with the loss, in one pass."""

import numpy as np
import torch

import fastloss as fl


def _array(tensor):
    if tensor.device.type != "cpu":
        raise ValueError(f"fastloss computes on CPUs, got a tensor on {tensor.device}")
    return tensor.detach().numpy()


class PerSample(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y_pred, y_true, loss):
        ctx.loss = loss
        ctx.rows = isinstance(loss, fl.RowLoss)
        if not ctx.needs_input_grad[0]:
            return torch.as_tensor(np.asarray(loss.loss(_array(y_true), _array(y_pred))))
        values, gradient = loss.loss_gradient(_array(y_true), _array(y_pred))
        ctx.save_for_backward(torch.as_tensor(np.asarray(gradient)))
        return torch.as_tensor(np.asarray(values))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        (gradient,) = ctx.saved_tensors
        return (upstream[..., None] if ctx.rows else upstream) * gradient, None, None


def per_sample(loss, y_true, y_pred):
    if torch.bfloat16 in (y_pred.dtype, y_true.dtype):  # which NumPy has not
        y, p = (one.float() if one.dtype is torch.bfloat16 else one for one in (y_true, y_pred))
        return per_sample(loss, y, p).to(y_pred.dtype)
    if isinstance(loss, fl.RowLoss) and y_pred.ndim == 1:
        return per_sample(loss, y_true[None], y_pred[None])[0]
    return PerSample.apply(y_pred, y_true, loss)
