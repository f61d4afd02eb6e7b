"""Which column a label of a file means, rows without a label, and files without rows."""

import json
import math

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main
from fastloss.evaluation import DataError, SourceError, evaluate_files

LOSS = "softmax_cross_entropy"
Z = np.array([[5.0, 1, 0], [0, 4, 1], [2, 0, 7], [1, 3, 2]])  # of low, mid, high


def table(path, labels, names=("low", "mid", "high"), z=Z):
    frame = pl.DataFrame({"y": labels} | {f"l_{name}": z[:, j] for j, name in enumerate(names)})
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return path


def cost(path, prediction="l_*", **options):
    return evaluate_files(path, LOSS, prediction=prediction, **options)[LOSS]


NUMBERS = [0, 1, 2, 1]
EXPECTED = fl.softmax_cross_entropy(NUMBERS, Z)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_numbers_do_not_say_which_word_they_mean(tmp_path, kind):
    path = table(tmp_path / f"t.{kind}", NUMBERS)
    text = r"'y' holds class numbers, and the columns are named high, low, mid; .*: .*--classes low,mid,high.*l_low,l_mid,l_high"
    with pytest.raises(SourceError, match=text):
        cost(path)
    assert cost(path, classes="low,mid,high") == cost(path, "l_low,l_mid,l_high") == EXPECTED
    found = evaluate_files(path, LOSS, prediction="l_*", classes=["high", "mid", "low"])
    assert found[LOSS] == fl.softmax_cross_entropy(NUMBERS, Z[:, ::-1])
    assert found.columns["prediction_columns"] == ["l_high", "l_mid", "l_low"] and found.classes == ("high", "mid", "low")
    with pytest.raises(SourceError, match="`classes` are a, b, c, but the prediction's columns are named high, low, mid; list the columns"):
        cost(path, classes="a,b,c")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_names_decide_where_labels_are_text(tmp_path, kind):
    path = table(tmp_path / f"t.{kind}", [["low", "mid", "high"][label] for label in NUMBERS])
    for classes in (None, "low,mid,high", "high,low,mid", "mid,low,high"):
        assert cost(path, classes=classes) == pytest.approx(EXPECTED, rel=1e-15), classes
    with pytest.raises(SourceError, match="`classes` are low, mid, top, but the prediction's columns are named high, low, mid"):
        cost(path, classes="low,mid,top")


def test_columns_whose_numbers_are_not_0_to_c_less_1(tmp_path):
    for labels in (NUMBERS, [1, 2, 1, 2], [1, 2, 3, 2]):
        path = table(tmp_path / "t.csv", labels, (1, 2, 3))
        with pytest.raises(
            SourceError, match=r"say whether they are those of the columns \(1, 2, 3\): .*--classes 1,2,3.*; or 0 to C - 1: list"
        ):
            cost(path)
        with pytest.raises(SourceError, match="`classes` are a, b, c, but the prediction's columns are named 1, 2, 3"):
            cost(path, classes="a,b,c")
        if 0 in labels:
            assert cost(path, "l_1,l_2,l_3") == EXPECTED
        else:
            assert cost(path, classes="1,2,3") == cost(path, classes=[3, 1, 2]) == fl.softmax_cross_entropy(np.array(labels) - 1, Z)
    assert cost(table(tmp_path / "t.csv", NUMBERS, ("00", "01", "02"))) == EXPECTED
    assert cost(table(tmp_path / "t.csv", [10, 20, 30, 20], range(3)), classes="10,20,30") == EXPECTED
    assert cost(table(tmp_path / "t.csv", NUMBERS, range(3)), classes="a,b,c") == EXPECTED


@pytest.mark.parametrize("prediction", ["l_*", "l_true,l_false", "l_false,l_true"])
@pytest.mark.parametrize("names", [("true", "false"), ("false", "true"), ("True", "False")])
def test_true_is_true_wherever_its_column_stands(tmp_path, prediction, names):
    path = table(tmp_path / "t.csv", [True, False, True, True], names, Z[:, :2])
    if names[0] == "True":
        prediction = prediction.replace("t", "T").replace("f", "F")
    by_name = dict(zip(map(str.lower, names), Z.T, strict=False))
    expected = fl.softmax_cross_entropy([1, 0, 1, 1], [by_name["false"], by_name["true"]])
    found = evaluate_files(path, LOSS, prediction=prediction)
    assert found[LOSS] == expected
    assert [name.lower() for name in found.columns["prediction_columns"]] == ["l_false", "l_true"]
    assert any("order" in note and "alse" in note for note in found.notes) or prediction.endswith("rue")
    if prediction == "l_*":
        assert cost(path, prediction, classes="true,false") == pytest.approx(expected, rel=1e-15)


