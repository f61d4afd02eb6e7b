"""Losses with the methods and attributes of sklearn._loss.loss.BaseLoss of scikit-learn 1.9, made of ours by the table at the end.

What computes per sample is in BaseLoss; a row of the table says which of our losses a class is, its link and its flags.
"""

import inspect
from types import SimpleNamespace

import numpy as np

import fastloss as fl
from fastloss.adapters.sklearn import formulas
from fastloss.adapters.sklearn.links import ALL, INF, LINKS, NOT_NEGATIVE, POSITIVE, UNIT, Interval, MultinomialLogit
from fastloss.engine.memory import empty, empty_like

PIECE = 1 << 18  # samples of what goes through temporaries


class BaseLoss:
    """A loss of raw predictions (link space), with the methods of scikit-learn's private class of this name.

    y_true, sample_weight   (n_samples,) floats; labels 0, 1, ... of HalfMultinomialLoss are floats, too
    raw_prediction          (n_samples,), (n_samples, 1), or of HalfMultinomialLoss (n_samples, n_classes), in C or Fortran order
    loss_out, gradient_out, hessian_out   arrays to write to, float32 or float64 whatever the inputs are; else new ones
    sample_weight=          at construction it only decides whether the Hessian is constant; xp and device are kept and have no effect
    n_threads               1 by default, as there; None for as many as pay

    Like there, what is returned is multiplied by the weights; a call is the average. Unlike there, that is the correctly rounded one,
    float32 computes in float32, and targets outside of a loss's domain are refused (InputError, a ValueError), with their index.
    """

    differentiable, is_multiclass, approx_hessian = True, False, False
    _link, _flat, _parameters, _y_true, _n_classes = "identity", False, {}, ALL, None

    def __init__(self, sample_weight=None, xp=None, device=None, **parameters):
        for name in parameters:
            if name not in self._parameters and name != "n_classes":
                raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {name!r}")
        chosen = self._parameters | parameters
        quantile = chosen.get("quantile", 0.5)
        if not 0 < quantile < 1:
            raise ValueError(f"quantile == {quantile}, must be > 0 and < 1.")
        self.n_classes = chosen.pop("n_classes", self._n_classes)
        self.closs = SimpleNamespace(**{name: float(value) for name, value in chosen.items()})
        self.xp, self.device, self.link = xp, device, LINKS[self._link]
        self.constant_hessian = self._flat and sample_weight is None
        self.interval_y_true, self.interval_y_pred = self._y_true, self.link.interval_y_pred
        if "quantile" in chosen:
            self.quantile = quantile
        self._engines = {}
        self._settle()

    def _settle(self):
        """What depends on parameters."""

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_engines"}

    def __setstate__(self, state):
        vars(self).update(state, _engines={})

    def _engine(self):
        """Our configured loss; kept, as its parameters may be set anew: ``closs.delta``. None if there is none."""
        key = tuple(vars(self.closs).values())
        if key not in self._engines:
            self._engines = {key: self._make(**vars(self.closs))}
        return self._engines[key]

    def in_y_true_range(self, y):
        return self.interval_y_true.includes(y)

    def in_y_pred_range(self, y):
        return self.interval_y_pred.includes(y)

    def loss(self, y_true, raw_prediction, sample_weight=None, loss_out=None, n_threads=1):
        """The loss of each sample, (n_samples,)."""
        return self._compute(1, y_true, raw_prediction, sample_weight, loss_out, None, None, n_threads)[0]

    def gradient(self, y_true, raw_prediction, sample_weight=None, gradient_out=None, n_threads=1):
        """Its derivative by the raw prediction, shaped as that."""
        return self._compute(2, y_true, raw_prediction, sample_weight, None, gradient_out, None, n_threads)[1]

    def loss_gradient(self, y_true, raw_prediction, sample_weight=None, loss_out=None, gradient_out=None, n_threads=1):
        """(loss, gradient), in one pass."""
        return self._compute(3, y_true, raw_prediction, sample_weight, loss_out, gradient_out, None, n_threads)[:2]

    def gradient_hessian(self, y_true, raw_prediction, sample_weight=None, gradient_out=None, hessian_out=None, n_threads=1):
        """(gradient, hessian), in one pass; of several classes the diagonal, and where approx_hessian is True an upper bound."""
        return self._compute(6, y_true, raw_prediction, sample_weight, None, gradient_out, hessian_out, n_threads)[1:]

    def __call__(self, y_true, raw_prediction, sample_weight=None, n_threads=1):
        """The weighted average loss, a float."""
        engine = self._engine()
        if sample_weight is not None and not np.any(sample_weight):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        if engine is None or self._pieces is not None:
            return float(np.average(self.loss(y_true, raw_prediction, None, None, n_threads), weights=sample_weight))
        return engine(self._labels(y_true), _squeezed(raw_prediction), sample_weight, n_threads=n_threads)

    def _labels(self, y_true):
        return y_true

    _pieces = None  # a function of (y, raw, loss): does a piece need a formula, and which

    def _compute(self, parts, y_true, raw_prediction, sample_weight, loss_out, gradient_out, hessian_out, n_threads):
        """[loss, gradient, hessian], of which 1, 2 and 4 in ``parts`` say which there are."""
        given = loss_out, gradient_out, hessian_out
        known = next((out.dtype for out in given if out is not None), None)
        likes = y_true if np.asarray(y_true).dtype.kind == "f" else raw_prediction[..., 0] if self.is_multiclass else raw_prediction
        raw, outs = _squeezed(raw_prediction), []
        for part, out, like in zip((1, 2, 4), given, (likes, raw_prediction, raw_prediction), strict=True):
            out = empty_like(like, dtype=known) if out is None and parts & part else out if parts & part else None
            outs.append(out if out is None or part == 1 else _squeezed(out))
        if self._pieces is None and (engine := self._engine()) is not None:
            try:
                self._through(engine, parts, self._labels(y_true), raw, sample_weight, outs, n_threads)
            except fl.InputError as error:
                if error.argument != "y_pred":
                    raise
                self._by_formula(y_true, raw, sample_weight, outs)
        else:
            for at in range(0, len(raw), PIECE):
                one = slice(at, at + PIECE)
                w, cut = None if sample_weight is None else sample_weight[one], [None if out is None else out[one] for out in outs]
                engine = self._engine() if self._pieces is None else self._pieces(y_true[one])
                if engine is None:
                    self._by_formula(y_true[one], raw[one], w, cut)
                else:
                    self._through(engine, parts, y_true[one] == 1, raw[one], w, cut, n_threads)
        return tuple(outs)

    def _through(self, engine, parts, y, raw, w, outs, n_threads):
        """One of our losses, into the arrays."""
        loss, gradient, hessian = outs
        if self._flat and hessian is not None:
            hessian[...] = 1 if w is None else w
            hessian = None
        call = {
            (True, False, False): "loss", (False, True, False): "gradient", (True, True, False): "loss_gradient",
            (False, True, True): "gradient_hessian",
        }[loss is not None, gradient is not None, hessian is not None]  # fmt: skip
        named = {"loss_out": loss, "gradient_out": gradient, "hessian_out": hessian}
        getattr(engine, call)(y, raw, w, **{name: out for name, out in named.items() if out is not None}, n_threads=n_threads)
        if gradient is not None:
            self._mend(gradient, y, raw, w)

    def _mend(self, gradient, y, raw, w):
        """Where theirs has another subgradient than ours."""

    def _by_formula(self, y, raw, w, outs):
        with np.errstate(all="ignore"):
            for out, found in zip(outs, self._formula(y, raw), strict=True):
                if out is not None:
                    out[...] = found if w is None else found * w

    def fit_intercept_only(self, y_true, sample_weight=None):
        """The raw prediction of an intercept-only model: the link of the average, kept off the ends of its interval."""
        y_pred = np.average(y_true, weights=sample_weight, axis=0)
        eps, interval = 10 * np.finfo(y_pred.dtype).eps, self.interval_y_pred
        low = None if interval.low == -INF else interval.low if interval.low_inclusive else interval.low + eps
        high = None if interval.high == INF else interval.high if interval.high_inclusive else interval.high - eps
        return self.link.link(y_pred if low is None and high is None else np.clip(y_pred, low, high))

    def constant_to_optimal_zero(self, y_true, sample_weight=None):
        """What to add to each loss so that the least possible one is 0."""
        term = self._optimum(np.asarray(y_true))
        return term if sample_weight is None else term * sample_weight

    def _optimum(self, y):
        return np.zeros_like(y)

    def init_gradient_and_hessian(self, n_samples, dtype=np.float64, order="F"):
        """Uninitialised arrays for both; a constant Hessian is one 1."""
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"Valid options for 'dtype' are np.float32 and np.float64. Got dtype={dtype} instead.")
        shape = (n_samples, self.n_classes) if self.is_multiclass else (n_samples,)
        hessian = np.ones((1,), dtype) if self.constant_hessian else empty(shape, dtype, order)
        return empty(shape, dtype, order), hessian


