"""LightGBM trained with any loss of fastloss, and measured with any. For LightGBM >= 4.0: pip install "fastloss[lightgbm]".

    objective(loss, hess=None, floor=1e-16)   gradient and Hessian, for params["objective"] and LGBMRegressor(objective=...)
    metric(loss, name=None, link="auto")      the cost, for train(feval=...) and fit(eval_metric=...)
    builtin("poisson", ...)                   what LightGBM's own objective computes, for the same trees

A loss is text, "huber:delta=2", or a configured loss. Labels are as LightGBM has them: 0 and 1, class numbers, reals; weights are the
Dataset's. With an objective of one's own LightGBM starts at init_score (0 if not given), predicts raw scores without it, and hands
metrics raw scores.

>>> import lightgbm, numpy as np, fastloss.lightgbm
>>> random = np.random.default_rng(0)
>>> X = random.normal(size=(500, 3))
>>> y = X[:, 0] + random.standard_t(2, 500)
>>> train = lightgbm.Dataset(X, y, init_score=np.full(500, np.median(y)), free_raw_data=False)
>>> parameters = {"objective": fastloss.lightgbm.objective("log_cosh"), "num_leaves": 4, "verbose": -1}
>>> found = {}
>>> booster = lightgbm.train(
...     parameters, train, 20, valid_sets=[train], valid_names=["train"], feval=fastloss.lightgbm.metric("huber:delta=1"),
...     callbacks=[lightgbm.record_evaluation(found)],
... )
>>> found["train"]["huber"][0] > found["train"]["huber"][-1]
True
"""

from fastloss.adapters.lightgbm import Builtin, Metric, Objective, builtin, metric, objective

__all__ = ["objective", "metric", "builtin", "Objective", "Metric", "Builtin"]
