"""Losses as expressions of polars, over groups of pandas and as functions of DuckDB: the same numbers as of arrays, and what is refused."""

import doctest
import importlib
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import fastloss as fl
import fastloss.polars as flp

RNG = np.random.default_rng(9)
N = 5000
FRAME = pl.DataFrame({
    "y": RNG.random(N), "p": RNG.random(N), "f": RNG.random(N).astype(np.float32), "i": RNG.integers(0, 5, N), "w": RNG.random(N),
    "g": RNG.integers(0, 40, N), "h": RNG.choice(["a", "b"], N), "label": RNG.integers(0, 3, N),
    "z0": RNG.standard_normal(N), "z1": RNG.standard_normal(N), "z2": RNG.standard_normal(N),
})  # fmt: skip
SCORES = ["z0", "z1", "z2"]
HUBER = fl.Huber(delta=0.2)


def array(*names):
    return FRAME[names[0]].to_numpy() if len(names) == 1 else FRAME[list(names)].to_numpy()


@pytest.mark.parametrize("host", ["polars", "pandas", "duckdb"])
def test_examples_run(host):
    pytest.importorskip(host)
    found = doctest.testmod(importlib.import_module(f"fastloss.{host}"))
    assert found.attempted and not found.failed


@pytest.mark.parametrize("host", ["polars", "pandas", "duckdb", "pyarrow"])
def test_a_host_that_is_not_installed(host):
    ours = "duckdb" if host == "pyarrow" else host
    code = f"import sys; sys.modules[{host!r}] = None; import fastloss.{ours}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if ours != "duckdb" or host == "duckdb" or importlib.util.find_spec("duckdb"):
        assert run.returncode == 1 and f'pip install "fastloss[{ours}]"' in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("host", ["polars", "pandas", "duckdb"])
def test_a_host_that_is_too_old(host):
    pytest.importorskip(host)
    code = f"import {host}; {host}.__version__ = '0.9.1'; import fastloss.{host}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1 and f"ImportError: fastloss.{host} needs {host} >= " in run.stderr and "this is 0.9.1" in run.stderr


# polars


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
@pytest.mark.parametrize("p", ["p", "f", "i"])
@pytest.mark.parametrize("weight", [None, "w"])
def test_losses_of_rows_as_an_expression(engine, p, weight):
    chosen = {"loss": flp.loss(HUBER, "y", p, weight), "gradient": flp.gradient("huber:delta=0.2", pl.col("y"), pl.col(p), weight)}
    query = FRAME.lazy().select(**chosen)
    found = query.collect(engine=engine)
    assert query.collect_schema() == found.schema == dict.fromkeys(chosen, pl.Float32 if p == "f" else pl.Float64)
    w = None if weight is None else array("w")
    assert np.array_equal(found["loss"], HUBER.loss(array("y"), array(p), w))
    assert np.array_equal(found["gradient"], HUBER.gradient(array("y"), array(p), w))


def test_expressions_numbers_and_nothing():
    frame = FRAME.select(
        flp.loss("huber", pl.col("y") * 2, 0.5).alias("number"), flp.loss("huber", "y", "p", pl.lit(2)).alias("twice"),
        flp.loss("huber", 0.5, 1.0).alias("numbers"), flp.loss("huber", "y", "p").name.suffix("_of_p"),
    )  # fmt: skip
    assert frame.columns == ["number", "twice", "numbers", "huber_of_p"]
    assert np.array_equal(frame["number"], fl.Huber().loss(2 * array("y"), 0.5))
    assert np.array_equal(frame["twice"], 2 * fl.Huber().loss(array("y"), array("p")))
    assert frame["numbers"].to_list() == [0.125] * N
    empty = FRAME.clear().select(flp.loss("huber", "y", "f"), flp.gradient("huber", "y", "f").alias("g"))
    assert empty.schema == {"huber": pl.Float32, "g": pl.Float32} and empty.is_empty()
    one = FRAME[:1].select(flp.loss("huber", "y", "p")).item()
    assert one == fl.Huber().loss(array("y")[:1], array("p")[:1])[0]