def _squeezed(array):
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


class _TwoClasses(BaseLoss):
    """What losses of two classes have besides."""

    _n_classes, _y_true = 2, UNIT

    def predict_proba(self, raw_prediction):
        """Probabilities of both classes, (n_samples, 2)."""
        raw = _squeezed(raw_prediction)
        proba = empty((raw.shape[0], 2), raw.dtype)
        proba[:, 1] = self.link.inverse(raw)
        np.subtract(1, proba[:, 1], out=proba[:, 0])
        return proba


class _Tweedie(BaseLoss):
    """Half the deviance of power p, of the log or of the mean itself."""

    def _settle(self):
        power = self.closs.power
        self.interval_y_true = ALL if power <= 0 else NOT_NEGATIVE if power < 2 else POSITIVE
        if self._link == "identity":
            self.interval_y_pred = ALL if power == 0 else POSITIVE

    def _make(self, power):
        return formulas.tweedie_kernel(power, self._link)

    def _formula(self, y, raw):
        return (formulas.tweedie if self._link == "log" else formulas.tweedie_identity)(y, raw, self.closs.power)

    def _optimum(self, y):
        return formulas.tweedie_optimum(y, self.closs.power) if self._link == "log" else np.zeros_like(y)


class _Multinomial(BaseLoss):
    """Softmax cross-entropy of rows."""

    is_multiclass, _y_true = True, NOT_NEGATIVE

    def _labels(self, y_true):
        return y_true if y_true.dtype.kind in "iu" else y_true.astype(np.int32)

    def in_y_true_range(self, y):
        return self.interval_y_true.includes(y) and bool(np.all(y.astype(int) == y))

    def fit_intercept_only(self, y_true, sample_weight=None):
        """The link of the shares of the classes, (n_classes,)."""
        eps = np.finfo(y_true.dtype).eps
        shares = [np.clip(np.average(y_true == k, weights=sample_weight), eps, 1 - eps) for k in range(self.n_classes)]
        return self.link.link(np.array([shares], y_true.dtype)).reshape(-1)

    def predict_proba(self, raw_prediction):
        """Softmax, (n_samples, n_classes)."""
        return self.link.inverse(raw_prediction)

    def gradient_proba(self, y_true, raw_prediction, sample_weight=None, gradient_out=None, proba_out=None, n_threads=1):
        """(gradient, probabilities); the latter are not multiplied by weights."""
        like = next((out for out in (proba_out, gradient_out) if out is not None), raw_prediction)
        proba = empty_like(like) if proba_out is None else proba_out
        gradient = empty_like(like) if gradient_out is None else gradient_out
        fl.softmax(raw_prediction, out=proba, n_threads=n_threads)
        return self.gradient(y_true, raw_prediction, sample_weight, gradient, n_threads), proba


