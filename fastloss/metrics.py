"""The losses of sklearn.metrics, and the scores made of them: the same names, arguments, exceptions, warnings and results, many times
faster. scikit-learn is not needed, but by the scorers.

    from fastloss.metrics import log_loss, mean_squared_error       # instead of: from sklearn.metrics import ...
    from fastloss.metrics import scorers                            # scorers.neg_log_loss ..., for scoring=; these need scikit-learn

Written for scikit-learn 1.9, whose behaviour the tests compare with. What differs, on purpose:

* Costs are float64, the correctly rounded mean of the losses, which have the precision of the predictions; scikit-learn adds up in that
  precision. So are the arrays of ``multioutput="raw_values"``. float16 computes in float32.
* The binary log_loss takes log(1 - p) without rounding 1 - p; deviances keep their digits where prediction and target are close.
* The R2 of a constant target is what ``force_finite`` says, whether or not NumPy's mean of that constant rounds.
* NaN and infinity are always refused: sklearn.config_context(assume_finite=True) does not change that.
* Exceptions are ``InvalidParameterError`` (a ValueError and a TypeError), ValueError, TypeError and ZeroDivisionError as scikit-learn's,
  and warnings likewise; its own classes where it is loaded, else classes of ours with the same names.

Not here: what is no loss (accuracy, ROC, F scores, ...), and the losses of rankings (coverage_error, label_ranking_loss, dcg and ndcg).
"""

from fastloss.adapters.absent import absent as _absent
from fastloss.adapters.metrics.checks import InvalidParameterError, UndefinedMetricWarning
from fastloss.adapters.metrics.classification import brier_score_loss, d2_brier_score, d2_log_loss_score, log_loss
from fastloss.adapters.metrics.decisions import hamming_loss, hinge_loss, zero_one_loss
from fastloss.adapters.metrics.deviances import mean_gamma_deviance, mean_poisson_deviance, mean_tweedie_deviance
from fastloss.adapters.metrics.regression import (
    max_error,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_pinball_loss,
    mean_squared_error,
    mean_squared_log_error,
    median_absolute_error,
    root_mean_squared_error,
    root_mean_squared_log_error,
)
from fastloss.adapters.metrics.scores import (
    d2_absolute_error_score,
    d2_pinball_score,
    d2_tweedie_score,
    explained_variance_score,
    r2_score,
)

__all__ = [
    "InvalidParameterError", "UndefinedMetricWarning", "brier_score_loss", "d2_absolute_error_score", "d2_brier_score",
    "d2_log_loss_score", "d2_pinball_score", "d2_tweedie_score", "explained_variance_score", "hamming_loss", "hinge_loss", "log_loss",
    "max_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_gamma_deviance", "mean_pinball_loss",
    "mean_poisson_deviance", "mean_squared_error", "mean_squared_log_error", "mean_tweedie_deviance", "median_absolute_error", "r2_score",
    "root_mean_squared_error", "root_mean_squared_log_error", "zero_one_loss",
]  # fmt: skip


def __getattr__(name):
    if name == "scorers":
        from fastloss.adapters.metrics import scorers

        return scorers
    return _missing(name)


_missing = _absent(__name__, [*__all__, "scorers"], "it has losses and scores made of them (see dir()); others are in sklearn.metrics")
