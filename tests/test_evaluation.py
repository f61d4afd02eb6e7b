"""Files -> costs: formats agree to the bit, chunks do not matter, and what is wrong with a data set is said where it is wrong."""

import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.evaluation import DataError, SourceError, evaluate_files
from fastloss.losses import REGISTRY

N = 403
LOSSES = ["squared_error", "log_loss"]
REPOSITORY = Path(fl.__file__).parents[1]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(11)
    p = rng.random(N).astype(np.float32).astype(np.float64)  # values that are the same in float32, float64 and text
    return {"y": (rng.random(N) < p).astype(np.int8), "p": p, "w": rng.integers(0, 9, N).astype(np.float64)}


@pytest.fixture(scope="module")
def files(table, tmp_path_factory):
    """{format: (paths, target, prediction, weight)}, all of the same data."""
    folder = tmp_path_factory.mktemp("same")
    frame, matrix = pl.DataFrame(table), np.column_stack([table["y"], table["p"], table["w"]])
    frame.write_parquet(folder / "t.parquet", row_group_size=100)
    frame.write_csv(folder / "t.csv")
    frame.write_csv(folder / "t.tsv", separator="\t")
    np.savez(folder / "stored.npz", **table)
    np.savez_compressed(folder / "deflated.npz", **{key: values[:, None] for key, values in table.items()})
    np.save(folder / "c.npy", matrix)
    np.save(folder / "f.npy", np.asfortranarray(matrix))
    np.save(folder / "big.npy", matrix.astype(">f8"))
    np.save(folder / "records.npy", np.rec.fromarrays(list(table.values()), names=list(table)).view(np.ndarray))
    for key, values in table.items():
        np.save(folder / f"{key}.npy", values)
    named, numbered = ("y", "p", "w"), ("0", "1", "2")
    cases = {name: ([folder / name], *named) for name in ("t.parquet", "t.csv", "t.tsv", "stored.npz", "deflated.npz", "records.npy")}
    cases |= {name: ([folder / name], *numbered) for name in ("c.npy", "f.npy", "big.npy")}
    cases["a file each"] = ([], *(str(folder / f"{key}.npy") for key in named))
    cases["target beside a table"] = ([folder / "t.csv"], str(folder / "y.npy"), "p", "w")
    cases["weight beside an array"] = ([folder / "p.npy"], str(folder / "y.npy"), "0", str(folder / "w.npy"))
    return cases


CASES = ["t.parquet", "t.csv", "t.tsv", "stored.npz", "deflated.npz", "records.npy", "c.npy", "f.npy", "big.npy"]
CASES += ["a file each", "target beside a table", "weight beside an array"]


def run(case, weighted=True, losses=LOSSES, **options):
    paths, target, prediction, weight = case
    return evaluate_files(paths, losses, target=target, prediction=prediction, weight=weight if weighted else None, **options)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_formats_agree_to_the_bit_with_exact_arithmetic(files, table, name, weighted):
    y, p = table["y"].astype(float), table["p"]
    w = [Fraction(x) for x in table["w"]] if weighted else [Fraction(1)] * N
    exact = sum((Fraction(x) * k for x, k in zip((p - y) ** 2, w, strict=True)), Fraction(0)) / sum(w)
    long = -(np.where(y == 1, np.log(p.astype(np.longdouble)), np.log1p(-p.astype(np.longdouble))))
    weights = table["w"].astype(np.longdouble) if weighted else np.ones(N, np.longdouble)
    found = run(files[name], weighted)
    assert found.costs["squared_error"] == float(exact)
    assert found.costs["log_loss"] == pytest.approx(float((long * weights).sum() / weights.sum()), rel=1e-15)
    assert found.costs == run(files["c.npy"], weighted).costs
    assert found.rows == N
    assert [result.n for result in found.results] == [N, N]


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 100, N - 1, N, N + 1])
@pytest.mark.parametrize("name", CASES)
def test_chunks_do_not_change_the_bits(files, name, rows):
    assert run(files[name], chunk_rows=rows).costs == run(files["c.npy"]).costs


