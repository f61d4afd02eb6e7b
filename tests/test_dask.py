"""Evaluations by Dask's workers: the bits, errors and progress of one machine, whatever happens to a worker."""

import json
import os
import signal
import sys
import time
from functools import partial

import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main as command
from fastloss.evaluation import DataError, MissingLibraryError, SourceError, engines, evaluate_files
from tests.engines import ANSWERS, LOSSES, N, assert_same, flaky, lethal, table, write_files

distributed = pytest.importorskip("distributed", reason="dask and distributed are not installed: pip install 'fastloss[dask]'")
LOCAL = {"dashboard_address": None, "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"}}  # no port that may be taken


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("dask"))


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **LOCAL) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(engines, "FEWEST", 1000)


def test_every_answer_has_the_bits_of_one_machine(client, folder):
    expected = evaluate_files(folder, LOSSES, **ANSWERS)
    assert expected.rows == N + 2100
    assert_same(evaluate_files(folder, LOSSES, engine=client, **ANSWERS), expected)


def test_rows_of_classes(client, folder):
    asked = {"target": "label", "prediction": "z_*", "per_class": True, "worst": 3, "calibration": True, "nan": "skip"}
    expected = evaluate_files(folder, "cross_entropy", **asked)
    assert_same(evaluate_files(folder, "cross_entropy", engine=client, n_threads=2, chunk_rows=700, **asked), expected)


def test_a_scheduler_is_found_by_its_address_and_left_running(client, folder):
    address = client.scheduler.address
    assert_same(evaluate_files(folder, LOSSES, engine=address), evaluate_files(folder, LOSSES))
    assert client.submit(sum, (1, 2)).result() == 3
    assert not any(name.startswith("fastloss") for plugins in client.run(plugins_of).values() for name in plugins)


def plugins_of(dask_worker):
    return list(dask_worker.plugins)


def test_threads_of_one_process(folder):
    """Workers of several threads count several pieces of one file at a time."""
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=4, **LOCAL) as client:
        assert_same(evaluate_files(folder, LOSSES, engine=client, **ANSWERS), evaluate_files(folder, LOSSES, **ANSWERS))


def test_what_fails_once_is_tried_again(folder, tmp_path, monkeypatch):
    """A disk that does not answer, and comes back; one that does not is an error."""
    from fastloss.evaluation.engines import dask

    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2, **LOCAL) as client:
        monkeypatch.setattr(dask, "attempt", partial(flaky, tmp_path, "raise"))
        assert_same(evaluate_files(folder, LOSSES, engine=client, **ANSWERS), evaluate_files(folder, LOSSES, **ANSWERS))
        assert len(list(tmp_path.iterdir())) == 10
        monkeypatch.setattr(dask, "attempt", partial(flaky, tmp_path / "not there", "raise"))
        with pytest.raises(OSError, match="not there"):
            evaluate_files(folder, LOSSES, engine=client)


def test_its_own_cluster_is_ended(folder, monkeypatch):
    made = []

    class Watched(distributed.LocalCluster):
        def __init__(self, **options):
            super().__init__(**options)
            made.append((self, options))

    from fastloss.evaluation.engines import dask

    monkeypatch.setattr(dask, "LocalCluster", Watched)
    assert_same(evaluate_files(folder, "mse", engine="dask", n_threads=2), evaluate_files(folder, "mse"))
    ((cluster, options),) = made
    assert options["n_workers"] * options["threads_per_worker"] == 2
    assert cluster.status == distributed.Status.closed


def test_a_worker_that_is_killed(client, folder):
    """While pieces are under way: Dask has them counted again, those too that it had counted, and each is added once."""
    before, seen = set(client.run(os.getpid).values()), []

    def kill(done, total):
        if not seen:
            os.kill(min(before), signal.SIGKILL)
        seen.append(done)

    asked = ANSWERS | {"bootstrap": 2000}  # slow
    found = evaluate_files(folder, LOSSES, engine=client, progress=kill, **asked)
    assert_same(found, evaluate_files(folder, LOSSES, **asked))
    assert len(seen) > 4 and seen == sorted(set(seen)) and seen[-1] == N + 2100
    assert min(before) not in two_workers(client, {min(before)})


def two_workers(client, lost):
    """The processes of the workers, when those that were lost are replaced."""
    for _ in range(600):
        try:
            found = set(client.run(os.getpid, on_error="raise").values())
        except (OSError, RuntimeError):  # one that the scheduler does not know yet to be lost
            found = set()
        if len(found) == 2 and not found & lost:
            return found
        time.sleep(0.1)
    raise AssertionError("there are no two workers again")


def test_a_piece_that_no_worker_survives(client, folder, monkeypatch):
    from fastloss.evaluation.engines import dask

    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    monkeypatch.setattr(dask, "count_here", lethal)
    with pytest.raises(OSError, match=r"all workers that counted rows \d+ to \d+ of .*0.parquet were lost"):
        evaluate_files([folder / "0.parquet"], "mse", engine=client)
    assert two_workers(client, set())


