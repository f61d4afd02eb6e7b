"""Losses as functions of DuckDB (1.1 or later, and pyarrow: pip install "fastloss[duckdb]").

    register(connection)                                      fl_huber, fl_log_loss, ...: all losses of single predictions
    register(connection, ["huber", "log_loss"])               these
    register(connection, {"my_loss": "huber:delta=2"})        a configured one, as fl_my_loss

They are vectorised, 2,048 rows a call. avg() is DuckDB's own sum; for costs that are exact, pass columns of the result to fastloss.

>>> import duckdb, fastloss.duckdb
>>> connection = duckdb.connect()
>>> names = fastloss.duckdb.register(connection, ["huber", "squared_error"])
>>> connection.execute("SELECT avg(fl_squared_error(y, p)), max(fl_huber(y, p, 0.5)) FROM (VALUES (1, 1.5), (3, 1)) t(y, p)").fetchone()
(2.125, 0.875)
"""

from fastloss.adapters.duckdb import register

__all__ = ["register"]
