"""What each loss of rows with a label is, once more and independently: the papers' formulas in mpmath, with no thought for rounding.

f(y, z, c, *parameters): the label, a list of scores, None or a list of class weights, all numbers mpf. Only values stand here; derivatives
are taken numerically. TERMS: sizes of what a derivative by definition subtracts, where it may pass through 0 and can be exact to them only.
"""

from mpmath import mp, mpf

HALF = mpf(0.5)


def weight(c, y):
    return mpf(1) if c is None else c[y]


KNOWN = {}  # exponentials and the like of a row's scores: derivatives change one of them at a time


def known(function):
    def looked_up(x):
        key = function, x._mpf_, mp.prec
        if key not in KNOWN:
            KNOWN[key] = function(x)
        return KNOWN[key]

    return looked_up


exp = known(mp.exp)


def softmax(z):
    e = [exp(x) for x in z]
    s = mp.fsum(e)
    return [x / s for x in e]


def log_softmax(z):
    lse = mp.log(mp.fsum(map(exp, z)))
    return [x - lse for x in z]


@known
def softplus(z):
    return mp.log1p(mp.exp(z))


def capped(x, temperature, softcap):
    """A masked class stays one."""
    return softcap * mp.tanh(x / temperature / softcap) if softcap and x != -mp.inf else x / temperature


def softmax_cross_entropy(y, z, c, temperature, softcap, label_smoothing, z_loss):
    u = [capped(x, temperature, softcap) for x in z]
    log_p = log_softmax(u)
    smooth = mp.fsum(-weight(c, j) * log_p[j] for j in range(len(z)) if weight(c, j)) / len(z) if label_smoothing else 0
    squared = z_loss * mp.log(mp.fsum(map(exp, u))) ** 2 if z_loss else 0
    own = -weight(c, y) * log_p[y] if weight(c, y) else 0
    return (1 - label_smoothing) * own + label_smoothing * smooth + squared


def label_p(y, z):
    return exp(z[y]) / mp.fsum(map(exp, z))


def categorical_focal(y, z, c, gamma):
    p = label_p(y, z)
    return weight(c, y) * (1 - p) ** gamma * -mp.log(p) if p < 1 else mpf(0)


def generalized_cross_entropy(y, z, c, q):
    return (1 - label_p(y, z) ** q) / q


def poly1_cross_entropy(y, z, c, epsilon):
    p = label_p(y, z)
    return -mp.log(p) + epsilon * (1 - p)


def brier(y, p, c, scale_by_half):
    return mp.fsum((x - (j == y)) ** 2 for j, x in enumerate(p)) / (2 if scale_by_half else 1)


def multi_margin(y, z, c, p, margin):
    return weight(c, y) / len(z) * mp.fsum(max(mpf(0), margin - z[y] + x) ** p for j, x in enumerate(z) if j != y)


def rival(y, z):
    return max(x for j, x in enumerate(z) if j != y)


def sparsemax(y, z, c):
    """Proposition 1 of Martins & Astudillo: sort, and find the support. Sums are of what can be in it."""
    top = max(z)
    sorted_z = sorted((x for x in z if x > top - 1), reverse=True)
    total, k = mpf(0), 0
    for x in sorted_z:
        if 1 + (k + 1) * x <= total + x:
            break
        total, k = total + x, k + 1
    tau = (total - 1) / k
    return HALF - z[y] + HALF * mp.fsum(x * x - tau * tau for x in sorted_z[:k])


def multiclass_log_loss(y, p, c, clip, normalize):
    q = p[y] / mp.fsum(p) if normalize else p[y]
    loss = -mp.log(min(max(q, clip), 1 - clip))
    return weight(c, y) * loss if weight(c, y) else mpf(0)


def ranked_probability_score(y, p, c, normalize):
    below, sum_ = mpf(0), mpf(0)
    for k, x in enumerate(p):
        below += x
        sum_ += (below - (k >= y)) ** 2
    return sum_ / (len(p) - 1 if normalize else 1)


def top_k_error(y, z, c, k):
    order = sorted(range(len(z)), key=lambda j: (z[j], j), reverse=True)
    return mpf(int(y not in order[: int(k)]))


