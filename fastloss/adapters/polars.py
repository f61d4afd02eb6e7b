"""Polars: losses as expressions. See fastloss/polars.py."""

import numpy as np

import fastloss as fl

try:
    import polars as pl
except ImportError as error:
    raise ImportError('fastloss.polars needs polars >= 2.0: pip install "fastloss[polars]"') from error

if int(pl.__version__.partition(".")[0]) < 2:
    raise ImportError(f'fastloss.polars needs polars >= 2.0, and this is {pl.__version__}: pip install -U "fastloss[polars]"')

FLOATS = (pl.Float16, pl.Float32)  # the dtypes of predictions that outputs keep; of all others they are float64


def loss(loss, y_true, y_pred, sample_weight=None):
    """An expression for the loss of every row, times its weight if there is one.

    loss                   text, "huber:delta=2", or a configured loss, of single predictions
    y_true, y_pred, sample_weight
                           expressions, names of columns, or numbers
    dtype                  the prediction's, if that is Float16 or Float32, else Float64
    nulls                  null where target, prediction or weight is; NaN stay NaN
    errors                 what a loss refuses is polars' ComputeError, with our message, whose index is that in what polars computes at
                           once: all of a DataFrame, a part of what streams

    It is elementwise, so that it streams, and is computed by any number of rows at a time."""
    return _each(loss, y_true, y_pred, sample_weight, "loss")


def gradient(loss, y_true, y_pred, sample_weight=None):
    """An expression for the derivative of every row's loss with respect to its prediction; all else as of ``loss``."""
    return _each(loss, y_true, y_pred, sample_weight, "gradient")


def cost(loss, y_true, y_pred, sample_weight=None, nan="propagate"):
    """An expression for the cost, sum(w * loss) / sum(w), correctly rounded: a Float64 of a column, in group_by and over of each group.

    loss    any loss, those of rows, too: y_pred (and the target, if it is one per class) is then a list of columns, or one of Array dtype
    nulls   are NaN: with nan="propagate" the cost is NaN, with "skip" such rows are left out, with "raise" they are an error
    empty   groups, and those whose weights sum to 0, have the cost null"""
    configured = fl.get(loss)
    y, p = (_several(part) if configured.definition.rows else [part] for part in (y_true, y_pred))
    fl.State(configured, nan=nan)  # refuses what `nan` may not be, here and not when the query runs

    def of_group(columns):
        groups = columns[: len(y)], columns[len(y) : len(y) + len(p)]
        weight = _value(columns[-1], max(map(len, columns))) if sample_weight is not None else None
        single = [_value(group[0], max(map(len, columns))) if len(group) == 1 else group for group in groups]
        state = _told(fl.State(configured, nan=nan).update, *single, weight)
        try:
            return state.compute()
        except ValueError:  # nothing to divide by
            return None

    parts = [*map(_expression, y + p), *([] if sample_weight is None else [_expression(sample_weight)])]
    return pl.map_batches(parts, of_group, return_dtype=pl.Float64, returns_scalar=True).alias(configured.name)


def _each(loss, y_true, y_pred, sample_weight, method):
    configured = fl.get(loss)
    definition = configured.definition
    if definition.rows or definition.base or definition.terms:
        what = "is of rows of scores" if definition.rows else "is a cost, without a loss of each row"
        raise TypeError(f"`{configured.name}` {what}: fastloss.polars.cost computes it")
    parts = [_expression(part) for part in (y_true, y_pred, sample_weight) if part is not None]
    compute = getattr(configured, method)

    def of_rows(columns):
        n = max(map(len, columns))
        dtype = columns[1].dtype if columns[1].dtype in FLOATS else pl.Float64
        found = _told(compute, *(_value(column, n) for column in columns))
        result = pl.Series(np.broadcast_to(found, n)).cast(dtype)
        missing = [column.is_null() for column in columns if column.null_count()]
        for mask in missing:
            result = result.zip_with(~mask if len(mask) == n else ~mask.new_from_index(0, n), pl.Series([None], dtype=dtype))
        return result

    return pl.map_batches(parts, of_rows, return_dtype=pl.dtype_of(parts[1] * 1.0), is_elementwise=True).alias(configured.name)


def _told(function, *arguments):
    """What the function gives; what it refuses is polars' own error, which polars can make anew from its text."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        raise pl.exceptions.ComputeError(str(error)) from error


def _several(part):
    return list(part) if isinstance(part, list | tuple) else [part]


def _expression(part):
    return pl.col(part) if isinstance(part, str) else part if isinstance(part, pl.Expr) else pl.lit(part)


def _value(column, n):
    """The column, or of a literal, which comes as a column of one, its number."""
    if len(column) != 1 or n == 1 or column.dtype.is_nested():
        return column
    number = column.item()
    return float("nan") if number is None else number
