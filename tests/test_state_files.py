"""State files in use: one process at a time writes them, Ctrl-C saves first, and a run may ask for less than it was begun with."""

import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main as command
from fastloss.evaluation import SourceError, evaluate_files
from fastloss.evaluation.locked import locked
from fastloss.evaluation.saved import load
from tests.test_answers_of_formats import made
from tests.test_resume import LOSSES, everything

flocks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no flock here")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for i in range(4):
        made(i, 200).write_parquet(folder / f"{i}.parquet", row_group_size=50)
    return folder


# Ctrl-C


@pytest.fixture(autouse=True)
def pythons_own_ctrl_c():
    """Which is what is promised of; a SparkContext of other tests has put its own in place."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupting(after, times=1):
    """A progress that sends Ctrl-C, so many times, when it is called for the ``after``-th time."""
    left = after

    def progress(done, total):
        nonlocal left
        left -= 1
        for _ in range(times if left == 0 else 0):
            os.kill(os.getpid(), signal.SIGINT)

    return progress


@pytest.mark.parametrize("keep_going", [False, True])
@pytest.mark.parametrize("after", [1, 6, 16])
def test_ctrl_c_saves_what_was_counted(data, tmp_path, after, keep_going):
    state, options = tmp_path / "s.fls", {"by": "text", "bootstrap": 5, "worst": 3, "chunk_rows": 50, "keep_going": keep_going}
    with pytest.raises(KeyboardInterrupt, match=f"{50 * after} rows are saved to .*s.fls; the same again goes on from there"):
        evaluate_files(data, LOSSES, state=state, save_every=1000, progress=interrupting(after), **options)
    found = load(state)
    assert sum(part.covered.total for part in (found.part, found.opened) if part is not None) == 50 * after
    found = evaluate_files(data, LOSSES, state=state, **options)
    assert found.resumed == 50 * after and everything(found) == everything(evaluate_files(data, LOSSES, **options))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler and sorted(os.listdir(tmp_path)) == ["data", "s.fls"]


def test_ctrl_c_twice_does_not_wait(data, tmp_path):
    state = tmp_path / "s.fls"
    with pytest.raises(KeyboardInterrupt) as caught:
        evaluate_files(data, LOSSES, state=state, save_every=1000, progress=interrupting(3, times=2), chunk_rows=50)
    assert not caught.value.args and load(state).part.covered.total == 0, "what was saved before"
    assert evaluate_files(data, LOSSES, state=state).rows == 800


def test_ctrl_c_of_others_is_theirs(data, tmp_path):
    """A handler of the program's own stays; threads have none."""
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        found = evaluate_files(data, LOSSES, state=tmp_path / "s.fls", progress=interrupting(3), chunk_rows=50)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1] and found.rows == 800
    thread = threading.Thread(target=lambda: heard.append(evaluate_files(data, LOSSES, state=tmp_path / "t.fls").rows))
    thread.start()
    thread.join()
    assert heard == [1, 800]


def test_the_command_says_what_it_saved(tmp_path):
    rng, n = np.random.default_rng(0), 3_000_000
    np.savez(tmp_path / "t.npz", y=rng.random(n, np.float32), p=rng.random(n, np.float32))
    words = ["eval", str(tmp_path / "t.npz"), "-l", "mse", "--bootstrap", "60", "--state", str(tmp_path / "s.fls"), "-q", "--json"]
    start = [sys.executable, "-m", "fastloss", *words, "--save-every", "0"]
    with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not ((tmp_path / "s.fls").exists() and load(tmp_path / "s.fls").part.covered.total):
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    rows = load(tmp_path / "s.fls").part.covered.total
    assert (process.returncode, out) == (130, "") and 0 < rows < n
    assert f"Error: interrupted: {rows} rows are saved to {tmp_path / 's.fls'}; the same again goes on from there\n" in err


# one at a time

