"""CatBoost trained with any loss of fastloss, and measured with any. For CatBoost >= 1.2.8: pip install "fastloss[catboost]".

    objective(loss, hess=None, floor=1e-16)   gradient and Hessian, for loss_function=
    metric(loss, name=None, link="auto")      the cost, for eval_metric=
    builtin("Huber", delta=2.0)               what CatBoost's own objective computes, for the same trees

A loss is text, "huber:delta=2", or a configured loss. Labels are numbers: 0 and 1, class numbers, reals; weights are the Pool's. With an
objective of one's own CatBoost starts at the Pool's baseline (0 if not given), and needs an eval_metric. It runs on CPUs only.
CatBoostClassifier needs class_names=, too: then labels may be text, predict gives them, and predict_proba the sigmoid or softmax of raw
scores. Without class_names it has predict(prediction_type="RawFormulaVal") alone.

>>> import catboost, numpy as np, fastloss.catboost
>>> random = np.random.default_rng(0)
>>> X = random.normal(size=(500, 3))
>>> y = X[:, 0] + random.standard_t(2, 500)
>>> model = catboost.CatBoostRegressor(
...     loss_function=fastloss.catboost.objective("log_cosh"), eval_metric=fastloss.catboost.metric("huber:delta=1"),
...     iterations=20, depth=2, verbose=False, allow_writing_files=False,
... ).fit(X, y)
>>> found = model.get_evals_result()["learn"]["huber"]
>>> found[0] > found[-1]
True
"""

from fastloss.adapters.catboost import Builtin, Metric, Objective, builtin, metric, objective

__all__ = ["objective", "metric", "builtin", "Objective", "Metric", "Builtin"]
