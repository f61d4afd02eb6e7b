"""Labels of files of rows, in words and other numbers, and the costs of the rows of each label."""

import json
import math

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main
from fastloss.evaluation import DataError, SourceError, evaluate_files
from tests.row_files import LOSS, SAMPLE, C, N, make_data, run, write_files

WORDS = [f"class {j}" for j in range(C)]


@pytest.fixture(scope="module")
def data():
    return make_data()


@pytest.fixture(scope="module")
def files(data, tmp_path_factory):
    return write_files(data, tmp_path_factory.mktemp("rows"))


def text_files(folder, words, z, names):
    """The same labels in words, in every format that holds text."""
    frame = pl.DataFrame({"t": words} | dict(zip(names, z.T, strict=True)))
    frame.write_csv(folder / "t.csv")
    frame.write_parquet(folder / "t.parquet")
    frame.with_columns(pl.col("t").cast(pl.Categorical)).write_parquet(folder / "categories.parquet")
    np.savez(folder / "u.npz", t=np.array(words), **dict(zip(names, z.T, strict=True)))
    np.savez(folder / "s.npz", t=np.array(words, "S"), **dict(zip(names, z.T, strict=True)))
    return [folder / name for name in ("t.csv", "t.parquet", "categories.parquet", "u.npz", "s.npz")]


def test_labels_of_text(data, tmp_path):
    z, words = data["z"].astype(float), [WORDS[label] for label in data["y"]]
    expected = fl.softmax_cross_entropy(data["y"], z)
    for path in text_files(tmp_path, words, z, [f"z_{word}" for word in WORDS]):
        found = evaluate_files(path, LOSS, target="t", prediction="z_*", chunk_rows=50)
        assert (found[LOSS], found.classes) == (expected, tuple(WORDS)), path
        assert any("matched: class 0, class 1" in note for note in found.notes)
        back = [f"z_{word}" for word in reversed(WORDS)]
        for classes in (WORDS[::-1], ",".join(WORDS[::-1])):
            found = evaluate_files(path, LOSS, target="t", prediction=back, classes=classes)
            assert (found[LOSS], found.classes) == (pytest.approx(expected, rel=1e-15), tuple(WORDS[::-1]))
        with pytest.raises(
            SourceError, match=r"list all classes in the order of the prediction's columns: classes=\[...\] \(--classes a,b,c\)"
        ):
            evaluate_files(path, LOSS, target="t", prediction=back)
        with pytest.raises(DataError, match=r"'t' must be one of the classes 'class 0', .*, got 'class 1") as caught:
            evaluate_files(path, LOSS, target="t", prediction=back[::-1], classes=[word.replace("1", "7x") for word in WORDS], chunk_rows=3)
        first = next(row for row, word in enumerate(words) if "1" in word)
        assert (caught.value.path, caught.value.row, caught.value.column) == (str(path), first, "t")
        assert repr(words[first]) in str(caught.value)


@pytest.mark.parametrize("kind", ["U", "S"])
def test_labels_of_text_in_a_file_of_their_own(data, tmp_path, kind):
    np.save(tmp_path / "t.npy", np.array([WORDS[label] for label in data["y"]], kind))
    np.save(tmp_path / "z.npy", data["z"])
    options = {"target": str(tmp_path / "t.npy"), "prediction": str(tmp_path / "z.npy"), "chunk_rows": 50}
    found = evaluate_files([], LOSS, classes=WORDS, per_class=True, **options)
    assert found[LOSS] == fl.softmax_cross_entropy(data["y"], data["z"])
    assert found.class_name(3) == "class 3"
    with pytest.raises(DataError, match="t.npy, row 0: column '.*t.npy' must be one of the classes .*, got 'class"):
        evaluate_files([], LOSS, classes=[word + "!" for word in WORDS], **options)


def test_labels_of_other_numbers(data, tmp_path):
    z, values = data["z"], 10 * data["y"] + 5
    columns = {f"z{j}": z[:, j] for j in range(C)}
    pl.DataFrame({"t": values, "f": values / 2, "y": data["y"], "b": data["y"] > 5} | columns).write_parquet(tmp_path / "t.parquet")
    path, expected = tmp_path / "t.parquet", fl.softmax_cross_entropy(data["y"], z)
    listed = [10 * j + 5 for j in range(C)]
    for target, classes in [
        ("t", listed),
        ("t", ",".join(map(str, listed))),
        ("f", [j / 2 for j in listed]),
        ("y", WORDS),
        ("y", range(C)),
    ]:
        found = evaluate_files(path, LOSS, target=target, prediction="z*", classes=classes)
        assert found[LOSS] == expected, (target, classes)
    assert evaluate_files(path, LOSS, target="y", prediction="z*", classes=WORDS).classes == tuple(WORDS), "names of class numbers"
    assert evaluate_files(path, LOSS, target="b", prediction="z*")[LOSS] == fl.softmax_cross_entropy(data["y"] > 5, z)
    with pytest.raises(DataError, match=r"'t' must be one of the classes 5, 15.* got 115; list all classes"):
        evaluate_files(path, LOSS, target="t", prediction="z*", classes=[*listed[:-1], 7])
    with pytest.raises(DataError, match=r"'f' must hold class numbers, or labels of classes=.*, got \d+\.5"):
        evaluate_files(path, LOSS, target="f", prediction="z*")
    with pytest.raises(DataError, match=r"'t' of softmax_cross_entropy must be a class from 0 to 11, got \d+; .*classes=.*:ignore_index="):
        evaluate_files(path, LOSS, target="t", prediction="z*")
    with pytest.raises(SourceError, match="must be its values, or names of 0 to C - 1, got 'x'"):
        evaluate_files(path, LOSS, target="t", prediction="z*", classes=["x", *listed[1:]])