HOLDING = """
import sys, time
import fastloss as fl
def progress(*_):
    print("go", flush=True)
    time.sleep(60)
fl.evaluate_files(sys.argv[1], "mse", state=sys.argv[2], progress=progress)
"""


@flocks
def test_two_runs_do_not_write_one_state(data, tmp_path, capsys):
    state = tmp_path / "s.fls"
    words = ["eval", str(data), "-l", "mse", "--state", str(state), "-q"]
    start = [sys.executable, "-c", HOLDING, str(data), str(state)]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "go\n"
            before = state.read_bytes()
            with pytest.raises(SourceError, match=f"s.fls is being written by another run .process {process.pid} on .*; wait for it, or"):
                evaluate_files(data, "mse", state=state)
            assert command(words) == 2 and f"(process {process.pid} on " in capsys.readouterr().err and state.read_bytes() == before
            evaluate_files(data, "mse", state=tmp_path / "other.fls")
            with pytest.raises(SourceError, match="is being written by another run"):
                fl.merge_states(tmp_path / "other.fls", partial=state)
        finally:
            process.kill()
    assert (tmp_path / ".s.fls.lock").exists(), "what kill -9 leaves"
    assert command(words) == 0 and sorted(os.listdir(tmp_path)) == ["data", "other.fls", "s.fls"]


@flocks
def test_locks(tmp_path):
    path, folder = tmp_path / "s.fls", tmp_path / "folder"
    (tmp_path / ".s.fls.lock").write_text("process 1 on nowhere")
    with locked(path):
        with pytest.raises(SourceError, match=f"process {os.getpid()} on "), locked(path):
            pass
        with locked(tmp_path / "t.fls"):
            assert sorted(os.listdir(tmp_path)) == [".s.fls.lock", ".t.fls.lock"]
        (tmp_path / "link.fls").symlink_to(path)
        with pytest.raises(SourceError, match="another run"), locked(tmp_path / "link.fls"):
            pass
    assert os.listdir(tmp_path) == ["link.fls"]
    with pytest.raises(KeyError), locked(path):
        raise KeyError
    with locked(path):
        os.unlink(tmp_path / ".s.fls.lock")  # as somebody may
    with locked(path):
        pass
    with pytest.raises(SourceError, match="cannot be saved to .*: No such file or directory"), locked(folder / "s.fls"):
        pass


@flocks
def test_a_lock_that_its_holder_takes_away_is_not_two(tmp_path, monkeypatch):
    """Between opening and locking the holder may remove the file: the lock of a file without a name keeps nobody out."""
    import fcntl

    from fastloss.evaluation import locked as module

    real, tries = fcntl.flock, []

    def flock(handle, how):
        real(handle, how)
        tries.append(handle)
        if len(tries) == 1:
            os.unlink(tmp_path / ".s.fls.lock")

    monkeypatch.setattr(module.fcntl, "flock", flock)
    with locked(tmp_path / "s.fls"):
        assert len(tries) == 2
        monkeypatch.setattr(module.fcntl, "flock", real)
        with pytest.raises(SourceError, match="another run"), locked(tmp_path / "s.fls"):
            pass


def test_where_there_are_no_locks(data, tmp_path, monkeypatch):
    from fastloss.evaluation import locked as module

    def none(*_):
        raise OSError(95, "Operation not supported")

    if module.fcntl is not None:
        monkeypatch.setattr(module.fcntl, "flock", none)
        assert evaluate_files(data, "mse", state=tmp_path / "s.fls").rows == 800
    monkeypatch.setattr(module, "fcntl", None)
    assert evaluate_files(data, "mse", state=tmp_path / "t.fls").rows == 800


# asked for less, or more


def begun(data, state, **options):
    with pytest.raises(KeyboardInterrupt):
        evaluate_files(data, LOSSES, state=state, progress=interrupting(5), chunk_rows=50, **options)