def _mend_absolute(self, gradient, y, raw, w):
    """-1 where prediction and target are equal; ours is 0."""
    for at in range(0, len(raw), PIECE):
        one = slice(at, at + PIECE)
        equal = np.flatnonzero(y[one] == raw[one])
        if len(equal):
            gradient[one][equal] = -1 if w is None else -w[one][equal]


def _hard(self, y):
    """Our loss, which takes two labels; None for targets between them."""
    return self._engine() if ((y == 0) | (y == 1)).all() else None


_ABSOLUTE = {"differentiable": False, "approx_hessian": True}
# name: (base, link, parameters, attributes, our loss; the raw prediction of an intercept, if not the average's; the optimum, if not 0)
TABLE = {
    "HalfSquaredError": (BaseLoss, "identity", {}, {"_flat": True}, lambda self: fl.HalfSquaredError(), None, None),
    "AbsoluteError": (
        BaseLoss, "identity", {}, _ABSOLUTE | {"_flat": True, "_mend": _mend_absolute}, lambda self: fl.AbsoluteError(),
        lambda self, y, w: np.median(y, axis=0) if w is None else formulas.percentile(y, w, 0.5), None,
    ),
    "PinballLoss": (
        BaseLoss, "identity", {"quantile": 0.5}, _ABSOLUTE | {"_flat": True}, lambda self, quantile: fl.Pinball(quantile),
        lambda self, y, w: formulas.quantile(y, w, self.closs.quantile), None,
    ),
    "HuberLoss": (
        BaseLoss, "identity", {"quantile": 0.9, "delta": 0.5}, _ABSOLUTE, lambda self, quantile, delta: fl.Huber(delta),
        lambda self, y, w: formulas.huber_intercept(y, w, self.closs.delta), None,
    ),
    "HalfPoissonLoss": (
        BaseLoss, "log", {}, {"_y_true": NOT_NEGATIVE}, lambda self: fl.PoissonLoss(), None, lambda self, y: formulas.tweedie_optimum(y, 1),
    ),
    "HalfGammaLoss": (
        BaseLoss, "log", {}, {"_y_true": POSITIVE}, lambda self: fl.GammaLoss(), None, lambda self, y: formulas.tweedie_optimum(y, 2),
    ),
    "HalfTweedieLoss": (_Tweedie, "log", {"power": 1.5}, {}, None, None, None),
    "HalfTweedieLossIdentity": (_Tweedie, "identity", {"power": 1.5}, {}, None, None, None),
    "HalfBinomialLoss": (
        _TwoClasses, "logit", {}, {}, lambda self: fl.Logistic(), None, lambda self, y: formulas.xlogx(y) + formulas.xlogx(1 - y),
    ),
    "HalfMultinomialLoss": (_Multinomial, "multinomial_logit", {"n_classes": 3}, {}, lambda self: fl.SoftmaxCrossEntropy(), None, None),
    "ExponentialLoss": (
        _TwoClasses, "half_logit", {}, {"_pieces": _hard, "_formula": lambda self, y, raw: formulas.exponential(y, raw)},
        lambda self: fl.Exponential(), None, lambda self, y: -2 * np.sqrt(y * (1 - y)),
    ),
}  # fmt: skip


