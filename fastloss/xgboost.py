"""XGBoost trained with any loss of fastloss, and measured with any. For XGBoost >= 2.1: pip install "fastloss[xgboost]".

    objective(loss, hess=None, floor=1e-16)   gradient and Hessian, for train(obj=...) and XGBRegressor(objective=...)
    metric(loss, name=None, link="auto")      the cost, for train(custom_metric=...) and XGBRegressor(eval_metric=...)
    builtin("count:poisson", ...)             what XGBoost's own objective computes, for the same trees
    Callback(log)                             fills a fastloss.Recorder with the costs of the evaluation sets

A loss is text, "huber:delta=2", or a configured loss. Labels are as XGBoost has them: 0 and 1, class numbers, reals; weights are the
DMatrix's. With an objective of one's own XGBoost starts at base_score (0.5 if not given), predicts raw scores, and hands metrics those.
XGBClassifier alone goes on as for binary:logistic or multi:softprob: base_score is a probability (0.5 is raw score 0), predict and
predict_proba take the sigmoid or softmax of raw scores.

>>> import numpy as np, xgboost, fastloss.xgboost
>>> random = np.random.default_rng(0)
>>> X = random.normal(size=(500, 3))
>>> y = X[:, 0] + random.standard_t(2, 500)
>>> train = xgboost.DMatrix(X, y)
>>> found = {}
>>> booster = xgboost.train(
...     {"base_score": float(np.median(y)), "max_depth": 2}, train, 20, obj=fastloss.xgboost.objective("log_cosh"),
...     custom_metric=fastloss.xgboost.metric("huber:delta=1"), evals=[(train, "train")], evals_result=found, verbose_eval=False,
... )
>>> found["train"]["huber"][0] > found["train"]["huber"][-1]
True
"""

from fastloss.adapters.xgboost import Builtin, Callback, Metric, Objective, builtin, metric, objective

__all__ = ["objective", "metric", "builtin", "Callback", "Objective", "Metric", "Builtin"]