MORE = [{"report": True}, {"spread": True, "quantiles": (0.5,), "confidence": 0.9}, {"worst": 7}, {"calibration": 9},
        {"bootstrap": 5, "seed": 3, "confidence": 0.5}]  # fmt: skip


@pytest.mark.parametrize("more", MORE)
def test_a_run_that_asks_for_less_goes_on(data, tmp_path, more):
    state = tmp_path / "s.fls"
    begun(data, state, by="text", **more)
    found, expected = evaluate_files(data, LOSSES, by="text", state=state), evaluate_files(data, LOSSES, by="text")
    assert found.resumed == 250 and (found.spread, found.worst, found.bootstrap, found.calibration) == (None,) * 4
    assert repr(found.segments) == repr(expected.segments) and found.costs == expected.costs
    found.write_html(tmp_path / "r.html")
    again = evaluate_files(data, LOSSES, by="text", state=state, **more)
    whole = evaluate_files(data, LOSSES, by="text", **{"report": False} | more)
    assert again.resumed == 800 and repr(again.segments) == repr(whole.segments)
    for name in ("worst", "bootstrap", "calibration"):
        if name in more:
            assert repr(getattr(again, name)) == repr(getattr(whole, name))


def test_fewer_of_the_worst_are_the_first_of_more(data, tmp_path):
    begun(data, tmp_path / "s.fls", worst=7)
    found = evaluate_files(data, LOSSES, state=tmp_path / "s.fls", worst=3)
    assert repr(found.worst) == repr(evaluate_files(data, LOSSES, worst=3).worst) and len(found.worst[LOSSES[0]]) == 3


def test_what_is_asked_for_besides_is_named(data, tmp_path, capsys):
    state, words = tmp_path / "s.fls", ["eval", str(data), "-l", "log_loss", "--state", str(tmp_path / "s.fls"), "-q"]
    assert command([*words, "--by", "text", "--by", "flag", "--html", str(tmp_path / "r.html")]) == 0
    first = capsys.readouterr().out
    assert command([*words, "--by", "text", "--by", "flag"]) == 0 and capsys.readouterr().out == first
    assert command(words) == 2
    assert "`by` was ['text', 'flag'], and is None; to go on add --by text --by flag; delete it" in capsys.readouterr().err
    state.unlink()
    assert command(words) == 0
    assert command([*words, "--html", str(tmp_path / "r.html")]) == 2
    assert "`spread` was False, and is True; it was begun without --spread, which --html asks for, too; delete" in capsys.readouterr().err
    assert command([*words, "--worst", "3"]) == 2 and "begun without --worst, which" in capsys.readouterr().err
    assert command([*words, "--bootstrap", "3"]) == 2 and "`bootstrap` was 0, and is 3; delete it" in capsys.readouterr().err
    state.unlink()
    assert command([*words, "-w", "w"]) == 0 and command(words) == 2
    assert "`weight` was 'w', and is None; to go on add --weight w; delete it" in capsys.readouterr().err


def test_a_confidence_of_nothing_is_refused(tmp_path, capsys, monkeypatch):
    pl.DataFrame({"y": [0.0, 1.0], "p": [0.5, 0.25]}).write_parquet(tmp_path / "t.parquet")
    words = ["eval", str(tmp_path / "t.parquet"), "-l", "mse", "-q", "--json"]
    assert command([*words, "--confidence", "0.9"]) == 2
    assert "--confidence is of intervals, and none is asked for: add --spread, --bootstrap B or --html PATH" in capsys.readouterr().err
    for more in (["--spread"], ["--bootstrap", "3"], ["--html", str(tmp_path / "r.html")]):
        assert command([*words, "--confidence", "0.9", *more]) == 0
    assert "90 % interval" in (tmp_path / "r.html").read_text()
    capsys.readouterr()
    monkeypatch.setenv("FASTLOSS_EVAL_CONFIDENCE", "0.9")  # a preference, for where there are any
    assert command(words) == 0 and "confidence" not in json.loads(capsys.readouterr().out)
