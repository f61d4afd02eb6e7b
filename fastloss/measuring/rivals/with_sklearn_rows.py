"""scikit-learn: its private multinomial loss, with all threads and buffers made beforehand."""

import numpy as np
from sklearn._loss import HalfMultinomialLoss

from fastloss.measuring.rivals.with_sklearn import threads


def prepare(output, t, z):
    loss = HalfMultinomialLoss(n_classes=z.shape[1])
    labels, losses = t.astype(z.dtype), np.empty(len(t), z.dtype)
    if output == "cost":
        return lambda: loss.loss(labels, z, loss_out=losses, n_threads=threads()).mean()
    gradient = np.empty_like(z)

    def both():
        loss.loss_gradient(labels, z, loss_out=losses, gradient_out=gradient, n_threads=threads())
        return losses.mean(), gradient

    return both
