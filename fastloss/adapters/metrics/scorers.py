"""Scorers of the losses in fastloss.metrics, for cross_val_score, GridSearchCV and their like; under scikit-learn's names where it has
them, and with its signs: greater is better, so that of a loss it is the negative.

neg_log_loss, neg_brier_score, d2_log_loss_score and d2_brier_score ask for probabilities, neg_hinge_loss for decisions, the others for
predictions. Weights come by metadata routing: ``neg_log_loss.set_score_request(sample_weight=True)``. Of losses with options, and the
pinball loss above all: ``sklearn.metrics.make_scorer(fastloss.metrics.mean_pinball_loss, greater_is_better=False, alpha=0.9)``.
"""

from fastloss.adapters.metrics import classification, decisions, deviances, regression, scores

NEEDED = 'fastloss.metrics.scorers needs scikit-learn 1.4 or later: pip install "scikit-learn>=1.4"'
try:
    import sklearn
    from sklearn.metrics import make_scorer
except ImportError as error:
    raise ImportError(NEEDED) from error
if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 4):  # make_scorer has no response_method, and does not say so
    raise ImportError(f"{NEEDED}; here is {sklearn.__version__}")

_LOSSES = {
    "mean_squared_error": regression, "root_mean_squared_error": regression, "mean_absolute_error": regression,
    "mean_absolute_percentage_error": regression, "mean_squared_log_error": regression, "root_mean_squared_log_error": regression,
    "median_absolute_error": regression, "mean_pinball_loss": regression, "max_error": regression, "mean_poisson_deviance": deviances,
    "mean_gamma_deviance": deviances, "mean_tweedie_deviance": deviances, "zero_one_loss": decisions, "hamming_loss": decisions,
}  # fmt: skip
_SCORES = {
    "r2": scores.r2_score, "explained_variance": scores.explained_variance_score, "d2_absolute_error_score": scores.d2_absolute_error_score,
    "d2_pinball_score": scores.d2_pinball_score, "d2_tweedie_score": scores.d2_tweedie_score,
}  # fmt: skip

SCORERS = {f"neg_{name}": make_scorer(getattr(room, name), greater_is_better=False) for name, room in _LOSSES.items()}
SCORERS |= {name: make_scorer(score) for name, score in _SCORES.items()}
SCORERS |= {
    "neg_log_loss": make_scorer(classification.log_loss, greater_is_better=False, response_method="predict_proba"),
    "neg_brier_score": make_scorer(classification.brier_score_loss, greater_is_better=False, response_method="predict_proba"),
    "d2_log_loss_score": make_scorer(classification.d2_log_loss_score, response_method="predict_proba"),
    "d2_brier_score": make_scorer(classification.d2_brier_score, response_method="predict_proba"),
    "neg_hinge_loss": make_scorer(decisions.hinge_loss, greater_is_better=False, response_method="decision_function"),
}
globals().update(SCORERS)


def get_scorer(name):
    """The scorer of this name; ValueError if there is none."""
    if name not in SCORERS:
        raise ValueError(f"{name!r} is not among the scorers: {', '.join(sorted(SCORERS))}")
    return SCORERS[name]
