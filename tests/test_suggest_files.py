"""Suggestions for prediction files: every format, any chunks, guessed columns, text labels, and the command."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main
from fastloss.evaluation import DataError, SourceError
from fastloss.samples import __file__ as samples

SAMPLES = samples.rpartition("/")[0]
CANCER, IRIS, DIABETES = (f"{SAMPLES}/{name}.csv" for name in ("breast_cancer", "iris", "diabetes"))


def told(found):
    """All but where it came from."""
    return {key: value for key, value in dataclasses.asdict(found).items() if key not in ("files", "columns", "notes")}


def test_the_samples():
    found = fl.suggest_files(CANCER)
    assert (found.task, found.labels, found.scores, found.rows) == ("binary", "{0, 1}", "probability", 569)
    assert found.losses == ["log_loss", "brier", "zero_one:threshold=0.5"]
    assert found.notes == ("target 'y' and prediction 'p' were taken by their names",)
    logits = fl.suggest_files(CANCER, prediction="z")
    assert (logits.losses[0], logits.notes) == ("logistic", ("target 'y' was taken by its name",))
    found = fl.suggest_files(DIABETES)
    assert (found.task, found.losses[0], found.warnings) == ("regression", "squared_error", ())
    by_name = fl.suggest_files(IRIS, target="species", prediction="logit_*")
    assert (by_name.task, by_name.scores, by_name.losses[0]) == ("multiclass", "logit", "softmax_cross_entropy")
    assert told(fl.suggest_files(IRIS)) == told(by_name), "classes 0 to 2 are the columns in their order"


@pytest.mark.parametrize(("path", "names"), [
    (CANCER, {}), (CANCER, {"target": "diagnosis", "prediction": "z"}), (CANCER, {"target": "diagnosis", "positive": "benign"}),
    (DIABETES, {}), (IRIS, {"target": "species"}), (CANCER, {"losses": ["hinge", "mse"]}),
])  # fmt: skip
def test_chunks_leave_no_trace(path, names):
    expected = fl.suggest_files(path, **names)
    for rows in (1, 7, 100):
        assert fl.suggest_files(path, chunk_rows=rows, **names) == expected


def test_formats_say_the_same_as_arrays(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300).astype(float)
    z = rng.normal(size=(300, 3))
    single, rows = fl.suggest(y, z[:, 0]), fl.suggest(y, z)
    table = pl.DataFrame({"y": y, **{f"z_{i}": z[:, i] for i in range(3)}, "list": z.tolist()})
    table.write_parquet(tmp_path / "t.parquet", row_group_size=100)
    table.drop("list").write_csv(tmp_path / "t.csv")
    np.savez(tmp_path / "t.npz", y=y, z_0=z[:, 0], list=z)
    np.save(tmp_path / "y.npy", y)
    np.save(tmp_path / "z.npy", z)
    for name in ("t.parquet", "t.csv", "t.npz"):
        assert told(fl.suggest_files(tmp_path / name, prediction="z_0")) == told(single)
    for paths, target, prediction in (
        ("t.parquet", "y", "list"), ("t.parquet", "y", "z_*"), ("t.csv", "y", ["z_0", "z_1", "z_2"]), ("t.csv", "y", "z_0,z_1,z_2"),
        ("t.npz", "y", "list"), (None, str(tmp_path / "y.npy"), str(tmp_path / "z.npy")),
    ):  # fmt: skip
        found = fl.suggest_files([tmp_path / paths] if paths else [], target=target, prediction=prediction)
        assert told(found) == told(rows), (paths, prediction)
    assert told(fl.suggest_files(tmp_path / "t.parquet", target="list", prediction="z_*")) == told(fl.suggest(z, z))


def test_missing_values_are_counted_and_no_values(tmp_path):
    (tmp_path / "a.csv").write_text("y,p\n1,0.5\n,0.25\n0,\n0,NaN\n1,0.75\n")
    found = fl.suggest_files(tmp_path / "a.csv")
    assert (found.facts["target"]["n"], found.facts["target"]["n_null"]) == (4, 1)
    assert [found.facts["prediction"][name] for name in ("n", "n_null", "n_nan")] == [3, 1, 1]
    text = [misfit.text for misfit in found.warnings]
    assert {"1 values are missing", "1 values are NaN"} <= set(text) and found.scores == "probability"


def test_text_labels_over_files_and_formats(tmp_path):
    words = ["no", "yes", "no", "yes", "no", "yes", "yes"]
    scores = [0.1, 0.9, 0.2, 0.6, 0.4, 0.7, 0.8]
    table = pl.DataFrame({"label": words, "p": scores})
    table[:3].write_parquet(tmp_path / "a.parquet")
    table[3:].reverse().with_columns(pl.col("label").cast(pl.Categorical)).write_parquet(tmp_path / "b.parquet")
    found = fl.suggest_files(str(tmp_path / "*.parquet"))
    assert found.task == "binary" and "positive='yes' (--positive yes): the mean prediction there is 0.75" in found.recommended[0].how
    assert told(found) == told(fl.suggest(words, scores))
    assert told(fl.suggest_files(str(tmp_path / "*.parquet"), positive="yes")) == told(fl.suggest(np.array(words) == "yes", scores))
    (tmp_path / "c.csv").write_text("label,p\n1,0.5\n")
    with pytest.raises(SourceError, match="holds text in .*a.parquet, but numbers in .*c.csv"):
        fl.suggest_files([tmp_path / "a.parquet", tmp_path / "c.csv"])


@pytest.mark.parametrize(("header", "target", "prediction"), [
    ("y,p,w", "y", "p"), ("id,Label,Score", "Label", "Score"), ("y_true,y_pred", "y_true", "y_pred"), ("b,a", "b", "a"),
    ("actual,x,predicted", "actual", "predicted"), ("y,prob_0,prob_1", "y", ["prob_0", "prob_1"]), ("y-true,y-hat,q", "y-true", "y-hat"),
])  # fmt: skip
def test_guesses(tmp_path, header, target, prediction):
    (tmp_path / "a.csv").write_text(f"{header}\n{','.join('1' * len(header.split(',')))}\n")
    assert fl.suggest_files(tmp_path / "a.csv").columns == {"target": target, "prediction": prediction}


@pytest.mark.parametrize(("text", "options", "error", "message"), [
    ("a,b,c\n1,2,3\n", {}, SourceError, "which column is the target. name it"),
    ("y,b,c\n1,2,3\n", {}, SourceError, "which column is the prediction. name it"),
    ("y,p\n1,2\n", {"target": "z"}, SourceError, "no column 'z'"), ("y,p\n1,a\n", {}, SourceError, "must hold numbers, got text"),
    ("y,p\n", {}, DataError, "there are no rows"), ("y,p\n1,0.5\n", {"classes": "a,b"}, SourceError, "`classes` are of rows"),
    ("y,p_a,p_b\n1,2,3\n", {"positive": 1}, SourceError, "`positive` is of single"), ("y,p\n1,2\n", {"losses": "no"}, ValueError, "no"),
    ("y,p_a,p_b\n0.5,2,3\n", {}, None, ""), ("y,p\nx,1\n", {}, None, ""), ("y,p\n,\n", {}, None, ""), ("y,p\n1,1\n", {}, None, ""),
])  # fmt: skip
def test_hostile_files(tmp_path, text, options, error, message):
    (tmp_path / "a.csv").write_text(text)
    if error is None:
        assert fl.suggest_files(tmp_path / "a.csv", **options).rows == 1
        return
    with pytest.raises(error, match=message):
        fl.suggest_files(tmp_path / "a.csv", **options)


def command(capsys, *words):
    code = main(["suggest", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command(capsys):
    code, out, err = command(capsys, CANCER, "-t", "diagnosis", "-p", "z")
    lines = out.splitlines()
    assert (code, err) == (0, "") and lines[0].startswith("task: two classes; labels are text; predictions are of the kind: logit")
    assert lines[1].startswith("logistic") and all(len(line) <= 110 for line in lines)
    assert any("--positive benign" in line for line in lines)
    assert any(line.startswith("warning  target") for line in lines)
    code, out, err = command(capsys, CANCER, "-l", "hinge")
    assert code == 0 and out.count("\nwarning  hinge") == 2 and err == "note: target 'y' and prediction 'p' were taken by their names\n"
    assert command(capsys, CANCER, "-l", "log_loss", "-q")[1:] == (out.partition("\n\n")[0] + "\n", ""), "nothing is wrong with log_loss"


def test_the_command_as_json(capsys):
    code, out, _ = command(capsys, IRIS, "-y", "species", "-p", "logit_*", "-l", "multiclass_brier", "--json")
    document = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (code, document["schema"], document["task"], document["rows"]) == (0, 1, "multiclass", 150)
    assert document["inputs"][0]["path"] == IRIS and document["columns"] == {"target": "species", "prediction": "logit_*"}
    assert [one["rank"] for one in document["recommended"]] == [1, 2, 3, 4]
    assert document["recommended"][0]["loss"] == "softmax_cross_entropy" and document["recommended"][0]["evidence"]["classes"] == 3
    (warning,) = document["warnings"]
    assert warning["about"] == "multiclass_brier" and warning["evidence"]["min"] < 0


@pytest.mark.parametrize(("words", "code", "message"), [
    (["none.csv"], 2, "there is no such file"), ([CANCER, "-t", "q"], 2, "no column 'q'"),
    ([CANCER, "-l", "hing"], 2, "did you mean 'hinge'"),
    ([], 2, "no file is given"), ([CANCER, "--nothing"], 2, "No such option"), ([CANCER, "-p", "diagnosis"], 2, "must hold numbers"),
])  # fmt: skip
def test_exit_codes(capsys, words, code, message):
    found, out, err = command(capsys, *words)
    assert (found, out) == (code, "") and message in err


def test_damaged_files_are_bad_data(capsys, tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "b.csv").write_bytes(b"")
    assert [command(capsys, tmp_path / name)[0] for name in ("a.parquet", "b.csv")] == [3, 3]
