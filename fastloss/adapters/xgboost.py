"""XGBoost: objectives and metrics of losses. See fastloss/xgboost.py."""

import math

import numpy as np

from fastloss.adapters import boosting, boosting_metrics

try:
    import xgboost
except ImportError as error:
    raise ImportError('fastloss.xgboost needs XGBoost >= 2.1: pip install "fastloss[xgboost]"') from error

boosting.require("xgboost", xgboost.__version__, (2, 1))


def _weights(dtrain):
    weights = dtrain.get_weight()
    return weights if weights.size else None


class Objective(boosting.Objective):
    __doc__ = f"""{boosting.Objective.__doc__}
    Call it as XGBoost does: (predt, dtrain) with a DMatrix, for xgboost.train(obj=...); (y_true, y_pred, sample_weight=None) with arrays,
    for XGBRegressor(objective=...) and its like. It returns (gradient, Hessian): float32, shaped as the predictions, (N,) or (N, C).
    """

    error = xgboost.core.XGBoostError

    def __call__(self, first, second, sample_weight=None):
        if isinstance(second, xgboost.DMatrix):
            return self.derivatives(second.get_label(), first, _weights(second))
        return self.derivatives(np.asarray(first), np.asarray(second), None if sample_weight is None else np.asarray(sample_weight))


class Metric(boosting_metrics.Metric):
    __doc__ = f"""{boosting_metrics.Metric.__doc__}
    Call it as XGBoost does: (predt, dmatrix) returns (name, cost), for xgboost.train(custom_metric=...); (y_true, y_pred,
    sample_weight=None) the cost, for XGBRegressor(eval_metric=...).
    """

    error = xgboost.core.XGBoostError

    def __call__(self, first, second, sample_weight=None):
        if isinstance(second, xgboost.DMatrix):
            return self.name, self.value(second.get_label(), first, _weights(second))
        return self.value(np.asarray(first), np.asarray(second), None if sample_weight is None else np.asarray(sample_weight))


class Callback(xgboost.callback.TrainingCallback):
    """Fills a fastloss.Recorder: xgboost.train(callbacks=[Callback(log)]), XGBRegressor(callbacks=[...]). Of the evaluation sets, one whose
    name begins with "train" is the cost of training (of validation_0, validation_1 ... the first, if there are several), the first other
    that of validation; of several metrics the last, which early stopping takes, too."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def after_iteration(self, model, epoch, evals_log):
        names = list(evals_log)
        train = next((name for name in names if name.startswith("train")), names[0] if len(names) > 1 else None)
        validation = next((name for name in names if name != train), None)
        sides = {"train": train, "validation": validation}
        costs = {side: list(evals_log[name].values())[-1][-1] for side, name in sides.items() if name is not None}
        if costs:
            self.log.record(epoch, **{side: cost[0] if isinstance(cost, tuple) else cost for side, cost in costs.items()})
        return False


# name: (loss, hess, parameters, how base_score is found)
BUILTIN = {
    "reg:squarederror": ("half_squared_error", 1.0, {}, "mean"),
    "reg:pseudohubererror": ("pseudo_huber:delta={huber_slope}", "exact", {"huber_slope": 1.0}, "newton"),
    "reg:logistic": ("logistic:pos_weight={scale_pos_weight}", "exact", {"scale_pos_weight": 1.0}, "log_odds"),
    "binary:logistic": ("logistic:pos_weight={scale_pos_weight}", "exact", {"scale_pos_weight": 1.0}, "log_odds"),
    "binary:logitraw": ("logistic:pos_weight={scale_pos_weight}", "exact", {"scale_pos_weight": 1.0}, "mean"),
    "count:poisson": ("poisson_loss", "exact", {"max_delta_step": 0.7}, "log"),
    "reg:gamma": ("gamma_loss", "exact", {}, "log"),
    "reg:tweedie": ("tweedie_loss:power={tweedie_variance_power}", "exact", {"tweedie_variance_power": 1.5}, "log"),
    "multi:softprob": ("softmax_cross_entropy", "upper", {"num_class": None}, "log_shares"),
    "multi:softmax": ("softmax_cross_entropy", "upper", {"num_class": None}, "log_shares"),
}
RENEWED = "XGBoost fits the values of its leaves anew to quantiles of the residuals, which no objective of one's own can ask for"
REFUSED = {
    "reg:absoluteerror": RENEWED, "reg:quantileerror": RENEWED,
    "reg:squaredlogerror": "it moves raw scores below -1 to -1 + 1e-6, where the loss ends",
    "binary:hinge": "its Hessian outside the margin is the least normal float32",
}  # fmt: skip


class Builtin(Objective):
    """What XGBoost's own objective of a name computes, so that the same trees come of it, to the rounding of gradients. For XGBoost >= 3.2
    (else ImportError), and as 3.2 does it: its versions differ in some Hessians and starting points.

    name        "reg:squarederror", "reg:pseudohubererror", "reg:logistic", "binary:logistic", "binary:logitraw", "count:poisson",
                "reg:gamma", "reg:tweedie", "multi:softprob" or "multi:softmax". ValueError that says why for others
    parameters  XGBoost's, with its names and defaults: huber_slope, scale_pos_weight, max_delta_step, tweedie_variance_power; num_class
                where the labels do not have the last class

    XGBoost does more than derivatives for an objective of its own: params() has what must be set so that the rest is the same. Raw scores
    are then predict(output_margin=True) of its own, and predict of this.
    """

    def __init__(self, name, **parameters):
        spec, hess, defaults, self.start = boosting.known("XGBoost", name, BUILTIN, REFUSED)
        boosting.require("xgboost", xgboost.__version__, (3, 2))
        self.name, self.parameters = name, boosting.given("XGBoost", name, defaults, parameters)
        super().__init__(spec.format(**self.parameters), hess)

    def factor(self, classes):
        return math.exp(self.parameters["max_delta_step"]) if "max_delta_step" in self.parameters else super().factor(classes)

    def params(self, y_true, sample_weight=None, classifier=False):
        """Parameters for xgboost.train or an estimator: ``base_score``, the raw score that training starts from, as XGBoost would choose
        it, and for count:poisson ``max_delta_step``, by which it bounds leaves, too. classifier: for XGBClassifier, which of two classes
        takes base_score as a probability."""
        start = self._base_score(np.asarray(y_true), None if sample_weight is None else np.asarray(sample_weight))
        if classifier and not self.loss.definition.rows:
            start = 1.0 / (1.0 + math.exp(-start))
        return {"base_score": start} | {key: value for key, value in self.parameters.items() if key == "max_delta_step"}

    def _base_score(self, y, w):
        if self.start == "log_shares":  # of the classes, about their mean
            shares = np.bincount(y.astype(np.int64), w, self.parameters["num_class"] or 0)
            logs = np.log(np.maximum(shares / shares.sum(), 1e-6))
            return np.float32(logs - logs.mean()).tolist()
        if self.start == "newton" or self.parameters.get("scale_pos_weight", 1.0) != 1.0:  # one step from 0
            gradient, hessian = (float(part.sum(dtype=np.float64)) for part in self.derivatives(y, np.zeros(len(y), np.float32), w))
            return float(np.float32(-gradient / hessian))
        mean = float(np.float32(boosting.weighted_mean(y, w)))
        if self.start == "log_odds":
            return boosting.log_odds(min(max(mean, 1e-6), 1.0 - 1e-6))
        return mean if self.start == "mean" else math.log(mean)


objective, metric, builtin = Objective, Metric, Builtin
