"""Evaluations by Spark's executors, in local mode: the bits and errors of one machine, also where tasks are tried again."""

import os
import shutil
import sys
from functools import partial
from pathlib import Path

import polars as pl
import pytest

import fastloss as fl
from fastloss.evaluation import DataError, MissingLibraryError, engines, evaluate_files
from tests.engines import ANSWERS, LOSSES, N, assert_same, flaky, table, write_files

pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'fastloss[spark]'")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("there is no Java, which Spark runs on", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:pyspark", "ignore::ResourceWarning", "ignore::DeprecationWarning:pyspark")


@pytest.fixture(scope="module")
def session():
    """Of two cores; a task may fail three times. Workers import this tree."""
    set_before = {name: os.environ.get(name) for name in ("PYSPARK_PYTHON", "PYTHONPATH")}
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = str(Path(fl.__file__).parent.parent)
    builder = pyspark.sql.SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()
    for name, value in set_before.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("spark"))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(engines, "FEWEST", 4000)


def test_every_answer_has_the_bits_of_one_machine(session, folder):
    seen = []
    found = evaluate_files(folder, LOSSES, engine=session, progress=lambda *told: seen.append(told), **ANSWERS)
    assert_same(found, evaluate_files(folder, LOSSES, **ANSWERS))
    assert len(seen) == 10 and seen[-1] == (N + 2100, None)  # text does not tell how many rows it has


def test_rows_of_classes_by_the_session_that_is_there(session, folder):
    asked = {"target": "label", "prediction": "z_*", "per_class": True, "worst": 3, "calibration": True}
    found = evaluate_files(folder, "cross_entropy", engine="spark", n_threads=2, chunk_rows=700, **asked)
    assert_same(found, evaluate_files(folder, "cross_entropy", **asked))
    assert session.range(3).count() == 3, "it is not stopped"


@pytest.mark.parametrize("what", ["raise", "kill"])
def test_tasks_that_fail_are_tried_again(session, folder, tmp_path, monkeypatch, what):
    """Each piece fails once, by an error or with the process that counts it, and is added once."""
    from fastloss.evaluation.engines import spark

    monkeypatch.setattr(spark, "attempt", partial(flaky, tmp_path, what))
    found = evaluate_files(folder, LOSSES, engine=session, **ANSWERS)
    assert_same(found, evaluate_files(folder, LOSSES, **ANSWERS))
    assert len(list(tmp_path.iterdir())) == 10


def test_data_errors_are_those_of_one_machine(session, tmp_path):
    """Of several the first in the order of the rows."""
    bad = table(N, 3).with_row_index()
    bad.with_columns(p=pl.when(pl.col("index").is_in([9, 17_000])).then(1.5).otherwise("p")).write_parquet(tmp_path / "0.parquet")
    with pytest.raises(DataError) as expected:
        evaluate_files(tmp_path, "log_loss")
    with pytest.raises(DataError) as found:
        evaluate_files(tmp_path, "log_loss", engine=session)
    assert (str(found.value), found.value.path, found.value.row) == (str(expected.value), str(tmp_path / "0.parquet"), 9)


def test_without_pyspark(folder, monkeypatch):
    monkeypatch.delitem(sys.modules, "fastloss.evaluation.engines.spark", raising=False)
    monkeypatch.delattr(engines, "spark", raising=False)
    for name in [name for name in sys.modules if name.startswith("pyspark")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingLibraryError, match=r'pip install "fastloss\[spark\]"'):
        evaluate_files(folder, "mse", engine="spark")
