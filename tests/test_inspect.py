"""`fastloss inspect`: what it finds is what was written, and its advice comes where it should and nowhere else."""

import json

import numpy as np
import polars as pl
import pytest

from fastloss.cli import main
from fastloss.evaluation import evaluate_files
from fastloss.evaluation.inspect import guess, inspect_files
from fastloss.evaluation.source import Column
from tests.test_formats import tensors_of

N = 40_000


def inspected(capsys, *arguments):
    code = main(["inspect", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)["files"]


def frame(rows=N):
    rng = np.random.default_rng(0)
    return pl.DataFrame({"id": range(rows), "label": rng.integers(0, 2, rows), "Score": rng.random(rows), "w": rng.random(rows)})


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "jsonl", "npz"])
def test_what_a_file_holds(tmp_path, capsys, suffix):
    path = tmp_path / f"t.{suffix}"
    if suffix == "npz":
        np.savez(path, **{name: frame()[name].to_numpy() for name in frame().columns})
    else:
        {"parquet": frame().write_parquet, "arrow": frame().write_ipc, "csv": frame().write_csv, "jsonl": frame().write_ndjson}[suffix](
            path
        )
    code, (found,) = inspected(capsys, path)
    assert code == 0
    assert found["bytes"] == path.stat().st_size
    assert found["rows"] == (None if suffix in ("csv", "jsonl") else N)
    assert [(column["name"], column["kind"]) for column in found["columns"]] == [(name, "number") for name in ("id", "label", "Score", "w")]
    assert found["guess"] == {"target": "label", "prediction": "Score", "weight": "w"}
    assert found["advice"] == []
    assert 50e6 < found["memory"] < 400e6


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["logit_0", "logit_1", "species"], (None, "logit_*", None)),
        (["y", "y_true", "p"], ("y", "p", None)),
        (["Target", "PRED", "sample_weight"], ("Target", "PRED", "sample_weight")),
        (["a_1", "a_2"], (None, None, None)),
    ],
)
def test_guesses(names, expected):
    assert tuple(guess({name: Column("number", "f8") for name in names}).values()) == expected


def test_text_is_guessed_to_be_a_target_alone():
    assert guess({"y": Column("text", "text"), "p": Column("text", "text")}) == {"target": "y", "prediction": None, "weight": None}


def advice_on(path):
    (found,) = inspect_files(path)
    assert found.error is None
    return " ".join(found.advice)


def test_advice(tmp_path, monkeypatch):
    table = frame().rename({"label": "y", "Score": "p"})
    table.write_parquet(tmp_path / "small.parquet", row_group_size=100)
    assert "its 400 row groups are small, 100 rows" in advice_on(tmp_path / "small.parquet")
    table.with_columns(pl.col("p").cast(pl.String)).write_parquet(tmp_path / "text.parquet")
    assert "'p' holds numbers as text" in advice_on(tmp_path / "text.parquet")
    assert "no column looks like a prediction; name it: --prediction" in advice_on(tmp_path / "text.parquet")
    table.with_columns(p=pl.concat_list("p", "w")).write_parquet(tmp_path / "lists.parquet")
    assert "'p' is a column of lists" in advice_on(tmp_path / "lists.parquet")
    table.write_parquet(tmp_path / "large.parquet")
    assert advice_on(tmp_path / "large.parquet") == ""
    monkeypatch.setattr("fastloss.evaluation.inspect.LARGE_GROUP", 1000)
    assert "which are held at once" in advice_on(tmp_path / "large.parquet")


def test_files_that_differ_and_broken_ones(tmp_path, capsys):
    table = frame().rename({"label": "y", "Score": "p"})
    table.write_parquet(tmp_path / "a.parquet")
    table.drop("w").with_columns(pl.col("y").cast(pl.String)).write_parquet(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-50])
    code, (_, other, broken) = inspected(capsys, tmp_path)
    assert code == 3
    assert f"it lacks w, which {tmp_path / 'a.parquet'} has; files are matched by names" in other["advice"]
    assert any("'y' is text, and in" in sentence for sentence in other["advice"])
    assert "truncated or damaged" in broken["error"]
    assert main(["inspect", str(tmp_path)]) == 3
    captured = capsys.readouterr()
    assert "target?" in captured.out
    assert "Error: " in captured.err
    assert main(["inspect", str(tmp_path / "none.csv")]) == 2


def test_what_an_evaluation_does_not_read_does_not_break_a_file(tmp_path, capsys):
    y, p = np.arange(40) % 2, np.random.default_rng(0).random(40)
    odd = {"history": np.ones(3), "y": y, "cube": np.ones((40, 2, 2)), "p": p}
    (tmp_path / "t.safetensors").write_bytes(tensors_of(odd))
    np.savez(tmp_path / "t.npz", **odd, words=np.array(["a", None] * 20, object))
    (tmp_path / "t.csv").write_text("y,p,a,a\n" + "".join(f"{a},{b},0,0\n" for a, b in zip(y, p, strict=True)))
    expected = evaluate_files(tmp_path / "t.csv", "brier").costs
    for suffix, said in (
        ("safetensors", ("differ in length", "'cube' cannot")),
        ("npz", ("'words' cannot", "'cube'")),
        ("csv", ("'a' cannot",)),
    ):
        path = tmp_path / f"t.{suffix}"
        assert evaluate_files(path, "brier").costs == expected
        code, (found,) = inspected(capsys, path)
        assert (code, found["rows"], found["error"]) == (0, None if suffix == "csv" else 40, None)
        assert found["guess"] == {"target": "y", "prediction": "p", "weight": None}
        assert all(any(word in sentence for sentence in found["advice"]) for word in said)
    (tmp_path / "u.safetensors").write_bytes(tensors_of({"y": y[:3], "p": p}))
    assert inspected(capsys, tmp_path / "u.safetensors")[0] == main(["eval", str(tmp_path / "u.safetensors"), "-l", "brier"]) == 3


def test_a_wide_array_is_a_prediction(tmp_path, capsys):
    folder = tmp_path / "day=1"
    folder.mkdir()
    np.save(folder / "z.npy", np.zeros((3, 10_001), np.float32))
    np.save(tmp_path / "y.npy", np.zeros(3, int))
    code, (found,) = inspected(capsys, folder / "z.npy")
    assert (code, found["rows"], found["columns"][0]["width"]) == (0, 3, 10_001)
    assert f"--prediction {folder / 'z.npy'}" in found["advice"][0]
    assert main(["eval", "-l", "cross_entropy", "-y", str(tmp_path / "y.npy"), "-p", str(folder / "z.npy")]) == 0


def test_weights_are_one_number_per_row():
    wide = Column("number", "list", 2)
    assert guess({"y": wide, "p": wide, "w": wide, "weight": Column("number", "f8")})["weight"] == "weight"
    assert guess({"y": wide, "p": wide, "w": wide}) == {"target": "y", "prediction": "p", "weight": None}