def test_nulls_stay_null_and_nan_nan():
    frame = pl.DataFrame({"y": [1.0, None, 3.0, float("nan"), 5.0], "p": [1, 2, None, 4, 5], "w": [1.0, 1.0, 1.0, 1.0, 2.0]})
    for found in (
        frame.select(flp.loss("mse", "y", "p", "w")),
        frame.lazy().select(flp.loss("mse", "y", "p", "w")).collect(engine="streaming"),
    ):
        found = found.to_series().to_list()
        assert found[:3] == [0.0, None, None] and np.isnan(found[3]) and found[4] == 0.0
    assert frame.select(flp.loss("mse", "y", pl.lit(None, pl.Float64))).to_series().to_list() == [None] * 5
    costs = frame.select(flp.cost("mse", "y", "p").alias("a"), flp.cost("mse", "y", "p", nan="skip").alias("b"))
    assert np.isnan(costs["a"].item()) and costs["b"].item() == 0.0


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_costs_of_groups_are_those_of_their_rows(engine):
    chosen = {
        "mse": flp.cost("mse", "y", "p"), "rmse": flp.cost("rmse", "y", "p"), "w": flp.cost(HUBER, "y", pl.col("f"), sample_weight="w"),
        "number": flp.cost("mse", "y", 0.5), "ce": flp.cost("cross_entropy", "label", SCORES, "w"),
        "kl": flp.cost("kl_divergence_with_logits", ["y", "p", "w"], SCORES), "dice": flp.cost("dice", "y", "p"),
    }  # fmt: skip
    found = FRAME.lazy().group_by("g", "h").agg(**chosen).collect(engine=engine)
    assert len(found) == FRAME.select("g", "h").n_unique() and found.schema["ce"] == pl.Float64
    for row in found.iter_rows(named=True):
        at = ((FRAME["g"] == row["g"]) & (FRAME["h"] == row["h"])).to_numpy()
        y, p, f, w, z = array("y")[at], array("p")[at], array("f")[at], array("w")[at], array(*SCORES)[at]
        assert (
            row["mse"] == fl.mse(y, p) and row["rmse"] == fl.rmse(y, p) and row["w"] == HUBER(y, f, w) and row["number"] == fl.mse(y, 0.5)
        )
        assert row["ce"] == fl.cross_entropy(array("label")[at], z, w) and row["dice"] == fl.dice(y, p)
        assert row["kl"] == fl.kl_divergence_with_logits(array("y", "p", "w")[at], z)


def test_costs_of_columns_and_over_groups():
    assert FRAME.select(flp.cost("mse", "y", "p", "w")).item() == fl.mse(array("y"), array("p"), array("w"))
    over = FRAME.select("h", flp.cost("mse", "y", "p").over("h"))
    for name in "ab":
        at = (FRAME["h"] == name).to_numpy()
        assert over.filter(h=name)["squared_error"].unique().to_list() == [fl.mse(array("y")[at], array("p")[at])]
    stacked = FRAME.select("label", pl.concat_arr(SCORES).alias("z"))
    assert stacked.select(flp.cost("cross_entropy", "label", "z")).item() == fl.cross_entropy(array("label"), array(*SCORES))
    assert FRAME.clear().select(flp.cost("mse", "y", "p")).item() is None
    weightless = FRAME.group_by("h").agg(flp.cost("mse", "y", "p", pl.when(h="a").then(0).otherwise(1)).alias("c")).sort("h")
    assert weightless["c"][0] is None and weightless["c"][1] == fl.mse(*(array(c)[array("h") == "b"] for c in "yp"))


def test_what_polars_refuses():
    with pytest.raises(pl.exceptions.ComputeError, match="`y_true` of `poisson_loss` must be >= 0, got -1.0 at index 0"):
        FRAME.select(flp.loss("poisson_loss", -pl.lit(1.0), "p"))
    with pytest.raises(pl.exceptions.ComputeError, match="`sample_weight` must be finite and >= 0, got -1"):
        FRAME.group_by("g").agg(flp.cost("mse", "y", "p", -1))
    with pytest.raises(pl.exceptions.ComputeError, match="`loss` of `squared_error` must be a number, got nan at index 0"):
        FRAME.select(flp.cost("mse", "y", float("nan"), nan="raise"))
    with pytest.raises(pl.exceptions.ComputeError, match="`y_pred` must be an array of bool"):
        FRAME.select(flp.loss("mse", "y", "h"))
    with pytest.raises(
        TypeError, match="`root_mean_squared_error` is a cost, without a loss of each row: fastloss.polars.cost computes it"
    ):
        flp.loss("rmse", "y", "p")
    with pytest.raises(TypeError, match="`softmax_cross_entropy` is of rows of scores: fastloss.polars.cost"):
        flp.gradient("cross_entropy", "label", SCORES)
    with pytest.raises(ValueError, match="`nan` must be one of"):
        flp.cost("mse", "y", "p", nan="ignore")
    with pytest.raises(ValueError, match="unknown loss 'hubber'"):
        flp.loss("hubber", "y", "p")


# pandas


def of_groups(keys, call):
    """{key: what the call gives of the rows}"""
    return {key: call(np.flatnonzero([one == key for one in keys])) for key in set(keys)}