def test_rows_without_a_label_are_of_no_class(tmp_path):
    (tmp_path / "t.csv").write_text("y,l_a,l_b\na,1,2\n,3,1\nb,,4\nb,2,0\na,0,1\n")
    found = evaluate_files(tmp_path / "t.csv", LOSS, prediction="l_*", nan="skip", per_class=True)
    (result,) = found.results
    kept = np.array([[1.0, 2], [2, 0], [0, 1]])
    assert result.cost == fl.softmax_cross_entropy([0, 1, 0], kept) and (result.n, result.n_nan) == (5, 2)
    assert {found.class_name(label): (r.n, r.n_nan) for label, r in result.classes.items()} == {"a": (2, 0), "b": (2, 1)}


@pytest.mark.parametrize("rows", [1, 2, 2**18])
@pytest.mark.parametrize("labels", ["Int64", "Float64", "UInt8"])
def test_missing_labels_are_not_ignored_ones(tmp_path, labels, rows):
    y = [3 if labels == "UInt8" else -1, None, 0, 1, None]
    frame = pl.DataFrame({"y": pl.Series(y, dtype=getattr(pl, labels)), "z": np.random.default_rng(0).random((5, 3))})
    frame.with_columns(w=pl.Series([1.0, 2.0, 3.0, 4.0, 5.0])).write_parquet(tmp_path / "t.parquet")
    spec = f"{LOSS}:ignore_index={y[0]}"
    for weight in (None, "w"):
        options = {"prediction": "z", "weight": weight, "chunk_rows": rows}
        (result,) = evaluate_files(tmp_path / "t.parquet", spec, nan="skip", per_class=True, **options).results
        z, w = frame["z"].to_numpy()[2:4], None if weight is None else np.array([3.0, 4.0])
        assert result.cost == fl.softmax_cross_entropy([0, 1], z, w)
        assert (result.n, result.n_nan, result.weight_sum) == (5, 2, None if w is None else 7.0)
        assert {label: (r.n, r.n_nan) for label, r in result.classes.items()} == {0: (1, 0), 1: (1, 0)}


def test_labels_that_are_nan(tmp_path):
    y, z = np.array([0.0, math.nan, 1, -1]), np.zeros((4, 3))
    np.savez(tmp_path / "t.npz", y=y, z=z, w=np.array([1.0, 2, 3, 4]), bad=np.array([1.0, -2, 3, 4]))
    spec = f"{LOSS}:ignore_index=-1"
    (result,) = evaluate_files(tmp_path / "t.npz", spec, prediction="z", weight="w", per_class=True).results
    assert math.isnan(result.cost) and (result.n_nan, result.weight_sum) == (1, 6.0)
    assert {label: (r.n, r.n_nan) for label, r in result.classes.items()} == {0: (1, 0), 1: (1, 0)}
    with pytest.raises(DataError, match="row 1: column 'y' is NaN; leave such rows out"):
        evaluate_files(tmp_path / "t.npz", spec, prediction="z", nan="raise")
    with pytest.raises(DataError, match="row 1: column 'bad' must be finite and >= 0, got -2.0"):
        evaluate_files(tmp_path / "t.npz", spec, prediction="z", weight="bad")
    np.savez(tmp_path / "t.npz", y=np.array([math.nan, 0, 7]), z=np.zeros((3, 3)))
    with pytest.raises(DataError, match="row 2: column 'y' of softmax_cross_entropy must be a class from 0 to 2, got 7"):
        evaluate_files(tmp_path / "t.npz", LOSS, prediction="z")


def test_states_count_rows_without_a_label():
    state = fl.State(["cross_entropy", "perplexity"], nan="skip", per_class=True).update([0, 1], np.zeros((2, 2)))
    other = fl.State.from_bytes(fl.State(["cross_entropy", "perplexity"], nan="skip", per_class=True).update_missing(3).to_bytes())
    for result in state.merge(other).results():
        assert (result.n, result.n_nan, [r.n for r in result.classes.values()]) == (5, 3, [1, 1])
    assert state.compute() == {"cross_entropy": math.log(2.0), "perplexity": 2.0}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", ["list", "columns"])