def test_many_files_are_one_data_set(files, table, tmp_path):
    for i, (start, stop) in enumerate([(0, 100), (100, 101), (101, 101), (101, N)]):
        pl.DataFrame(table)[start:stop].write_parquet(tmp_path / f"part-{i}.parquet")
    whole = run(files["t.parquet"])
    by_pattern = evaluate_files(str(tmp_path / "*.parquet"), LOSSES, target="y", prediction="p", weight="w")
    assert by_pattern.costs == whole.costs
    assert [(Path(f["path"]).name, f["rows"]) for f in by_pattern.files] == [
        ("part-0.parquet", 100), ("part-1.parquet", 1), ("part-2.parquet", 0), ("part-3.parquet", 302),
    ]  # fmt: skip
    assert by_pattern.bytes_read == sum(f.stat().st_size for f in tmp_path.iterdir())
    assert by_pattern.state.compute() == whole.costs


def test_files_of_different_formats_are_one_data_set(table, tmp_path):
    frame = pl.DataFrame(table)
    frame[:200].write_csv(tmp_path / "a.csv")
    np.savez(tmp_path / "b.npz", **{key: values[200:] for key, values in table.items()})
    found = evaluate_files([tmp_path / "a.csv", tmp_path / "b.npz"], LOSSES, target="y", prediction="p")
    state = fl.State(LOSSES)
    state.update(table["y"], table["p"])
    assert found.costs == state.compute()


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<i4", "?"])
def test_dtypes_of_predictions(tmp_path, dtype):
    rng = np.random.default_rng(3)
    p, y = (rng.random(N) * 4).astype(dtype), rng.integers(0, 3, N).astype(">i2")
    np.savez(tmp_path / "t.npz", y=y, p=p)
    found = evaluate_files(tmp_path / "t.npz", "squared_error", target="y", prediction="p", chunk_rows=50)
    assert found.costs["squared_error"] == pytest.approx(np.mean((p.astype(float) - y) ** 2), rel=1e-6)


def test_positive_label(table, tmp_path):
    words = np.where(table["y"] == 1, "yes", "no")
    pl.DataFrame({"y": table["y"] * 3, "t": words.tolist(), "b": table["y"] == 1, "p": table["p"]}).write_parquet(tmp_path / "t.parquet")
    state = fl.State(["log_loss", "hinge"])
    state.update(table["y"] == 1, table["p"])
    for target, label in [("y", 3), ("y", "3"), ("y", "3.0"), ("t", "yes"), ("b", True), ("b", "true"), ("b", 1)]:
        found = evaluate_files(tmp_path / "t.parquet", ["log_loss", "hinge"], target=target, prediction="p", positive=label)
        assert found.costs == state.compute(), (target, label)
        assert found.notes == ()
    found = evaluate_files(tmp_path / "t.parquet", "log_loss", target="y", prediction="p", positive=4)
    assert found.notes == ("no target equals the positive label 4",)
    with pytest.raises(SourceError, match="`positive` must be one of its values, got 'yes'"):
        evaluate_files(tmp_path / "t.parquet", "log_loss", target="y", prediction="p", positive="yes")


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".npz", "S.npz", ".npy"])
def test_a_label_that_no_text_has_is_refused_with_those_that_there_are(tmp_path, suffix):
    t, p, path = ["malignant", "benign", "benign"], [0.5, 0.25, 0.5], tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        pl.DataFrame({"t": pl.Series([None, *t], dtype=pl.Categorical), "p": [0.5, *p]}).write_parquet(path)
    elif suffix in (".csv", ".tsv"):
        pl.DataFrame({"t": [None, *t], "p": [0.5, *p]}).write_csv(path, separator="," if suffix == ".csv" else "\t")
    elif suffix == ".npy":
        np.save(path, np.rec.fromarrays([t, p], names=["t", "p"]).view(np.ndarray))
    else:
        np.savez(path, t=np.array(t, "S" if suffix == "S.npz" else "U"), p=p)
    options = {"target": "t", "prediction": "p", "nan": "skip", "chunk_rows": 2}
    words = r"column 't' equals the positive label 'malignent'; labels found: 'benign', 'malignant'; did you mean 'malignant'\?"
    with pytest.raises(SourceError, match=words):
        evaluate_files(path, "log_loss", positive="malignent", **options)
    assert evaluate_files(path, "log_loss", positive="malignant", **options).costs == {"log_loss": fl.log_loss([1, 0, 0], p)}


