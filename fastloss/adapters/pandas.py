"""pandas: costs of a DataFrame's columns. See fastloss/pandas.py."""

import numpy as np

import fastloss as fl

try:
    import pandas as pd
except ImportError as error:
    raise ImportError('fastloss.pandas needs pandas >= 2.2: pip install "fastloss[pandas]"') from error

if tuple(map(int, pd.__version__.split(".")[:2])) < (2, 2):
    raise ImportError(f'fastloss.pandas needs pandas >= 2.2, and this is {pd.__version__}: pip install -U "fastloss[pandas]"')


def cost(df, losses, y="y", p="p", sample_weight=None, by=None, nan="propagate", dropna=True, n_threads=None):
    """The costs of a DataFrame, sum(w * loss) / sum(w), correctly rounded; with ``by`` those of each group, from one pass over the data.

    df             the DataFrame
    losses         a loss, "huber:delta=2" or a configured one, or a list of them
    y, p           columns of targets and predictions; of losses of rows, a list of columns for scores (and for targets per class)
    sample_weight  a column, or None
    by             what df.groupby takes: a column, a list of them, a Series ...
    nan            "propagate", "skip" or "raise": what NaN (and missing values) make of a cost
    dropna         as in df.groupby: rows whose key is missing belong to no group

    Of one loss it returns a float, with ``by`` a Series over the groups, in the order and with the index of df.groupby(by); of a list a
    Series over the losses, with ``by`` a DataFrame with a column for each. A group with nothing to divide by has the cost NaN; without
    ``by`` that is a ValueError. A column that is not there is a KeyError."""
    state = fl.State(losses, nan=nan)
    given = [_columns(df, y), _columns(df, p), None if sample_weight is None else _columns(df, sample_weight)]
    if by is None:
        state.update(*given, n_threads=n_threads)
        found = state.compute()
        return found if state.single else pd.Series(found)
    grouped = df.groupby(by, sort=True, observed=True, dropna=dropna)
    numbers, index = grouped.ngroup(), grouped.size().index
    analysis = fl.Analysis(state, segments=max(1, len(index)))
    codes = numbers.to_numpy(np.float64)  # NaN, or -1, of what is in no group
    inside = codes >= 0
    if not inside.all():
        given = [_chosen(part, inside) for part in given]
    if inside.any():
        keys = [(i,) for i in range(len(index))]
        state.update(*given, n_threads=n_threads)
        analysis.update(*given, keys=keys, codes=codes[inside].astype(np.intp), n_threads=n_threads)
    costs = np.full((len(index), len(state.names)), np.nan)
    for segment in analysis.segments:
        costs[segment.values[0]] = [np.nan if result.cost is None else result.cost for result in segment.results]
    if state.single:
        return pd.Series(costs[:, 0], index, name=state.names[0])
    return pd.DataFrame(costs, index, columns=state.names)


def _columns(df, names):
    return [df[name] for name in names] if isinstance(names, list) else df[names]


def _chosen(part, rows):
    return None if part is None else [one[rows] for one in part] if isinstance(part, list) else part[rows]
