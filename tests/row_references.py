"""What the losses of rows of targets are, independently: textbook formulas in mpmath, row by row, with no thought for rounding.

VALUES[name](y, z, **parameters) is the loss of lists of mpf. TERMS[name](y, z, **parameters) is (what the value is a difference of, what
each element of the gradient is a difference of), floats: the size that errors are measured against where the result is smaller, because
a softmax or an exponential was rounded before the difference was taken. Where it is 0 the result itself is the measure.
"""

import numpy as np
from mpmath import mp, mpf

KINDS = {}  # name: what the scores are
VALUES, TERMS = {}, {}


def entry(kind, terms=None):
    def enter(function):
        VALUES[function.__name__], KINDS[function.__name__] = function, kind
        TERMS[function.__name__] = terms or (lambda y, z, **_: (0.0, np.zeros(len(y))))
        return function

    return enter


def softmax(z):
    e = [mp.exp(x) for x in z]
    whole = mp.fsum(e)
    return [x / whole for x in e]


def xlog(a, b):
    """a log(a / b)"""
    return mpf(0) if a == 0 else mp.inf if b == 0 else a * mp.log(a / b)


def softmax64(z, temperature=1.0):
    e = np.exp((z - np.max(z)) / temperature)
    return e / e.sum()


def log64(a, b):
    """|log(a / b)| where a is not 0, else 0"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((a > 0) & (b > 0), np.abs(np.log(a / b)), 0.0)


def of_softmax(loss):
    return lambda y, z, **parameters: loss(y, softmax(z), **parameters)


def of_exp(loss):
    return lambda y, z, **parameters: loss(y, [mp.exp(x) for x in z], **parameters)


def hard(y, p):
    """p sum(y) - y = p (sum(y) - y) - y (1 - p)"""
    return np.abs(p * (y.sum() - y)) + y * (1 - p)


def sloped(p, s):
    """p_j (s_j - sum_k p_k s_k), where the slopes s have an error of one unit of 1 besides their own"""
    s, top = np.where(p > 0, np.abs(s) + 1, 0), np.arange(len(p)) == np.argmax(p)

    def rest(x):  # the sum of all others; those of a confident class are not lost
        return np.where(top, x[~top].sum(), x.sum() - x)

    return p * (s * rest(p) + rest(p * s))


def weights(y, label_smoothing=0.0, temperature=1.0):
    return (1 - label_smoothing) * np.asarray(y) + label_smoothing / len(y)


@entry("logits", lambda y, z, temperature=1.0, **s: (0.0, hard(weights(y, **s), softmax64(z, temperature)) / temperature))
def soft_label_cross_entropy(y, z, temperature=1, label_smoothing=0):
    p = softmax([x / temperature for x in z])
    target = [(1 - label_smoothing) * t + label_smoothing / mpf(len(y)) for t in y]
    return mp.fsum(-t * mp.log(q) for t, q in zip(target, p, strict=True) if t != 0)


@entry("probs", lambda y, z: ((y * log64(y, z)).sum(), np.zeros(len(y))))
def kl_divergence(y, p):
    return mp.fsum(map(xlog, y, p))


def generalized_kl_divergence(y, p):
    return mp.fsum(xlog(a, b) - a + b for a, b in zip(y, p, strict=True))


entry("probs")(generalized_kl_divergence)


@entry("probs", lambda y, z: ((z * log64(z, y)).sum(), log64(z, y) + 1))
def reverse_kl_divergence(y, p):
    return mp.fsum(map(xlog, p, y))


@entry("probs")
def jensen_shannon_divergence(y, p, beta=0.5):
    m = [beta * a + (1 - beta) * b for a, b in zip(y, p, strict=True)]
    return beta * mp.fsum(map(xlog, y, m)) + (1 - beta) * mp.fsum(map(xlog, p, m))


@entry("probs")
def total_variation(y, p):
    return mp.fsum(abs(a - b) for a, b in zip(y, p, strict=True)) / 2


def ranked_terms(y, z, normalized=False):
    size = np.cumsum(y + z) * len(y) / (4 + np.log2(len(y)))  # sums along the row: errors grow with C
    gaps = np.abs(np.cumsum(y - z))[:-1]
    by = (len(y) - 1) if normalized else 1
    return 2 * (gaps * size[:-1]).sum() / by, np.full(len(y), 2 * size[:-1].sum() / by)


@entry("probs", ranked_terms)
def squared_earth_movers_distance(y, p, normalized=False):
    total, score = mpf(0), mpf(0)
    for a, b in list(zip(y, p, strict=True))[:-1]:
        total += b - a
        score += total**2
    return score / (len(y) - 1) if normalized else score


def register(name, kind, function, terms):
    VALUES[name], KINDS[name], TERMS[name] = function, kind, terms


def logs(value, gradient):
    return lambda y, z, **_: (value(y, np.exp(z)), gradient(y, np.exp(z)))


def logits(value, gradient):
    return lambda y, z, **_: (value(y, softmax64(z)), gradient(y, softmax64(z)))


def apart(y, p):
    return np.abs(y - p).sum()


register("kl_divergence_with_log_probs", "log_probs", of_exp(kl_divergence),
         logs(lambda y, p: (y * (1 + log64(y, p))).sum(), lambda y, p: 0 * y))  # fmt: skip
register("kl_divergence_with_log_targets", "log_targets",
         lambda y, z: mp.fsum(mp.exp(a) * (a - b) for a, b in zip(y, z, strict=True) if a > -mp.inf),
         lambda y, z: ((np.exp(y) * log64(np.exp(y), np.exp(z))).sum(), 0 * np.exp(y)))  # fmt: skip
register("generalized_kl_divergence_with_log_probs", "log_probs", of_exp(generalized_kl_divergence), logs(apart, lambda y, p: y + p))
register("kl_divergence_with_logits", "logits", of_softmax(generalized_kl_divergence), logits(apart, hard))
register("reverse_kl_divergence_with_log_probs", "log_probs", of_exp(reverse_kl_divergence),
         logs(lambda y, p: (p * (1 + log64(p, y))).sum(), lambda y, p: p * (2 + log64(p, y))))  # fmt: skip
register("reverse_kl_divergence_with_logits", "logits", of_softmax(lambda y, p: generalized_kl_divergence(p, y)),
         logits(apart, lambda y, p: sloped(p, log64(p, y))))  # fmt: skip
register("jensen_shannon_divergence_with_log_probs", "log_probs", of_exp(jensen_shannon_divergence),
         logs(apart, lambda y, p: p * (1 + log64(p, (y + p) / 2))))  # fmt: skip
register("jensen_shannon_divergence_with_logits", "logits", of_softmax(jensen_shannon_divergence),
         logits(apart, lambda y, p: sloped(p, log64(p, (y + p) / 2))))  # fmt: skip
register("total_variation_with_log_probs", "log_probs", of_exp(total_variation), logs(lambda y, p: p.sum(), lambda y, p: 0 * p))
register("total_variation_with_logits", "logits", of_softmax(total_variation), logits(lambda y, p: 1.0, lambda y, p: 0 * p))


def distilled(y, z, temperature=1.0):
    q, p = softmax64(y, temperature), softmax64(z, temperature)
    return temperature**2 * apart(q, p), temperature * (p * (1 - q) + q * (1 - p))


@entry("two_logits", distilled)
def distillation(y, z, temperature=1):
    q, p = (softmax([x / temperature for x in row]) for row in (y, z))
    return temperature**2 * mp.fsum(map(xlog, q, p))


@entry("labels", lambda y, z: (0.0, ((1 - y) / (1 + np.exp(-z)) + y / (1 + np.exp(z))) / len(y)))
def multilabel_logistic(y, z):
    return mp.fsum(t * mp.log1p(mp.exp(-x)) + (1 - t) * mp.log1p(mp.exp(x)) for t, x in zip(y, z, strict=True)) / len(y)


@entry("hits")
def multilabel_margin(y, z, margin=1):
    own, others = ([x for x, t in zip(z, y, strict=True) if t == side] for side in (1, 0))
    return mp.fsum(max(margin - (a - b), 0) for a in own for b in others) / len(y)


def angular(y, z):
    a, b = z / np.linalg.norm(z), y / np.linalg.norm(y)
    size = np.abs(a) + np.abs(b)
    return (np.abs(a - b) * size).sum(), size / np.linalg.norm(z)


@entry("vectors", angular)
def cosine_distance(y, z):
    norm = [mp.sqrt(mp.fsum(x * x for x in row)) for row in (y, z)]
    return 1 - mp.fsum(a * b for a, b in zip(y, z, strict=True)) / (norm[0] * norm[1])