VALUES = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "log_sum_exp": lambda y, z, c, temperature: temperature * mp.log(mp.fsum(exp(x / temperature) for x in z)),
    "negative_log_likelihood": lambda y, z, c: -weight(c, y) * z[y] if weight(c, y) else mpf(0),
    "one_vs_all_logistic": lambda y, z, c, average: (
        mp.fsum(softplus(-x if j == y else x) for j, x in enumerate(z)) / (len(z) if average else 1)
    ),
    "categorical_focal": categorical_focal,
    "generalized_cross_entropy": generalized_cross_entropy,
    "poly1_cross_entropy": poly1_cross_entropy,
    "softmax_brier": lambda y, z, c, half: brier(y, softmax(z), c, half),
    "multi_margin": multi_margin,
    "crammer_singer": lambda y, z, c, margin: max(mpf(0), margin + rival(y, z) - z[y]),
    "categorical_hinge": lambda y, z, c: max(mpf(0), 1 + max(mpf(0), rival(y, z)) - z[y]),
    "multiclass_perceptron": lambda y, z, c: max(z) - z[y],
    "sparsemax": sparsemax,
    "multiclass_log_loss": multiclass_log_loss,
    "multiclass_brier": brier,
    "ranked_probability_score": ranked_probability_score,
    "multiclass_error": lambda y, z, c: mpf(int(z.index(max(z)) != y)),
    "top_k_error": top_k_error,
}


# {name: {part: f(y, z, c, j, *parameters) -> size of the larger term}}, of the derivative by the score of class j (None: of the value)


def cross_entropy_slope(y, z, c, j, temperature, softcap, label_smoothing, z_loss):
    """Only what label_smoothing and z_loss bring in cancels."""
    if not label_smoothing and not z_loss:
        return mpf(0)
    u = [capped(x, temperature, softcap) for x in z]
    p = softmax(u)[j]
    bend = 1 - (u[j] / softcap) ** 2 if softcap and mp.isfinite(u[j]) else 1
    smooth = label_smoothing / len(z) * max(weight(c, j), p * (mp.fsum(c) if c else len(z)))
    lse = abs(mp.log(mp.fsum(map(exp, u)))) + max(abs(x) for x in u if mp.isfinite(x))
    p = max(p, mpf(2) ** -126 if z_loss else 0)  # float32 has no digits for less, and lse multiplies
    return bend / temperature * max(smooth, 2 * z_loss * lse * p, (1 - label_smoothing) * weight(c, y) * (1 - p if j == y else p))


def cross_entropy_bend(y, z, c, j, temperature, softcap, label_smoothing, z_loss):
    slope = cross_entropy_slope(y, z, c, j, temperature, softcap, label_smoothing, z_loss)
    if not softcap:
        return slope
    return max(slope, (weight(c, y) + mp.fsum(c or [0]) + 2 * z_loss * (softcap + mp.log(len(z)))) / softcap) * 2 / temperature**2


def brier_slope(y, z, c, j, half):
    p = softmax(z)
    far, others = (mp.fsum(x for k, x in enumerate(p) if k != i) for i in (j, y))
    return 2 * p[j] * max(min(p[j], far), p[y] * others, mp.fsum(x * x for k, x in enumerate(p) if k != j and k != y))


def brier_bend(y, z, c, j, half):
    """The derivative of p_j times the bracket of brier_slope, term by term; of the label's class 2 p (2 p - (1 - p)) times its cost."""
    p = softmax(z)
    far, others = (mp.fsum(x for k, x in enumerate(p) if k != i) for i in (j, y))
    at_label = 2 * p[j] * max(2 * p[j], others) * brier(y, p, c, False)
    elsewhere = max(brier_slope(y, z, c, j, half) * max(far, 2 * p[j]), 2 * p[j] * p[j] * (far + p[y]))
    return (at_label if j == y else elsewhere) / (2 if half else 1)


def rps_slope(y, p, c, j, normalize):
    below, terms = mpf(0), []
    for k, x in enumerate(p):
        below += x
        terms.append(abs(below - (k >= y)))
    return 2 * mp.fsum(terms[j:]) / (len(p) - 1 if normalize else 1)


def curvature(y, z, c, j, *parameters):
    """p_j (1 - p_j), which the Hessians of softmax's relatives are made of, times what multiplies it."""
    p = softmax(z)
    return 2 * p[j] * mp.fsum(x for k, x in enumerate(p) if k != j) * weight(c, y)


def focal_bend(y, z, c, j, gamma):
    p = softmax(z)
    others, far = (mp.fsum(x for k, x in enumerate(p) if k != i) for i in (y, j))
    return weight(c, y) * (1 + gamma) ** 2 * others**gamma * p[j] * far * (1 + (p[y] * -mp.log(p[y]) if p[y] else 0))


TERMS = {
    "softmax_cross_entropy": {"gradient": cross_entropy_slope, "hessian": cross_entropy_bend},
    "log_sum_exp": {"value": lambda y, z, c, j, temperature: max(z)},  # beside what the others add
    "categorical_focal": {"hessian": focal_bend},
    "generalized_cross_entropy": {"hessian": lambda y, z, c, j, q: curvature(y, z, c, j) * label_p(y, z) ** q},
    "poly1_cross_entropy": {"hessian": lambda y, z, c, j, epsilon: curvature(y, z, c, j) * (1 + abs(epsilon))},
    "softmax_brier": {"gradient": brier_slope, "hessian": brier_bend},
    "ranked_probability_score": {"gradient": rps_slope},
}