def test_files_without_rows_are_skipped(tmp_path, kind, first):
    lists = pl.DataFrame({"y": NUMBERS, "l": Z})
    frame = (
        lists.select("y", l=pl.col("l").cast(pl.List(pl.Float64))) if kind == "list" else pl.read_csv(table(tmp_path / "t.csv", NUMBERS))
    )
    frame.write_parquet(tmp_path / "full.parquet")
    frame.clear().write_parquet(tmp_path / "empty.parquet")
    prediction = "l" if kind == "list" else "l_low,l_mid,l_high"
    paths = [tmp_path / "full.parquet", tmp_path / "empty.parquet"]
    found = evaluate_files(paths[::-1] if first else paths, f"{LOSS}:class_weight=1;2;3", prediction=prediction)
    assert found[f"{LOSS}:class_weight=1;2;3"] == fl.softmax_cross_entropy(NUMBERS, Z, class_weight=[1, 2, 3])
    assert sorted(file["rows"] for file in found.files) == [0, 4] and any("prediction" in key for key in found.columns)
    with pytest.raises(DataError, match="there are no rows in .*empty.parquet"):
        evaluate_files(tmp_path / "empty.parquet", f"{LOSS}:class_weight=1;2;3", prediction=prediction)
    assert main(["eval", str(tmp_path / "empty.parquet"), "-l", LOSS, "-p", prediction]) == 3


def test_what_is_no_name_and_no_list_of_classes(tmp_path):
    path = table(tmp_path / "t.csv", NUMBERS, range(3))
    for prediction in ([], None, 5, {"l_0", "l_1"}, ["l_0", 1]):
        with pytest.raises(SourceError, match="`prediction` must name columns, got"):
            cost(path, prediction)
    with pytest.raises(SourceError, match="`classes` must be a list of all classes, got 5"):
        cost(path, classes=5)
    with pytest.raises(SourceError, match="`classes` must be in the order of the prediction's columns, got a set, which has none"):
        cost(path, classes={"a", "b", "c"})
    names = ["0", "²", "10", "٣", "x2", "x10"]
    path = table(tmp_path / "t.csv", [f"{name}" for name in names[:4]], names, np.random.default_rng(0).random((4, 6)))
    found = evaluate_files(path, LOSS, prediction="l_*", classes=None if pl.read_csv(path)["y"].dtype == pl.String else names)
    assert found.columns["prediction_columns"] == ["l_0", "l_10", "l_x2", "l_x10", "l_²", "l_٣"]


def test_a_label_that_no_ignore_index_is(tmp_path):
    np.savez(tmp_path / "t.npz", y=np.array([0, 2**64 - 1], np.uint64), z=np.zeros((2, 2)))
    with pytest.raises(DataError, match="must be a class from 0 to 1, got 18446744073709551615") as caught:
        evaluate_files(tmp_path / "t.npz", LOSS, prediction="z")
    assert "ignore_index" not in str(caught.value)


def test_columns_of_integers_compute_in_float64(tmp_path):
    big = np.array([2**24 + 1, 0, 5])
    pl.DataFrame({"y": [1, 0, 0], "l_0": big, "l_1": pl.Series(big + 1, dtype=pl.Float32)}).write_parquet(tmp_path / "t.parquet")
    columns = np.column_stack([big.astype(float), (big + 1).astype(np.float32).astype(float)])
    assert cost(tmp_path / "t.parquet") == fl.softmax_cross_entropy([1, 0, 0], columns)


def test_perplexity_per_class_on_the_command_line(tmp_path, capsys):
    path = table(tmp_path / "t.csv", [0, 1, 0, 1], range(3), np.zeros((4, 3)))
    assert main(["eval", str(path), "-l", "perplexity", "-l", "cross_entropy", "-p", "l_*", "--per-class", "--json"]) == 0
    perplexity, entropy = json.loads(capsys.readouterr().out)["results"]
    assert [c["cost"] for c in entropy["classes"]] == [math.log(3.0)] * 2
    assert [c["cost"] for c in perplexity["classes"]] == [perplexity["cost"]] * 2 == pytest.approx([3.0, 3.0], rel=1e-15)