def test_labels_that_there_are_come_from_all_files_and_are_few(tmp_path):
    for i in range(4):
        pl.DataFrame({"t": [f"{i}a", f"{i}b"], "p": [0.5, 0.5]}).write_csv(tmp_path / f"{i}.csv")
    pl.DataFrame({"t": [None, None], "p": [0.5, 0.5]}, schema={"t": pl.String, "p": pl.Float64}).write_parquet(tmp_path / "0.parquet")
    np.save(tmp_path / "t.npy", np.array(["0a", "0b"]))
    options = {"losses": "mse", "target": "t", "prediction": "p", "positive": "yes", "nan": "skip"}
    with pytest.raises(SourceError, match=r"labels found: '0a', '0b'$"):
        evaluate_files(tmp_path / "0.csv", **options | {"target": str(tmp_path / "t.npy")})
    with pytest.raises(SourceError, match=r"labels found: '0a', '0b', '1a', '1b', '2a', \.\.\.$"):
        evaluate_files(tmp_path / "?.csv", **options)
    with pytest.raises(SourceError, match=r"labels found: none$"):
        evaluate_files(tmp_path / "0.parquet", **options)
    assert evaluate_files(tmp_path / "?.csv", **options | {"positive": "3b"}).notes == (), "seen in the last file"


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("column", ["y", "p", "w"])
@pytest.mark.parametrize("chunk_rows", [1, 50, N])
def test_missing_values(table, tmp_path, suffix, column, chunk_rows):
    frame = pl.DataFrame(table).with_columns(pl.when(pl.int_range(N) == 321).then(None).otherwise(pl.col(column)).alias(column))
    path = tmp_path / f"t{suffix}"
    (frame.write_parquet if suffix == ".parquet" else frame.write_csv)(path)
    for nan in ("propagate", "raise"):
        with pytest.raises(DataError, match=f"row 321: column '{column}' has a missing value") as caught:
            evaluate_files(path, LOSSES, target="y", prediction="p", weight="w", nan=nan, chunk_rows=chunk_rows)
        assert (caught.value.path, caught.value.row, caught.value.column) == (str(path), 321, column)
    found = evaluate_files(path, LOSSES, target="y", prediction="p", weight="w", nan="skip", chunk_rows=chunk_rows)
    keep = np.arange(N) != 321
    state = fl.State(LOSSES, nan="skip")
    state.update(table["y"][keep], table["p"][keep], table["w"][keep])
    assert found.costs == state.compute()
    assert [result.n_nan for result in found.results] == [1, 1]


def test_missing_integer_targets_keep_domains(tmp_path):
    pl.DataFrame({"y": [None, 2, 3, None], "p": [1.0, 1.0, 2.0, 1.0]}).write_parquet(tmp_path / "t.parquet")
    found = evaluate_files(tmp_path / "t.parquet", "gamma_deviance", target="y", prediction="p", nan="skip")
    state = fl.State(["gamma_deviance"])
    state.update(np.array([2, 3]), np.array([1.0, 2.0]))
    assert found.costs == state.compute()


def test_nan_is_counted(tmp_path):
    np.savez(tmp_path / "t.npz", y=[1.0, 0.0, 1.0], p=[0.5, math.nan, 0.0])
    (result,) = evaluate_files(tmp_path / "t.npz", "log_loss", target="y", prediction="p").results
    assert math.isnan(result.cost)
    assert (result.n, result.n_nan, result.n_inf) == (3, 1, 1)
    (result,) = evaluate_files(tmp_path / "t.npz", "log_loss", target="y", prediction="p", nan="skip").results
    assert result.cost == math.inf


