"""Files of rows of C scores: every format gives what the arrays give, and what is wrong is said by file, row and column."""

import json
import math

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main
from fastloss.evaluation import DataError, SourceError, evaluate_files
from fastloss.losses import ROW_REGISTRY
from fastloss.losses.rowspec import LABELS
from tests.row_files import CASES, LOSS, NAMES, SAMPLE, C, N, make_data, run, write_files

WORDS = [f"class {j}" for j in range(C)]


@pytest.fixture(scope="module")
def data():
    return make_data()


@pytest.fixture(scope="module")
def files(data, tmp_path_factory):
    return write_files(data, tmp_path_factory.mktemp("rows"))


@pytest.mark.parametrize("name", CASES)
def test_formats_give_what_arrays_give(files, data, name):
    """To the bit; where the files have doubles (CSV, a table with other numbers) that of doubles."""
    wide = name.split()[-1] in ("t.csv", "t.tsv", "table.npy", "table_f.npy")
    z = data["z"].astype(float) if wide else data["z"]
    for weighted in (False, True):
        for rows in (2**18, 64, 1 if weighted else 50):
            found = run(files[name], weighted=weighted, chunk_rows=rows)
            assert found[LOSS] == fl.softmax_cross_entropy(data["y"], z, data["w"] if weighted else None), (weighted, rows)
            assert found.rows == N


def test_every_case_is_tried(files):
    assert sorted(files) == sorted(CASES)


def test_columns_come_in_natural_order_and_the_order_is_said(files):
    found = run(files["t.csv"])
    assert found.columns["prediction_columns"] == NAMES
    assert found.columns["prediction"] == "z_*"
    assert any(", ".join(NAMES) in note for note in found.notes)
    assert found.classes is None


def test_specs_configure_ignored_labels_and_class_weights(files, data):
    weights = [1.0, 2.0, 0.5] * 4
    specs = [f"{LOSS}:ignore_index=3", f"{LOSS}:class_weight={';'.join(map(str, weights))}", f"{LOSS}:label_smoothing=0.1"]
    found = run(files["c.npy"], specs, weighted=False, chunk_rows=50)
    losses = [
        fl.SoftmaxCrossEntropy(ignore_index=3),
        fl.SoftmaxCrossEntropy(class_weight=weights),
        fl.SoftmaxCrossEntropy(label_smoothing=0.1),
    ]
    assert list(found.costs.values()) == [loss(data["y"], data["z"]) for loss in losses]
    with pytest.raises(SourceError, match="2 weights, but `y_pred` has 12 classes"):
        run(files["c.npy"], f"{LOSS}:class_weight=1;2")


@pytest.mark.parametrize("form", ["t.csv", "t.parquet", "list.parquet", "array.parquet"])
@pytest.mark.parametrize("column", ["y", "z", "w", "t"])
def test_missing_values(data, tmp_path, form, column):
    y, z, w = data.values()
    lists = form in ("list.parquet", "array.parquet")
    rows = z.astype(float).tolist()
    if column == "z":
        rows[7], rows[121][4] = None if lists else rows[7], None
    frame = pl.DataFrame({"y": y, "w": w, "t": [WORDS[label] for label in y]})
    if column != "z":
        frame = frame.with_columns(pl.when(pl.int_range(N) == 121).then(None).otherwise(pl.col(column)).alias(column))
    if lists:
        frame = frame.with_columns(pl.Series("z", rows, dtype=pl.List(pl.Float64) if form == "list.parquet" else pl.Array(pl.Float64, C)))
    else:
        frame = frame.with_columns([pl.Series(name, [row[j] for row in rows], dtype=pl.Float64) for j, name in enumerate(NAMES)])
    path = tmp_path / form
    frame.write_csv(path) if form == "t.csv" else frame.write_parquet(path)
    target = "t" if column == "t" else "y"
    options = {"target": target, "prediction": "z" if lists else "z_*", "weight": "w", "classes": WORDS if column == "t" else None}
    lacking = {"z": "z" if lists else "z_4"}.get(column, column)
    bad = [7, 121] if lists and column == "z" else [121]
    with pytest.raises(DataError, match=f"row {bad[0]}: column '{lacking}' has a missing value") as caught:
        evaluate_files(path, LOSS, chunk_rows=50, **options)
    assert (caught.value.row, caught.value.column) == (bad[0], lacking)
    keep = ~np.isin(np.arange(N), bad)
    for rows in (50, 1):
        found = evaluate_files(path, LOSS, nan="skip", chunk_rows=rows, **options)
        assert found[LOSS] == fl.softmax_cross_entropy(y[keep], z[keep].astype(float), w[keep])
        assert found.results[0].n_nan == len(bad)


