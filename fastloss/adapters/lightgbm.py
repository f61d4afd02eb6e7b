"""LightGBM: objectives and metrics of losses. See fastloss/lightgbm.py."""

import math

import numpy as np

from fastloss.adapters import boosting, boosting_metrics

try:
    import lightgbm
except ImportError as error:
    raise ImportError('fastloss.lightgbm needs LightGBM >= 4.0: pip install "fastloss[lightgbm]"') from error

boosting.require("lightgbm", lightgbm.__version__, (4, 0))
LightGBMError = lightgbm.basic.LightGBMError


class Objective(boosting.Objective):
    __doc__ = f"""{boosting.Objective.__doc__}
    Call it as LightGBM does: (preds, train_data) with a Dataset, for params["objective"]; (y_true, y_pred, weight=None) with arrays, for
    LGBMRegressor(objective=...) and its like. It returns (gradient, Hessian): float32, shaped as the predictions, (N,), or (N, C) in
    Fortran order, which LightGBM takes as they are.
    """

    error = LightGBMError

    def __call__(self, first, second, weight=None):  # LightGBM counts these parameters: three are with weights
        if isinstance(second, lightgbm.Dataset):
            return self.derivatives(second.get_label(), first, second.get_weight())
        return self.derivatives(np.asarray(first), np.asarray(second), None if weight is None else np.asarray(weight))


class Metric(boosting_metrics.Metric):
    __doc__ = f"""{boosting_metrics.Metric.__doc__}
    Call it as LightGBM does: (preds, eval_data) with a Dataset, for lightgbm.train(feval=...); (y_true, y_pred, weight=None) with arrays,
    for fit(eval_metric=...). It returns (name, cost, False): lower is better.
    """

    error = LightGBMError

    def __call__(self, first, second, weight=None):
        if isinstance(second, lightgbm.Dataset):
            return self.name, self.value(second.get_label(), first, second.get_weight()), False
        cost = self.value(np.asarray(first), np.asarray(second), None if weight is None else np.asarray(weight))
        return self.name, cost, False


# name: (loss, hess, parameters, how the score that training starts from is found)
BUILTIN = {
    "regression": ("half_squared_error", 1.0, {}, "mean"),
    "huber": ("huber:delta={alpha}", 1.0, {"alpha": 0.9}, "mean"),
    "fair": ("fair:c={fair_c}", "exact", {"fair_c": 1.0}, "mean"),
    "poisson": ("poisson_loss", "exact", {"poisson_max_delta_step": 0.7}, "log"),
    "gamma": ("gamma_loss", "exact", {}, "log"),
    "tweedie": ("tweedie_loss:power={tweedie_variance_power}", "exact", {"tweedie_variance_power": 1.5}, "log"),
    "binary": ("logistic:pos_weight={scale_pos_weight}", "exact", {"scale_pos_weight": 1.0}, "log_odds"),
    "cross_entropy": ("logistic", "exact", {}, "log_odds"),
    "multiclass": ("softmax_cross_entropy", "exact", {"num_class": None}, "log_shares"),
    "multiclassova": ("one_vs_all_logistic", "exact", {"num_class": None}, "class_log_odds"),
}
RENEWED = "LightGBM fits the values of its leaves anew to quantiles of the residuals, which no objective of one's own can ask for"
REFUSED = {"regression_l1": RENEWED, "quantile": RENEWED, "mape": RENEWED, "cross_entropy_lambda": "fastloss has no such loss"}
TINY = 1e-15  # LightGBM's kEpsilon


class Builtin(Objective):
    """What LightGBM's own objective of a name computes, so that the same trees come of it, to the rounding of gradients.

    name        as in LightGBM's documentation, without aliases: "regression", "huber", "fair", "poisson", "gamma", "tweedie", "binary",
                "cross_entropy", "multiclass", "multiclassova". ValueError that says why for "regression_l1", "quantile", "mape"
    parameters  LightGBM's, with its names and defaults: alpha, fair_c, poisson_max_delta_step, tweedie_variance_power, scale_pos_weight;
                num_class where the labels do not have the last class

    LightGBM starts its own objectives, but not those of others, from the average: see init_score.
    """

    def __init__(self, name, **parameters):
        spec, hess, defaults, self.start = boosting.known("LightGBM", name, BUILTIN, REFUSED)
        self.name, self.parameters = name, boosting.given("LightGBM", name, defaults, parameters)
        super().__init__(spec.format(**self.parameters), hess, 0.0)

    def factor(self, classes):
        if self.name == "multiclass":
            return classes / (classes - 1.0)
        return math.exp(self.parameters["poisson_max_delta_step"]) if self.name == "poisson" else 1.0

    def init_score(self, y_true, sample_weight=None):
        """The score that LightGBM with boost_from_average=True, its default, would start from: a float, or C of them.

        Give each row of the Dataset that score, init_score=np.full(n, score) (or np.tile(scores, (n, 1))). The model's predictions then
        lack it: add it to predict(raw_score=True)."""
        y, w = np.asarray(y_true), None if sample_weight is None else np.asarray(sample_weight)
        if self.start in ("mean", "log"):
            mean = boosting.weighted_mean(y, w)
            return mean if self.start == "mean" else math.log(mean)
        if self.start == "log_odds":
            share = boosting.weighted_mean(y > 0 if self.name == "binary" else y, w)
            return boosting.log_odds(min(max(share, TINY), 1.0 - TINY))
        shares = np.bincount(y.astype(np.int64), w, self.parameters["num_class"] or 0)
        shares = np.clip(shares / shares.sum(), TINY, 1.0 - TINY)
        return np.log(shares) if self.start == "log_shares" else np.log(shares / (1.0 - shares))


objective, metric, builtin = Objective, Metric, Builtin