@pytest.mark.parametrize("chunk_rows", [1, 4, 1000])
def test_bad_values_are_named_by_file_and_row(tmp_path, chunk_rows):
    np.savez(tmp_path / "a.npz", y=np.ones(9), p=np.full(9, 0.5), w=np.ones(9))
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for name, value, allowed in [("y", 2.0, r"in \[0, 1\]"), ("p", -0.25, r"in \[0, 1\]"), ("w", -1.0, ">= 0")]:
        columns = {"y": np.ones(9), "p": np.full(9, 0.5), "w": np.ones(9)}
        columns[name][6] = value
        np.savez(paths[1], **columns)
        with pytest.raises(DataError, match=f"b.npz, row 6: column '{name}'.* must be .*{allowed}.*, got {value}") as caught:
            evaluate_files(paths, "log_loss", target="y", prediction="p", weight="w", chunk_rows=chunk_rows)
        assert (caught.value.path, caught.value.row) == (str(paths[1]), 6)


def test_nan_raise_names_file_and_row(tmp_path):
    np.savez(tmp_path / "t.npz", y=np.ones(9), p=np.r_[np.full(8, 0.5), math.nan])
    with pytest.raises(DataError, match="t.npz, row 8: .*NaN"):
        evaluate_files(tmp_path / "t.npz", "log_loss", target="y", prediction="p", nan="raise", chunk_rows=5)


def test_a_hint_for_labels_that_are_no_zero_and_one(tmp_path):
    np.savez(tmp_path / "t.npz", y=np.array([1, 2, 1]), p=np.full(3, 0.5))
    np.savez(tmp_path / "u.npz", y=np.array([1, 0, 1]), p=np.full(3, 0.5))
    for file, loss in (("t.npz", "log_loss"), ("u.npz", "hinge")):
        with pytest.raises(DataError, match=r"name the positive one, as positive=1 \(--positive 1\)"):
            evaluate_files(tmp_path / file, loss)
        assert evaluate_files(tmp_path / file, loss, positive=1).rows == 3


def test_costs_by_name(files):
    found = run(files["c.npy"], losses=["mse", "huber:delta=2"])
    assert (found["mse"], found["huber:delta=2"]) == tuple(found.costs.values())
    with pytest.raises(KeyError, match="'mae'; the losses are mse, huber:delta=2"):
        found["mae"]


def test_bad_requests(files, table, tmp_path):
    (paths, *_), folder = files["t.parquet"], files["t.parquet"][0][0].parent
    pl.DataFrame({"y": [1.0], "p": ["x"], "t": ["a"], "d": [[1.0]]}).write_parquet(tmp_path / "t.parquet")
    np.save(tmp_path / "short.npy", np.zeros(5))
    np.save(tmp_path / "long.npy", np.zeros(N + 1))
    np.save(tmp_path / "wide.npy", np.zeros((2, 20_000)))
    (tmp_path / "t.xlsx").write_text("x")
    bad = tmp_path / "t.parquet"
    for arguments, kind, text in [
        ((paths, "y", "q"), SourceError, "has no column 'q'; it has y, p, w"),
        ((folder / "c.npy", "0", "3"), SourceError, "has no column '3'; it has 0, 1, 2"),
        ((folder / "none.csv", "y", "p"), SourceError, "there is no such file"),
        ((folder / "none*.csv", "y", "p"), SourceError, "no file matches"),
        ((tmp_path / "none", "y", "p"), SourceError, "there is no such file"),
        ((tmp_path / "t.xlsx", "y", "p"), SourceError, "unknown kind of file '.xlsx'"),
        (([*paths, *paths], "y", "p"), SourceError, "given twice"),
        (([], "y", "p"), SourceError, "no file is given"),
        ((bad, "y", "p"), SourceError, "column 'p' must hold numbers, got text"),
        ((bad, "t", "y"), SourceError, r"name the positive one \(positive=..., --positive\)"),
        ((bad, "y", "d"), SourceError, r"must hold numbers, got List\(Float64\)"),
        ((tmp_path / "wide.npy", "0", "1"), SourceError, "Save it transposed"),
        (([], str(folder / "y.npy"), str(tmp_path / "short.npy")), DataError, "differ in length"),
        ((paths, "y", str(tmp_path / "short.npy")), DataError, "differ in length"),
        ((folder / "t.csv", "y", str(tmp_path / "short.npy")), DataError, "differ in length"),
        ((folder / "t.csv", "y", str(tmp_path / "long.npy")), DataError, "differ in length"),
        (([], str(folder / "c.npy"), str(folder / "y.npy")), SourceError, "must be 1-D"),
        ((paths, str(folder / "y.npy"), str(folder / "p.npy")), SourceError, "leave it out"),
    ]:
        with pytest.raises(kind, match=text):
            evaluate_files(arguments[0], LOSSES, target=arguments[1], prediction=arguments[2])