def test_nan_in_scores_and_labels(data, tmp_path):
    y, z = data["y"].astype(float), data["z"].copy()
    z[100, 3], y[150] = math.nan, math.nan
    np.save(tmp_path / "table.npy", np.column_stack([y, z]))
    np.savez(tmp_path / "t.npz", y=y, z=z)
    keep = ~np.isin(np.arange(N), [100, 150])
    for path, prediction, column in [("table.npy", ",".join(map(str, range(1, C + 1))), "4"), ("t.npz", "z", "z")]:
        options = {"target": "y" if path == "t.npz" else "0", "prediction": prediction, "chunk_rows": 60}
        found = evaluate_files(tmp_path / path, LOSS, **options)
        assert math.isnan(found[LOSS]) and found.results[0].n_nan == 2
        scores = z[keep] if path == "t.npz" else z[keep].astype(float)
        assert evaluate_files(tmp_path / path, LOSS, nan="skip", **options)[LOSS] == fl.softmax_cross_entropy(data["y"][keep], scores)
        with pytest.raises(DataError, match="row 100: .*is NaN") as caught:
            evaluate_files(tmp_path / path, LOSS, nan="raise", **options)
        assert (caught.value.row, caught.value.column) == (100, column)


def test_lists_of_different_lengths_are_named_by_row(tmp_path):
    pl.DataFrame({"y": [0] * 90, "z": [[1.0, 2.0]] * 80 + [[1.0, 2.0, 3.0]] + [[1.0, 2.0]] * 9}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="row 80: column 'z' must hold rows of one length, 2 as the first, got one of 3") as caught:
        evaluate_files(tmp_path / "t.parquet", LOSS, prediction="z", chunk_rows=50)
    assert caught.value.column == "z"


def test_many_files_must_agree(data, tmp_path):
    y, z = data["y"], data["z"]
    for part, rows in enumerate([slice(0, 100), slice(100, N)]):
        names = NAMES if part else NAMES[::-1]
        pl.DataFrame({"y": y[rows]} | {name: z[rows, NAMES.index(name)] for name in names}).write_parquet(tmp_path / f"{part}.parquet")
    np.savez(tmp_path / "a.npz", y=y[:100], z=z[:100])
    pl.DataFrame({"y": y[100:], "z": pl.Series(z[100:])}).write_parquet(tmp_path / "b.parquet")
    whole = fl.softmax_cross_entropy(y, z)
    assert evaluate_files(str(tmp_path / "?.parquet").replace("?", "[01]"), LOSS, prediction="z_*")[LOSS] == whole
    assert evaluate_files([tmp_path / "a.npz", tmp_path / "b.parquet"], LOSS, prediction="z")[LOSS] == whole
    pl.DataFrame({"y": y[100:]} | {f"z_{j}": z[100:, j] for j in range(C - 1)}).write_csv(tmp_path / "2.csv")
    with pytest.raises(SourceError, match=r"2.csv has another prediction than .*0.parquet: 11 columns \(z_0, .*\), not 12"):
        evaluate_files([tmp_path / "0.parquet", tmp_path / "2.csv"], LOSS, prediction="z_*")


