"""DuckDB: losses as scalar functions. See fastloss/duckdb.py."""

import functools

import numpy as np

import fastloss as fl
from fastloss.losses import definitions

try:
    import duckdb
    import pyarrow as pa
    from pyarrow import compute
except ImportError as error:
    raise ImportError('fastloss.duckdb needs duckdb >= 1.1 and pyarrow: pip install "fastloss[duckdb]"') from error

if tuple(map(int, duckdb.__version__.split(".")[:2])) < (1, 1):
    raise ImportError(f'fastloss.duckdb needs duckdb >= 1.1, and this is {duckdb.__version__}: pip install -U "fastloss[duckdb]"')


def register(connection, losses=None, prefix="fl_"):
    """Create a function for each loss, fl_huber(y, p, delta), which is the loss of a row; its cost is avg(fl_huber(y, p, delta)).

    connection  a DuckDBPyConnection
    losses      None: all losses of single predictions, by all their names (not those costs that are no means of losses, as rmse); or a
                list of names; or a dict from names of functions, without the prefix, to losses, "huber:delta=2" or configured ones
    prefix      of the functions' names

    After y and p come the loss's parameters, in their order, each a constant; those that are not given have what the loss was configured
    with. The result is DOUBLE, and NULL if an argument is. Types that are no numbers, parameters that are not constant, and what a loss
    refuses are errors of DuckDB with our message. A name that a function has already is an error of DuckDB. Returns the names."""
    if losses is None:
        chosen = {name: one.name for one in definitions() if _is_of_samples(one) for name in (one.name, *one.aliases)}
    elif isinstance(losses, dict):
        chosen = losses
    else:
        chosen = {fl.get(loss).name if not isinstance(loss, str) else loss.partition(":")[0]: loss for loss in losses}
    made = {f"{prefix}{name}": _function(fl.get(loss)) for name, loss in chosen.items()}
    for name, function in made.items():
        connection.create_function(name, function, None, "DOUBLE", type="arrow")
    return list(made)


def _is_of_samples(definition):
    return not (definition.rows or definition.base or definition.terms)


def _function(loss):
    if not _is_of_samples(loss.definition):
        raise TypeError(f"`{loss.name}` has no loss of single predictions that a function of DuckDB could be")
    names, given = list(loss.definition.parameters), dict(loss.parameters)
    with_parameters = functools.lru_cache(lambda *values: type(loss)(**{**given, **dict(zip(names, values, strict=False))}))

    def function(*columns):
        if not 2 <= len(columns) <= 2 + len(names):
            raise TypeError(f"`{loss.name}` takes y, p{''.join(f', {name}' for name in names)}; got {len(columns)} arguments")
        values = [_constant(loss, name, column) for name, column in zip(names, columns[2:], strict=False)]
        configured = with_parameters(*values) if values else loss
        y, p = (_numbers(name, column) for name, column in zip(("y_true", "y_pred"), columns, strict=False))
        try:
            return pa.array(configured.loss(y, p), pa.float64())
        except fl.InputError as error:
            raise ValueError(error.text("in a row")) from None

    return function


def _constant(loss, name, column):
    value = column[0].as_py()
    if not compute.all(compute.equal(column, column[0])).as_py():
        raise ValueError(f"`{name}` of `{loss.name}` must be a constant, got {value} and others")
    return value if isinstance(value, str | bool) else float(value)


def _numbers(name, column):
    """A column without NULL, which DuckDB answers itself, as an array; DECIMAL, HUGEINT and the like as float64."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    array = np.asarray(column)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"`{name}` must be a column of numbers, got {column.type}")
    return array