def _signature(parameters):
    kinds = inspect.Parameter
    names = {"sample_weight": None, **parameters, "xp": None, "device": None}
    return inspect.Signature([kinds(name, kinds.POSITIONAL_OR_KEYWORD, default=value) for name, value in names.items()])


def _class(name, base, link, parameters, attributes, make, intercept, optimum):
    signature = _signature(parameters)

    def __init__(self, *args, **kwargs):  # noqa: N807 - of a class made here
        base.__init__(self, **signature.bind(*args, **kwargs).arguments)

    body = {"__init__": __init__, "__signature__": signature, "__module__": __name__, "__doc__": base.__doc__, "_link": link}
    body |= {"_parameters": parameters} | attributes
    if make is not None:
        body["_make"] = make
    if intercept is not None:
        body["fit_intercept_only"] = lambda self, y_true, sample_weight=None: intercept(self, y_true, sample_weight)
    if optimum is not None:
        body["_optimum"] = optimum
    return type(name, (base,), body)


CLASSES = {name: _class(name, *row) for name, row in TABLE.items()}
globals().update(CLASSES)

_hosts = {}


def as_host(loss):
    """The same loss, of a class that derives from scikit-learn's of the same name, too, for code that asks isinstance:
    ``HistGradientBoostingRegressor(loss=as_host(HalfGammaLoss()))``, GradientBoosting's leaves. Needs scikit-learn 1.4 or later."""
    try:
        from sklearn._loss import loss as module
    except ImportError as error:
        raise ImportError('fastloss.sklearn.as_host needs scikit-learn: pip install "scikit-learn>=1.4"') from error
    name = type(loss).__name__
    if name not in _hosts:
        _hosts[name] = type(name, (CLASSES[name], getattr(module, name)), {"__reduce__": lambda self: (_host_of, (name, vars(self)))})
    return _host_of(name, vars(loss))


def _host_of(name, state):
    if name not in _hosts:
        as_host(CLASSES[name]())
    made = object.__new__(_hosts[name])
    vars(made).update({key: value for key, value in state.items() if key != "_engines"}, _engines={})
    return made


__all__ = [*CLASSES, "BaseLoss", "Interval", "MultinomialLogit", "as_host"]