def per_label(y, z, w=None, **options):
    loss = fl.SoftmaxCrossEntropy(**options)
    rows = {int(label): y == label for label in np.unique(y)}
    return {label: (loss(y[mask], z[mask], None if w is None else w[mask]), mask.sum()) for label, mask in rows.items()}


@pytest.mark.parametrize("name", ["c.npy", "f.npy", "t.parquet", "list.parquet"])
def test_costs_per_class(files, data, name):
    y, z, w = data.values()
    losses = [LOSS, f"{LOSS}:ignore_index=3", f"{LOSS}:class_weight=" + ";".join(["2"] * 5 + ["0"] + ["3"] * 6)]
    for weighted in (False, True):
        weights = w if weighted else None
        for rows in (1, 50, N):
            found = run(files[name], losses, weighted=weighted, per_class=True, chunk_rows=rows)
            plain, ignoring, heavy = ({label: (r.cost, r.n) for label, r in result.classes.items()} for result in found.results)
            assert plain == per_label(y, z, weights)
            assert ignoring == {label: part for label, part in plain.items() if label != 3}
            assert heavy[5] == (None, plain[5][1]), "nothing to divide by"
            for label in heavy.keys() - {5}:
                assert heavy[label] == (pytest.approx(plain[label][0], rel=1e-6), plain[label][1])
            assert list(plain) == sorted(plain)
            assert found.costs == run(files[name], losses, weighted=weighted).costs
            if weighted:
                assert found.results[0].classes[7].weight_sum == w[y == 7].sum()


@pytest.mark.parametrize("classes", [5, 60, 3000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_costs_per_class_of_arrays(classes, dtype):
    """Exact, whatever the split and the number of threads; kept by merging, and by writing and reading."""
    rng = np.random.default_rng(classes)
    n = 2_000_000 // classes if classes > 5 else 50_000
    y, z, w = rng.integers(0, min(classes, 20), n), (9 * rng.standard_normal((n, classes))).astype(dtype), rng.random(n)
    y[y == 2] = classes - 1
    expected = per_label(y, z, w)
    states = []
    for cuts in ([0, n], [0, 7, n // 3, n // 2, n]):
        parts = [fl.State(LOSS, per_class=True).update(y[a:b], z[a:b], w[a:b], n_threads=2) for a, b in zip(cuts, cuts[1:], strict=False)]
        whole = parts.pop()
        for part in parts:
            whole.merge(fl.State.from_bytes(part.to_bytes()))
        states += [whole, fl.State.from_bytes(whole.to_bytes())]
    for state in states:
        (result,) = state.results()
        assert {label: (r.cost, r.n) for label, r in result.classes.items()} == expected
        assert result.cost == fl.softmax_cross_entropy(y, z, w)
    with pytest.raises(ValueError, match="states of different questions do not merge: .* per class"):
        whole.merge(fl.State(LOSS))


@pytest.mark.parametrize("nan", ["propagate", "skip"])
def test_costs_per_class_with_nan_and_infinity(nan):
    z = np.array([[0.0, 1], [math.nan, 1], [-math.inf, 0], [1, 0], [2, 0], [math.nan, 0]])
    y = np.array([0, 0, 0, 1, 1, 1])
    (result,) = fl.State(LOSS, nan=nan, per_class=True).update(y, z).results()
    zero, one = result.classes.values()
    assert (zero.n, zero.n_nan, zero.n_inf, one.n, one.n_nan, one.n_inf) == (3, 1, 1, 3, 1, 0)
    skip = nan == "skip"
    assert zero.cost == math.inf if skip else math.isnan(zero.cost)
    assert one.cost == fl.softmax_cross_entropy(y[3:5], z[3:5]) if skip else math.isnan(one.cost)


def test_costs_per_class_are_of_labels():
    with pytest.raises(ValueError, match="`per_class` is of losses whose target is a label per row, as softmax_cross_entropy; got mse"):
        fl.State("mse", per_class=True)
    assert fl.State(LOSS).update([0], [[1.0, 2.0]]).results()[0].classes is None


def test_a_row_that_one_loss_ignores_counts_for_the_others():
    """Two losses in one pass, of which the first leaves out rows."""
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 4, 500), rng.standard_normal((500, 4))
    specs = [f"{LOSS}:ignore_index=1", LOSS, f"{LOSS}:class_weight=1;2;3;4"]
    assert fl.evaluate(specs, y, z) == {spec: fl.get(spec)(y, z) for spec in specs}


def test_costs_per_class_on_the_command_line(capsys):
    words = ["eval", str(SAMPLE), "-l", "cross_entropy", "-y", "species", "-p", "logit_*", "--per-class"]
    frame = pl.read_csv(SAMPLE)
    expected = per_label(frame["y"].to_numpy(), frame.select("^logit_.*$").to_numpy())
    names = ["setosa", "versicolor", "virginica"]
    assert main([*words, "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert [(c["class"], c["cost"], c["rows"]) for c in result["classes"]] == [(names[label], *part) for label, part in expected.items()]
    assert main([*words, "-q"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.split("\n\n")[1].splitlines()]
    assert lines[0] == ["loss", "class", "cost", "rows"]
    assert [(line[1], float(line[2]), int(line[3])) for line in lines[1:]] == [(names[label], *part) for label, part in expected.items()]
    assert main([*words[:-1], "-l", "mse"]) == 2
    assert main(["eval", str(SAMPLE), "-l", "mse", "-p", "logit_setosa", "--per-class"]) == 2
    assert "`per_class` is of losses whose target is a label per row" in capsys.readouterr().err