@pytest.mark.parametrize("name", ["t.npy", "t.npz", "t.parquet", "t.csv"])
def test_no_rows(tmp_path, name):
    np.save(tmp_path / "t.npy", np.zeros(0, [("y", "f8"), ("p", "f8")]))
    np.savez(tmp_path / "t.npz", y=np.zeros(0), p=np.zeros(0))
    pl.DataFrame({"y": [], "p": []}, schema={"y": pl.Float64, "p": pl.Float64}).write_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("y,p\n")
    with pytest.raises(DataError, match="no rows"):
        evaluate_files(tmp_path / name, LOSSES, target="y", prediction="p")


def test_all_weights_zero_is_bad_data(tmp_path):
    np.savez(tmp_path / "t.npz", y=np.ones(4), p=np.ones(4), w=np.zeros(4))
    with pytest.raises(DataError, match="weight"):
        evaluate_files(tmp_path / "t.npz", "mse", target="y", prediction="p", weight="w")


def test_progress(files):
    for name, total in [("t.parquet", N), ("c.npy", N), ("t.csv", None)]:
        calls = []
        run(files[name], chunk_rows=100, progress=lambda *call: calls.append(call))  # noqa: B023 - used at once
        assert calls[-1] == (N, total)
        assert [done for done, _ in calls] == sorted({done for done, _ in calls})


def test_every_loss_in_one_pass(tmp_path):
    y, p = np.ones(9, bool), np.linspace(0.25, 0.75, 9)  # in the domain of them all
    np.savez(tmp_path / "t.npz", y=y, p=p)
    found = evaluate_files(tmp_path / "t.npz", list(REGISTRY), target="y", prediction="p", chunk_rows=4)
    assert list(found.costs) == list(REGISTRY)
    for name, cost in found.costs.items():
        alone = evaluate_files(tmp_path / "t.npz", name, target="y", prediction="p").costs[name]
        assert cost == alone == fl.get(name)(y, p), name


MEASURE = """
import resource, sys
from fastloss.evaluation import evaluate_files
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
options = dict(target=sys.argv[3], prediction=sys.argv[4])
evaluate_files(sys.argv[1], "mse", **options)
before = peak()
assert evaluate_files(sys.argv[2], "mse", **options).rows == int(sys.argv[5])
print(peak() - before)
"""


@pytest.mark.parametrize(("suffix", "rows", "limit"), [("npy", 13_000_000, 40), ("npz", 13_000_000, 40), ("parquet", 13_000_000, 150)])
def test_memory_is_bounded(tmp_path, suffix, rows, limit):
    for name, count in (("small", 10), ("large", rows)):
        values = np.random.default_rng(0).random((count, 2))
        if suffix == "npy":
            np.save(tmp_path / f"{name}.npy", values)
        elif suffix == "npz":
            np.savez(tmp_path / f"{name}.npz", **{"0": values[:, 0], "1": values[:, 1]})
        else:
            pl.DataFrame({"0": values[:, 0], "1": values[:, 1]}).write_parquet(tmp_path / f"{name}.parquet", compression="uncompressed")
    large = tmp_path / f"large.{suffix}"
    assert large.stat().st_size >= 200e6
    command = [sys.executable, "-c", MEASURE, str(tmp_path / f"small.{suffix}"), str(large), "0", "1", str(rows)]
    paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < limit