def test_costs_of_a_dataframe():
    pd, flpd = pytest.importorskip("pandas"), pytest.importorskip("fastloss.pandas")
    df = pd.DataFrame(FRAME.to_dict(as_series=False), index=np.arange(N)[::-1] * 3)
    y, p, w = array("y"), array("p"), array("w")
    assert flpd.cost(df, HUBER) == HUBER(y, p) and flpd.cost(df, "huber", "y", "f", "w") == fl.huber(y, df["f"].to_numpy(), w)
    both = flpd.cost(df, ["mse", "rmse"], sample_weight="w")
    assert both.to_dict() == fl.evaluate(["mse", "rmse"], y, p, w)
    assert flpd.cost(df, "cross_entropy", y="label", p=SCORES) == fl.cross_entropy(array("label"), array(*SCORES))
    single = flpd.cost(df, HUBER, sample_weight="w", by="g")
    assert single.index.name == "g" and single.name == "huber:delta=0.2" and single.index.is_monotonic_increasing
    assert single.to_dict() == of_groups(array("g").tolist(), lambda at: HUBER(y[at], p[at], w[at]))
    several = flpd.cost(df, ["mse", "rmse", "dice"], by=["h", "g"], n_threads=1)
    keys = list(zip(array("h").tolist(), array("g").tolist(), strict=True))
    assert list(several.columns) == ["mse", "rmse", "dice"] and several.index.names == ["h", "g"]
    for name in several:
        assert several[name].to_dict() == of_groups(keys, lambda at, name=name: getattr(fl, name)(y[at], p[at]))
    rows = flpd.cost(df, "cross_entropy", y="label", p=SCORES, by="h")
    assert rows.to_dict() == of_groups(array("h").tolist(), lambda at: fl.cross_entropy(array("label")[at], array(*SCORES)[at]))
    assert flpd.cost(df, "mse", by=df["g"] % 2).to_dict() == of_groups((array("g") % 2).tolist(), lambda at: fl.mse(y[at], p[at]))


@pytest.mark.parametrize("dtype", ["object", "category", "string[pyarrow]", "float"])
def test_groups_whose_key_is_missing(dtype):
    pd, flpd = pytest.importorskip("pandas"), pytest.importorskip("fastloss.pandas")
    values = [1.0, None, 2.0, 1.0] if dtype == "float" else ["a", None, "b", "a"]
    df = pd.DataFrame({"g": pd.Series(values, dtype=dtype), "y": [1.0, 2.0, 3.0, 4.0], "p": 0.0, "w": [1.0, 1.0, 0.0, 3.0]})
    first, last = values[0], values[2]
    assert flpd.cost(df, "mse", by="g").to_dict() == {first: 8.5, last: 9.0}
    kept = flpd.cost(df, ["mse"], by="g", dropna=False)
    assert kept["mse"].tolist() == [8.5, 9.0, 4.0] and pd.isna(kept.index[2])
    weighted = flpd.cost(df, "mse", sample_weight="w", by="g")
    assert weighted[first] == 12.25 and np.isnan(weighted[last])
    assert flpd.cost(df[:0], "mse", by="g").empty and flpd.cost(df[1:2], "mse", by="g").empty


def test_missing_values_and_bad_ones_of_a_dataframe():
    pd, flpd = pytest.importorskip("pandas"), pytest.importorskip("fastloss.pandas")
    df = pd.DataFrame({"g": [1, 1, 2], "y": pd.array([1, None, 3], "Int64"), "p": [1.0, 2.0, 3.0], "s": ["a", "b", "c"]})
    assert np.isnan(flpd.cost(df, "mse", by="g")[1]) and flpd.cost(df, "mse", by="g", nan="skip").to_dict() == {1: 0.0, 2: 0.0}
    with pytest.raises(fl.InputError, match="at index 1"):
        flpd.cost(df, "mse", by="g", nan="raise")
    with pytest.raises(KeyError, match="nothing"):
        flpd.cost(df, "mse", y="nothing")
    with pytest.raises(KeyError, match="nothing"):
        flpd.cost(df, "mse", by="nothing")
    with pytest.raises(TypeError, match="`y_pred` must be an array of"):
        flpd.cost(df, "mse", p="s", by="g")
    with pytest.raises(ValueError, match="nothing to divide by"):
        flpd.cost(df[:0], "mse")


# DuckDB


@pytest.fixture
def connection():
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("fastloss.duckdb")
    with duckdb.connect() as opened:
        opened.register("frame", FRAME)
        yield opened


def column(connection, expression, table="frame"):
    return connection.execute(f"SELECT {expression} AS found FROM {table}").fetchnumpy()["found"]


