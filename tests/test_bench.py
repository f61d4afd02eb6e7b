"""`fastloss bench`: candidates are checked before they are timed, nothing is left out silently, runs are saved, compared and drawn."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from fastloss.cli import main
from fastloss.cli.bench import Sizes, cases_of
from fastloss.measuring import compare, environment, rivals, runs, verify

QUICK = ["--seconds", "0"]


@pytest.fixture(autouse=True)
def settled():
    """As many threads as this process runs on anyway, and the environment as it was."""
    before = dict(os.environ)
    environment.settle()
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def bench(capsys):
    """A `fastloss bench` in this process -> (exit code, standard output, standard error)."""

    def called(*words):
        code = main(["bench", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


@pytest.fixture
def saved(bench, tmp_path):
    """A saved run of two cases, and what was printed."""
    path = tmp_path / "run.json"
    code, out, err = bench("huber", "mse", "--n", 8, "--rival", "numpy", "--json", path, *QUICK)
    assert code == 0, err
    return path, out, err


def test_a_run_is_told_and_saved_with_all_that_it_needs(saved):
    path, out, err = saved
    lines = [line.split() for line in out.splitlines()]
    (heading,) = [line for line in lines if line[:1] == ["loss"]]
    assert heading == ["loss", "n", "time", "G", "samples/s", "/", "roofline", "numpy"]
    rows = [line for line in lines if line[:1] in (["huber"], ["squared_error"])]
    assert [row[:2] for row in rows] == [["huber", "8"], ["squared_error", "8"]]
    assert all(row[-1].endswith("x") and float(row[-1][:-1]) > 0 and float(row[-2]) > 0 for row in rows)
    assert err.splitlines()[:2] == ["[1/2] huber cost, float32, n=8", "[2/2] squared_error cost, float32, n=8"]
    run = runs.read(path)
    assert run.machine["threads"] == environment.threads() and run.machine["versions"] == {"numpy": np.__version__}
    assert {"processor", "cpus", "system", "python", "date", "fastloss"} <= set(run.machine)
    assert [set(comparison.timings) for comparison in run.comparisons] == [{"fastloss", "numpy", "read on one thread"}] * 2
    for comparison in run.comparisons:
        for timing in comparison.timings.values():
            assert 0 < timing.minimum <= timing.median < 1 and timing.readings >= 5 and timing.calls >= 1


def test_a_run_read_back_is_the_run(saved):
    path, _, _ = saved
    document = json.loads(path.read_text())
    assert runs.read(path).as_dict() == document
    assert (document["kind"], document["schema"]) == ("fastloss bench", 1)


def test_outputs_dtypes_and_sizes_are_crossed(bench, tmp_path):
    path = tmp_path / "run.json"
    words = ["-o", "cost", "-o", "loss_gradient_hessian", "--dtype", "float32", "--dtype", "float64", "--n", "2**0:9:3", "--no-rivals"]
    code, out, err = bench("rmse", "huber", *words, "--json", path, "--quiet", *QUICK)
    assert (code, err) == (0, "")
    cost = [("cost", dtype, n) for dtype in ("float32", "float64") for n in (1, 3, 9)]
    both = [("loss_gradient_hessian", *case[1:]) for case in cost]
    expected = [("root_mean_squared_error", *case) for case in cost] + [("huber", *case) for case in cost + both]
    assert list(runs.read(path).cases) == expected
    assert len(re.findall(r"^(?:huber|root_mean_squared_error) ", out, re.MULTILINE)) == len(expected)


def test_what_a_loss_has_not_is_said(bench):
    code, _, err = bench("rmse", "mse", "-o", "gradient", "--n", 8, "--no-rivals", *QUICK)
    assert code == 0 and "root_mean_squared_error is the root of a mean: a cost, without gradient" in err
    code, _, err = bench("rmse", "-o", "gradient", "--n", 8, "--no-rivals", *QUICK)
    assert code == 2 and "without gradient" in err


def test_losses_of_rows(bench, tmp_path):
    path = tmp_path / "run.json"
    words = ["-o", "cost", "-o", "gradient", "--n", 100, "--classes", "3:30:10", "--no-rivals", "--json", path]
    code, out, err = bench("cross_entropy", "perplexity", "top_k_error", "kl_divergence", "huber", *words, *QUICK)
    assert code == 0, err
    assert "perplexity is the exponential of a mean: a cost, without gradient" in err and "top_k_error has no gradient" in err
    losses = [("softmax_cross_entropy", 2), ("perplexity", 1), ("top_k_error", 1), ("kl_divergence", 2)]
    outputs = [(loss, output) for loss, count in losses for output in ("cost", "gradient")[:count]]
    expected = [(*case, "float32", 100, classes) for case in outputs for classes in (3, 30)]
    run = runs.read(path)
    assert list(run.cases) == [*expected, *(("huber", output, "float32", 100) for output in ("cost", "gradient"))]
    assert all(comparison.roofline for comparison in run.comparisons)
    assert run.as_dict() == json.loads(path.read_text())
    assert (
        re.search(r"^softmax_cross_entropy +gradient +100 +30 ", out, re.MULTILINE)
        and "kl_divergence cost, float32, n=100, 3 classes" in err
    )
    assert bench("--compare", path, path, "--chart", tmp_path / "a.svg", "-q")[0] == 0
    assert "kl_divergence: cost, float32, 30 classes" in (tmp_path / "a.svg").read_text()
    assert bench("--compare", path, *QUICK, "--threshold", 1e9)[0] == 0


def test_default_sizes_of_rows_have_as_many_scores():
    assert cases_of(["multiclass_brier"], (), (), (), (), []) == [("multiclass_brier", "cost", "float32", n, 10) for n in (1, 2**12, 2**20)]


@pytest.mark.parametrize("changed", [{"classes": 1}, {"classes": "3"}, {"classes": True}, {"loss": "huber"}, {"classes": None}])
def test_a_saved_run_of_rows_that_is_damaged(bench, tmp_path, changed):
    path = tmp_path / "run.json"
    assert bench("cross_entropy", "--n", 8, "--no-rivals", "--json", path, *QUICK)[0] == 0
    document = json.loads(path.read_text())
    document["comparisons"][0] |= changed
    path.write_text(json.dumps(document))
    code, _, err = bench("--compare", path, path)
    assert code == 3 and "this saved run is damaged" in err


@pytest.mark.parametrize("output", ["cost", "cost_gradient"])
def test_rivals_of_rows_are_checked_and_timed(bench, output, monkeypatch):
    pytest.importorskip("sklearn")
    words = ["cross_entropy", "-o", output, "--n", 50, "--rival", "sklearn", "--rival", "numpy", *QUICK]
    code, out, _ = bench(*words)
    assert code == 0 and re.search(r"^softmax_cross_entropy +50 +10 .*x$", out, re.MULTILINE)
    assert f"not compared: numpy, has no {output} of softmax_cross_entropy here\n" in out
    from fastloss.measuring.rivals import with_sklearn_rows

    right = with_sklearn_rows.prepare
    monkeypatch.setattr(with_sklearn_rows, "prepare", lambda output, t, z: right(output, (t + 1) % 10, z))
    code, out, _ = bench(*words)
    assert code == 0 and re.search(r"not compared: sklearn, AssertionError: sklearn gives .*, ours is", out)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(bench, dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    code, out, _ = bench("brier", "--dtype", dtype, "--n", 64, "--rival", "sklearn", "--rival", "numpy", *QUICK)
    assert code == 0 and f"cost, {dtype}" in out
    assert ("not compared: numpy, does not take bfloat16" in out) == (dtype == "bfloat16")


def test_the_yardsticks_are_in_the_same_run(bench, tmp_path):
    path = tmp_path / "run.json"
    code, _, _ = bench("mse", "-o", "cost", "-o", "cost_gradient", "--n", 2**13, "--no-rivals", "--json", path, *QUICK)
    cost, gradient = runs.read(path).comparisons
    reads = {"read together", "read in turn", "read on one thread"}
    assert code == 0
    assert set(cost.timings) == {"fastloss", *reads}
    assert set(gradient.timings) == {"fastloss", *reads, "write stores", "write copies", "write on one thread"}
    assert cost.roofline == min(cost.timings[name].minimum for name in reads)
    assert gradient.roofline == min(timing.minimum for name, timing in gradient.timings.items() if name.startswith("write"))


def test_a_wrong_rival_is_refused_and_named(bench, monkeypatch):
    prepares = rivals.library("numpy").PREPARE["cost"]
    monkeypatch.setitem(prepares, "huber", lambda y, p: lambda: 42.0)
    code, out, _ = bench("huber", "mse", "--n", 8, "--rival", "numpy", *QUICK)
    assert code == 0
    assert re.search(r"^huber .* -$", out, re.MULTILINE) and re.search(r"^squared_error .*x$", out, re.MULTILINE)
    assert re.search(r"^not compared: numpy, it gives 42\.0, ours is .*: huber cost, float32, n=8$", out, re.MULTILINE)
    with pytest.raises(verify.MismatchError, match="42.0"):
        compare.compare("huber", n=8, names=["numpy"], seconds=0.0, strict=True)


def test_rivals_that_fail_or_are_not_there_are_named(bench, monkeypatch):
    def broken(y, p):
        raise RuntimeError("no such kernel\nand a long story")

    monkeypatch.setitem(rivals.library("numpy").PREPARE["cost"], "huber", broken)
    monkeypatch.setitem(rivals.MODULES, "jax", ("with_jax", "no_such_package", "jax"))
    rivals._found.cache_clear()
    try:
        names = [word for name in ("numpy", "jax", "numba") for word in ("--rival", name)]
        code, out, _ = bench("huber", "--n", 8, *names, "-o", "cost", "-o", "gradient", *QUICK)
    finally:
        rivals._found.cache_clear()
    assert code == 0
    assert "not compared: numpy, RuntimeError: no such kernel: huber cost, float32, n=8\n" in out
    assert "not compared: jax, not installed (pip install jax)\n" in out
    assert "not compared: numba, has no gradient of huber here\n" in out


BAD_WORDS = {
    "seconds of no number": (["--seconds", "nan"], "is not a finite number"),
    "seconds without end": (["--seconds", "inf"], "--seconds"),
    "negative seconds": (["--seconds", "-1"], "--seconds"),
    "threshold of no number": (["--threshold", "nan"], "is not a finite number"),
    "threshold without end": (["--threshold", "inf"], "is not a finite number"),
    "a folder for json": (["--json", "/tmp"], "'/tmp' is a directory"),
    "a folder for the chart": (["--chart", "{folder}.svg"], "is a directory"),
    "unknown loss": (["hubr"], "did you mean 'huber'"),
    "cost of sums": (["dice"], "'dice' is not timed"),
    "parameters": (["huber:delta=2"], "timed at their defaults, and parameters cannot be given"),
    "size": (["--n", "0"], "is not a number of samples"),
    "size in words": (["--n", "many"], "is not a number of samples"),
    "range": (["--n", "8:2"], "START <= STOP"),
    "factor": (["--n", "1:8:1"], "FACTOR >= 2"),
    "too large": (["--n", "2**40", "--no-rivals"], "GiB are free"),
    "rival": (["--rival", "matlab"], "--rival"),
    "both": (["--rival", "numpy", "--no-rivals"], "exclude each other"),
    "chart": (["--chart", "a.pdf"], "must end in .svg or .png"),
    "second chart": (["--chart", "a.svg", "--chart", "b.pdf"], "'b.pdf' must end in .svg or .png"),
    "folder": (["--json", "/no/such/folder/a.json"], "there is no folder '/no/such/folder'"),
    "no file": (["--compare", "/no/such/file.json"], "there is no such file"),
    "directory": (["--compare", "/"], "is a directory"),
    "threads": (["--threads", "100000"], "the CPUs that this process may use; got 100000"),
    "one class": (["cross_entropy", "--classes", "1"], "'1' is not a number of classes: 2 to 2**40"),
    "classes of none": (["huber", "--classes", "3"], "--classes is of losses of rows, as cross_entropy, and none is named"),
    "too many classes": (["cross_entropy", "--classes", "2**30", "--n", "2**10", "--no-rivals"], "GiB are free"),
    "three files": (["--compare", "a.json", "b.json", "c.json"], "at most one NEW.json"),
    "measuring nothing": (["--compare", "a.json", "b.json", "--n", "8"], "measures nothing"),
}


@pytest.mark.parametrize("name", BAD_WORDS)
def test_bad_words_are_refused_before_anything_is_measured(bench, name, monkeypatch, tmp_path):
    words, text = BAD_WORDS[name]
    (tmp_path / "folder.svg").mkdir()
    monkeypatch.setattr(runs, "measure", lambda *_: pytest.fail("measured"))
    code, out, err = bench(*(word.replace("{folder}", str(tmp_path / "folder")) for word in words))
    assert (code, out) == (2, ""), err
    assert text in " ".join(err.split())


def test_sizes():
    read = Sizes().convert
    assert read("2**20", None, None) == (2**20,)
    assert read("1000", None, None) == (1000,)
    assert read("2**0:2**25:2**5", None, None) == tuple(2**k for k in range(0, 26, 5))
    assert read("3:13", None, None) == (3, 6, 12)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_chart(bench, saved, tmp_path, suffix):
    pytest.importorskip("matplotlib")
    files = [tmp_path / f"{name}{suffix}" for name in "ab"]
    code, _, err = bench("--compare", saved[0], saved[0], *(word for file in files for word in ("--chart", file)))
    assert code == 0, err
    first, second = (file.read_bytes() for file in files)
    assert first == second and len(first) < 100_000
    assert first.startswith(b"<?xml" if suffix == ".svg" else b"\x89PNG")
    if suffix == ".svg":
        for text in ("fastloss", "numpy", "memory alone", "huber: cost, float32", "squared_error: cost, float32", "G samples/s"):
            assert text in first.decode()


def test_threads_are_settled_before_libraries_load():
    """In a process of its own, one thread; the yardstick and fastloss say so, or nothing would be timed."""
    words = ["bench", "mse", "--n", "8", "--rival", "numpy", "--threads", "1", *QUICK]
    environ = {name: value for name, value in os.environ.items() if name not in environment.VARIABLES}
    done = subprocess.run([sys.executable, "-m", "fastloss", *words], capture_output=True, text=True, env=environ, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "cost, float32, 1 thread. " in done.stdout