def test_requests_are_refused_before_a_row_is_read(files, tmp_path, monkeypatch):
    path = files["t.csv"][0][0]
    pl.DataFrame({"y": [1, 0], "z": [0.5, 1.0], "t": ["a", "b"], "l": [[1.0], [2.0]], "m": [["a"], ["b"]]}).write_parquet(
        tmp_path / "t.parquet"
    )
    table, flat, square = tmp_path / "t.parquet", str(path.parent / "y.npy"), str(path.parent / "c.npy")
    np.savez_compressed(tmp_path / "f.npz", y=np.zeros(2, int), z=np.asfortranarray(np.zeros((2, 3))))
    monkeypatch.setattr(fl.State, "update", lambda *_, **__: pytest.fail("rows were read"))
    for arguments, options, text in [
        ((path, LOSS), {"prediction": "q_*"}, r"the pattern 'q_\*' matches no column; it has y, z_11, "),
        ((path, LOSS), {"prediction": "z_11*"}, "matches one column alone, 'z_11'"),
        ((path, LOSS), {"prediction": "*_*"}, r"a pattern of columns has one \*"),
        ((path, LOSS), {"prediction": "z_0,z_1,q"}, "has no column 'q'"),
        ((path, LOSS), {"prediction": ["z_0", "z_1", "z_0"]}, "'z_0' is named twice"),
        (
            (path, LOSS),
            {"prediction": "z_0"},
            "'z_0' is one number per row; the prediction of a loss of rows has 2 or more: rows are a pattern",
        ),
        ((path, LOSS), {"prediction": "p"}, "has no column 'p'"),
        ((path, LOSS), {"prediction": "z_*", "target": ["y", "w"]}, "`target` must name one column"),
        ((path, LOSS), {"prediction": "z_*", "target": "x"}, "has no column 'x'"),
        ((path, LOSS), {"prediction": "z_*", "classes": ["a", "b"]}, "`classes` lists 2, but the prediction has 12 columns"),
        ((path, LOSS), {"prediction": "z_*", "classes": "a,b,a"}, "`classes` lists 'a' twice"),
        ((path, LOSS), {"prediction": "z_*", "classes": "a"}, "2 classes or more"),
        ((path, LOSS), {"prediction": "z_*", "positive": 1}, "`positive` is of losses of two classes"),
        ((path, "mse"), {"prediction": "z_0", "classes": "a,b"}, "`classes` are of losses of rows"),
        ((path, "mse"), {"prediction": ["z_0", "z_1"]}, "`prediction` must name one column, got .*only losses of rows"),
        ((path, "mse"), {"prediction": "z_*"}, r"has no column 'z_\*'.*only losses of rows take several"),
        ((table, LOSS), {"prediction": "l"}, "'l' holds rows of 1 number; 2 or more are needed"),
        ((table, LOSS), {"prediction": "m"}, r"'m' must hold numbers, got List\(String\)"),
        ((table, LOSS), {"prediction": "z,t"}, "'t' must hold numbers, got text"),
        ((table, LOSS), {"prediction": "y,z", "target": "l"}, "must hold one label per row"),
        ((table, "mse"), {"prediction": "l"}, r"must hold numbers, got List\(Float64\)"),
        (([], LOSS), {"target": flat, "prediction": flat}, "is one number per row"),
        (
            ([], LOSS),
            {"target": square, "prediction": square},
            "must hold one label per row, a class number or text, got rows of 12 numbers",
        ),
        (([], "mse"), {"target": flat, "prediction": square}, "must be 1-D"),
        ((tmp_path / "f.npz", LOSS), {"prediction": "z"}, "Fortran order cannot be read from a compressed member; save it with np.savez"),
    ]:
        with pytest.raises(SourceError, match=text):
            evaluate_files(*arguments, **options)
    with pytest.raises(ValueError, match="losses of single predictions and losses of rows do not go together: mse, softmax"):
        evaluate_files(path, ["mse", LOSS], prediction="z_*")


def test_very_wide_files_in_little_memory(tmp_path):
    """20,000 columns, more than are read by name, in chunks that are bounded in bytes."""
    import tracemalloc

    z, y = np.random.default_rng(1).standard_normal((300, 20_000)).astype(np.float32), np.arange(300)
    np.save(tmp_path / "y.npy", y)
    expected = fl.softmax_cross_entropy(y, z)
    for name, array in (("c.npy", z), ("f.npy", np.asfortranarray(z))):
        np.save(tmp_path / name, array)
        tracemalloc.start()
        found = evaluate_files([], LOSS, target=str(tmp_path / "y.npy"), prediction=str(tmp_path / name))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found[LOSS] == expected
        assert peak < 12e6, "the file has 24 MB"


def test_scores_of_other_types(data, tmp_path):
    for dtype in ("<f2", ">f8", "i1", "u2", "?"):
        z = np.clip(data["z"], 0, 9).astype(dtype)
        np.savez(tmp_path / "t.npz", y=data["y"].astype("u1"), z=z, **{f"c{j}": z[:, j] for j in range(C)})
        for prediction in ("z", "c*"):
            assert evaluate_files(tmp_path / "t.npz", LOSS, prediction=prediction)[LOSS] == fl.softmax_cross_entropy(data["y"], z), dtype


def test_every_loss_of_labels_in_one_pass(files, data):
    names = [name for name, definition in ROW_REGISTRY.items() if definition.target is LABELS]
    z = np.exp(data["z"]) / np.exp(data["z"]).sum(axis=1, keepdims=True)
    np.save(files["t.csv"][0][0].parent / "p.npy", z)
    case = ([], files["c.npy"][1], str(files["t.csv"][0][0].parent / "p.npy"), None)
    assert run(case, names, weighted=False, chunk_rows=50).costs == fl.evaluate(names, data["y"], z)


