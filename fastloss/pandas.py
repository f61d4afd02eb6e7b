"""Costs of the columns of a pandas DataFrame, by group, too (pandas 2.2 or later: pip install "fastloss[pandas]").

    cost(df, "huber", y="y", p="p")                           a float
    cost(df, ["mse", "mae"], y="y", p="p", by=["day", "g"])   a DataFrame of the costs of each group, in one pass

Losses and gradients of each row need nothing of this: every function of fastloss takes columns of pandas as they are.

>>> import pandas as pd, fastloss.pandas as flp
>>> df = pd.DataFrame({"g": ["a", "a", "b"], "y": [1.0, 2.0, 3.0], "p": [1.5, 2.0, 1.0]})
>>> flp.cost(df, "mse", by="g").to_dict()
{'a': 0.125, 'b': 4.0}
"""

from fastloss.adapters.pandas import cost

__all__ = ["cost"]