def test_data_errors_are_those_of_one_machine(client, folder, tmp_path):
    """Of several the first in the order of the rows, whoever ends first."""
    bad = table(N, 3).with_row_index()
    for number, rows in enumerate(((25_000,), (4, 17_000))):
        p = pl.when(pl.col("index").is_in(rows)).then(1.5).otherwise("p")
        bad.with_columns(p=p).write_parquet(tmp_path / f"{number}.parquet")
    with pytest.raises(DataError) as expected:
        evaluate_files(tmp_path, "log_loss")
    with pytest.raises(DataError) as found:
        evaluate_files(tmp_path, "log_loss", engine=client)
    assert (str(found.value), found.value.path, found.value.row) == (str(expected.value), str(tmp_path / "0.parquet"), 25_000)
    whole = evaluate_files(folder, "log_loss", engine=client)
    assert whole.rows == N + 2100, "the workers are as good as before"


def test_broken_files_are_left_out(client, folder, tmp_path):
    write_files(tmp_path)
    table(500, 4).with_columns(pl.col("p") + 1).write_parquet(tmp_path / "4.parquet")
    (tmp_path / "5.parquet").write_bytes(b"no parquet")
    expected = evaluate_files(tmp_path, "log_loss", keep_going=True)
    assert len(expected.left_out) == 2
    assert_same(evaluate_files(tmp_path, "log_loss", keep_going=True, engine=client), expected)


def test_progress(client, folder):
    seen = []
    evaluate_files([folder / "0.parquet"], "mse", engine=client, progress=lambda *told: seen.append(told))
    assert [total for _, total in seen] == [N] * len(seen)
    assert seen == sorted(set(seen)) and seen[-1] == (N, N) and len(seen) == 8  # 2 threads, 4 pieces each


def test_few_pieces_are_under_way(client, folder, monkeypatch):
    """However many there are, the scheduler knows of so many ahead."""
    from fastloss.evaluation.engines import dask

    sent, ahead = [], []
    submit = client.submit
    monkeypatch.setattr(dask, "AHEAD", 3)
    monkeypatch.setattr(engines, "SHARE", 16)
    monkeypatch.setattr(client, "submit", lambda *args, **how: sent.append(how["key"]) or submit(*args, **how))
    evaluate_files([folder / "0.parquet"], "mse", engine=client, progress=lambda *_: ahead.append(len(sent) - len(ahead)))
    assert len(set(sent)) == len(sent) == len(ahead) == 30
    assert max(ahead) <= 4 + 1  # 2 of each of 2 threads, and what was sent for the one that is told of


@pytest.mark.parametrize(
    "engine, more, message",
    [
        ("flink", {}, "`engine` must be 'dask', a distributed.Client or the address"),
        (7, {}, "`engine` must be"),
        ("dask", {"state": "s.fls"}, "`engine` does not go with `state`"),
        ("dask", {"paths": "-"}, "standard input cannot be read by the workers"),
        ("tcp://127.0.0.1:9", {}, "no scheduler of Dask answers at tcp://127.0.0.1:9"),
    ],
)
def test_what_cannot_be_asked(folder, engine, more, message):
    with (
        pytest.raises(SourceError) as refused,
        __import__("dask").config.set({"distributed.comm.timeouts.connect": "500ms"}),
    ):
        evaluate_files(**{"paths": folder, "losses": "mse", "engine": engine} | more)
    assert message in str(refused.value)


def test_requests_that_fail_are_those_of_one_machine(client, folder):
    with pytest.raises(SourceError, match="no_such"):
        evaluate_files(folder, "mse", prediction="no_such", engine=client)
    for asked in ({"target": "t", "positive": "ost"}, {"by": "t", "max_segments": 2}, {"calibration": True}):
        errors = []
        for engine in (None, client):
            with pytest.raises(SourceError) as refused:
                evaluate_files(folder, "mse", engine=engine, **asked)
            errors.append(str(refused.value))
        assert errors[0] == errors[1]


@pytest.mark.parametrize("missing", ["dask", "distributed"])
def test_without_dask(folder, monkeypatch, missing):
    monkeypatch.delitem(sys.modules, "fastloss.evaluation.engines.dask", raising=False)
    monkeypatch.delattr(engines, "dask", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingLibraryError, match=r'pip install "fastloss\[dask\]"'):
        evaluate_files(folder, "mse", engine="dask")


def test_command_line(client, folder, capsys):
    documents = []
    for more in ([], ["--engine", client.scheduler.address]):
        assert command(["eval", str(folder), "-l", "log_loss", "--by", "s", "--json", "-q", *more]) == 0
        documents.append(json.loads(capsys.readouterr().out))
        assert documents[-1].pop("timing")["seconds"] > 0
    assert documents[0] == documents[1] and documents[0]["rows"] == N + 2100
    assert command(["eval", str(folder), "-l", "log_loss", "--engine", "flink"]) == 2
    assert "`engine` must be 'dask'" in capsys.readouterr().err
    assert fl.evaluate_files(folder, "log_loss")["log_loss"] == documents[1]["results"][0]["cost"]


def test_workers_without_fastloss(folder):
    """As where it is installed for the driver alone."""

    def hide():
        for name in [name for name in sys.modules if name.startswith("fastloss")]:
            del sys.modules[name]
        sys.modules["fastloss"] = None

    hide.__module__ = "__main__"  # sent as it is
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, **LOCAL) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.run(hide)
        with pytest.raises(SourceError, match="Dask's workers cannot import fastloss"):
            evaluate_files(folder, "mse", engine=client)