def test_losses_as_functions_of_sql(connection):
    names = fl_duckdb().register(connection)
    assert {"fl_huber", "fl_mse", "fl_log_loss", "fl_poisson_deviance"} <= {*names} and not {"fl_rmse", "fl_cross_entropy", "fl_dice"} & {
        *names
    }
    assert np.array_equal(column(connection, "fl_huber(y, p)"), fl.Huber().loss(array("y"), array("p")))
    assert np.array_equal(column(connection, "fl_huber(y, p, 0.2)"), HUBER.loss(array("y"), array("p")))
    assert np.array_equal(column(connection, "fl_mse(y, f)"), fl.SquaredError().loss(array("y"), array("f")))
    assert np.array_equal(column(connection, "fl_mse(i, 0.5)"), fl.SquaredError().loss(array("i"), 0.5))
    assert np.array_equal(column(connection, "fl_mse(i::UTINYINT, i::DECIMAL(9, 2) + 1)"), np.ones(N))
    clipped = column(connection, "fl_log_loss(1, CASE WHEN g = 0 THEN 0 ELSE p END, 'sklearn')")
    assert np.array_equal(clipped, fl.LogLoss(clip="sklearn").loss(np.ones(N), np.where(array("g") == 0, 0, array("p"))))
    ((mean, by),) = connection.execute("SELECT avg(fl_mse(y, p)), sum(w * fl_mse(y, p)) / sum(w) FROM frame").fetchall()
    assert mean == pytest.approx(fl.mse(array("y"), array("p")), rel=1e-12)  # DuckDB's sum is not exact
    assert by == pytest.approx(fl.mse(array("y"), array("p"), array("w")), rel=1e-12)


def fl_duckdb():
    return importlib.import_module("fastloss.duckdb")


def test_null_is_null_and_nan_is_nan(connection):
    fl_duckdb().register(connection, ["mse"])
    table = "(VALUES (1.0::DOUBLE, 2.0::DOUBLE), (NULL, 1.0), (2.0, NULL), ('nan'::DOUBLE, 1.0)) t(y, p)"
    found = [row[0] for row in connection.execute(f"SELECT fl_mse(y, p) FROM {table}").fetchall()]
    assert found[:3] == [1.0, None, None] and np.isnan(found[3])
    assert connection.execute("SELECT fl_mse(NULL, 1.0), fl_mse(1, 3)").fetchall() == [(None, 4.0)]
    assert connection.execute("SELECT fl_mse(y, p) FROM frame WHERE y > 5").fetchall() == []


def test_names_of_functions(connection):
    assert fl_duckdb().register(connection, {"mine": "huber:delta=0.2", "other": fl.Huber(3.0)}, prefix="") == ["mine", "other"]
    assert np.array_equal(column(connection, "mine(y, p)"), HUBER.loss(array("y"), array("p")))
    assert np.array_equal(column(connection, "mine(y, p, 0.1)"), fl.Huber(0.1).loss(array("y"), array("p")))
    assert fl_duckdb().register(connection, ["huber:delta=2", fl.LogCosh()]) == ["fl_huber", "fl_log_cosh"]
    assert connection.execute("SELECT fl_huber(0, 9)").fetchall() == [(16.0,)]


def test_what_duckdb_refuses(connection):
    duckdb = pytest.importorskip("duckdb")
    fl_duckdb().register(connection, ["huber", "poisson_loss"])
    for expression, message in (
        ("fl_poisson_loss(-1, 2)", "`y_true` of `poisson_loss` must be >= 0, got -1 in a row"),
        ("fl_huber(y, p, p)", "`delta` of `huber` must be a constant, got .* and others"),
        ("fl_huber(y, p, -1)", "`delta` of `huber` must be > 0, got -1.0"),
        ("fl_huber(y)", "`huber` takes y, p, delta; got 1 arguments"),
        ("fl_huber(y, p, 1, 2)", "`huber` takes y, p, delta; got 4 arguments"),
        ("fl_huber(h, p)", "`y_true` must be a column of numbers, got string"),
        ("fl_huber(y, DATE '2020-01-01')", "`y_pred` must be a column of numbers, got date32"),
    ):
        with pytest.raises(duckdb.InvalidInputException, match=message):
            connection.execute(f"SELECT {expression} FROM frame").fetchall()
    with pytest.raises(duckdb.Error, match="fl_huber"):
        fl_duckdb().register(connection, ["huber"])
    for name in ("rmse", "cross_entropy", "dice"):
        with pytest.raises(TypeError, match="has no loss of single predictions that a function of DuckDB could be"):
            fl_duckdb().register(connection, [name])


def test_relations_as_inputs(connection):
    """A relation hands its columns over as Arrow."""
    relation = connection.sql("SELECT z0, z1, z2 FROM frame")
    assert fl.cross_entropy(array("label"), relation) == fl.cross_entropy(array("label"), array(*SCORES))
    with pytest.raises(
        TypeError, match="`y_pred` must be a column of numbers, got a DuckDBPyRelation of something else, a table for instance"
    ):
        fl.mse(array("y"), connection.sql("SELECT p FROM frame"))