@pytest.mark.parametrize("chunk_rows", [1, 50, 2**18])
def test_bad_values_are_named(data, tmp_path, chunk_rows):
    y, w = data["y"].copy(), data["w"].copy()
    y[130], w[140] = C, -1
    np.savez(tmp_path / "t.npz", y=y, z=data["z"], w=w, fine=data["y"])
    with pytest.raises(DataError, match="row 130: column 'y' of softmax_cross_entropy must be a class from 0 to 11, got 12") as caught:
        evaluate_files(tmp_path / "t.npz", LOSS, prediction="z", chunk_rows=chunk_rows)
    assert (caught.value.row, caught.value.column) == (130, "y")
    with pytest.raises(DataError, match="row 140: column 'w' must be finite and >= 0, got -1.0"):
        evaluate_files(tmp_path / "t.npz", LOSS, target="fine", prediction="z", weight="w", chunk_rows=chunk_rows)


def test_targets_per_class(data, tmp_path):
    """A target of C columns is read as the prediction is; what the engine makes of it is the loss's."""
    from fastloss.evaluation.plan import RowPlan
    from fastloss.evaluation.rows import prepare

    targets = {f"p_{j}": np.full(N, 1 / (1 + j)) for j in range(C)}
    pl.DataFrame(targets | {name: data["z"][:, j] for j, name in enumerate(NAMES)}).write_parquet(tmp_path / "t.parquet")
    np.savez(tmp_path / "t.npz", p=np.column_stack(list(targets.values())), z=data["z"])
    for path, target, prediction in [("t.parquet", "p_*", "z_*"), ("t.npz", "p", "z")]:
        plan = RowPlan([tmp_path / path], {"y_true": target, "y_pred": prediction}, labels=False)
        ((source, wants),) = plan.parts
        (chunk,) = source.chunks(wants, N)
        arguments, _ = prepare(chunk, source, wants, None)
        for role, expected in (("y_true", np.column_stack(list(targets.values()))), ("y_pred", data["z"])):
            found = arguments[role]
            assert np.array_equal(np.column_stack(found) if isinstance(found, list) else found, expected), (path, role)
    with pytest.raises(SourceError, match="3 target columns, but 12 prediction columns"):
        RowPlan([tmp_path / "t.parquet"], {"y_true": "p_0,p_1,p_2", "y_pred": "z_*"}, labels=False)
    with pytest.raises(SourceError, match="`classes` are of losses whose target is a label per row"):
        RowPlan([tmp_path / "t.parquet"], {"y_true": "p_*", "y_pred": "z_*"}, labels=False, classes=["a", "b"])


def test_progress(files):
    for name, total in [("t.parquet", N), ("c.npy", N), ("t.csv", None)]:
        calls = []
        run(files[name], chunk_rows=100, progress=lambda *call: calls.append(call))  # noqa: B023 - used at once
        assert calls[-1] == (N, total)


def test_the_sample_on_the_command_line(capsys):
    y = pl.read_csv(SAMPLE)["y"].to_numpy()
    z = pl.read_csv(SAMPLE).select("^logit_.*$").to_numpy()
    expected = fl.softmax_cross_entropy(y, z)
    assert expected < 0.2
    logits = "logit_setosa,logit_versicolor,logit_virginica"
    for words in (
        ["-y", "species", "-p", "logit_*"],
        ["-p", logits],
        ["-y", "species", "-p", logits, "--classes", "setosa,versicolor,virginica"],
    ):
        assert main(["eval", str(SAMPLE), "-l", "cross_entropy", "--json", *words]) == 0
        out, err = capsys.readouterr()
        document = json.loads(out)
        assert document["results"][0]["cost"] == expected
        assert document["columns"]["prediction_columns"] == logits.split(",")
        assert document.get("classes") == (["setosa", "versicolor", "virginica"] if "species" in words else None)
    for words, code, text in [
        (
            ["-l", "cross_entropy", "-y", "species", "-p", "logit*a"],
            3,
            "must be one of the classes '_setos', '_virginic', got 'setosa'",
        ),
        (["-l", "cross_entropy", "-p", "logits_*"], 2, "matches no column"),
        (["-l", "cross_entropy", "-l", "mse", "-p", "logit_*"], 2, "do not go together"),
        (["-l", "cross_entropy", "-y", "species", "-p", logits], 2, "--classes a,b,c"),
    ]:
        assert main(["eval", str(SAMPLE), *words]) == code
        assert text in capsys.readouterr().err
