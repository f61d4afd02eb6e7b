"""Losses as expressions of polars (2.0 or later: pip install "fastloss[polars]").

    loss("huber:delta=2", "y", "p")                     per row, elementwise: it streams
    gradient("logistic", "y", pl.col("z") / 2)          its derivative with respect to the prediction
    cost("log_loss", "y", "p", sample_weight="w")       the mean, exact; in group_by and over that of each group

Columns come and go without copies, through the Arrow interface. A group costs a call of Python, some tens of microseconds.

>>> import polars as pl, fastloss.polars as flp
>>> frame = pl.DataFrame({"g": ["a", "a", "b"], "y": [1.0, 2.0, 3.0], "p": [1.5, 2.0, 1.0]})
>>> frame.select(flp.loss("squared_error", "y", "p"))["squared_error"].to_list()
[0.25, 0.0, 4.0]
>>> frame.group_by("g", maintain_order=True).agg(flp.cost("squared_error", "y", "p").alias("mse"))["mse"].to_list()
[0.125, 4.0]
"""

from fastloss.adapters.polars import cost, gradient, loss

__all__ = ["cost", "gradient", "loss"]
