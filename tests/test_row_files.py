"""Files of rows of C scores: every format gives what the arrays give, and what is wrong is said by file, row and column."""

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main
from fastloss.evaluation import DataError, SourceError, evaluate_files
from fastloss.losses import ROW_REGISTRY
from fastloss.losses.rowspec import LABELS

N, C = 211, 12
LOSS = "softmax_cross_entropy"
SAMPLE = Path(main.__code__.co_filename).parents[1] / "samples" / "iris.csv"
NAMES = [f"z_{j}" for j in range(C)]
WORDS = [f"class {j}" for j in range(C)]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(21)
    z = (rng.integers(-400, 400, (N, C)) / 64).astype(np.float32)  # the same in text and float64
    return {"y": rng.integers(0, C, N), "z": z, "w": rng.integers(0, 9, N).astype(np.float32)}


@pytest.fixture(scope="module")
def files(data, tmp_path_factory):
    """{case: (paths, target, prediction, weight)}, all of the same data."""
    folder, (y, z, w) = tmp_path_factory.mktemp("rows"), data.values()
    columns = {"y": y} | {name: z[:, j] for j, name in reversed(list(enumerate(NAMES)))} | {"w": w}  # in the files' order, z_11 comes first
    frame = pl.DataFrame(columns)
    frame.write_csv(folder / "t.csv")
    frame.write_csv(folder / "t.tsv", separator="\t")
    frame.write_parquet(folder / "t.parquet", row_group_size=50)
    for name, dtype in (("list", pl.List(pl.Float32)), ("array", pl.Array(pl.Float32, C))):
        pl.DataFrame({"y": y, "z": pl.Series(z).cast(dtype), "w": w}).write_parquet(folder / f"{name}.parquet", row_group_size=50)
    for name, array in (("c", z), ("f", np.asfortranarray(z)), ("big", z.astype(">f4"))):
        np.save(folder / f"{name}.npy", array)
        np.savez(folder / f"{name}.npz", y=y, z=array, w=w)
    np.savez_compressed(folder / "deflated.npz", y=y, z=z, w=w)
    np.savez(folder / "columns.npz", **columns)
    np.save(folder / "y.npy", y)
    np.save(folder / "w.npy", w)
    np.save(folder / "table.npy", np.column_stack([y, z, w]))
    np.save(folder / "table_f.npy", np.asfortranarray(np.column_stack([y, z, w])))
    np.save(folder / "records.npy", np.rec.fromarrays([np.int8(y), *z.T, w], names=["y", *NAMES, "w"]).view(np.ndarray))
    beside = [str(folder / f"{name}.npy") for name in ("y", "w")]
    cases = {name: ([folder / name], "y", "z_*", "w") for name in ("t.csv", "t.tsv", "t.parquet", "columns.npz", "records.npy")}
    cases |= {f"list of {name}": ([folder / name], "y", NAMES, "w") for name in ("t.csv", "t.parquet", "records.npy")}
    cases |= {name: ([folder / name], "y", "z", "w") for name in ("list.parquet", "array.parquet", "deflated.npz")}
    cases |= {f"{name}.npz": ([folder / f"{name}.npz"], "y", "z", "w") for name in ("c", "f", "big")}
    cases |= {f"{name}.npy": ([], beside[0], str(folder / f"{name}.npy"), beside[1]) for name in ("c", "f", "big")}
    cases |= {name: ([folder / name], "0", ",".join(map(str, range(1, C + 1))), str(C + 1)) for name in ("table.npy", "table_f.npy")}
    cases["logits beside a table"] = ([folder / "t.csv"], "y", str(folder / "c.npy"), "w")
    cases["labels beside a table"] = ([folder / "t.parquet"], beside[0], "z_*", "w")
    return cases


CASES = ["t.csv", "t.tsv", "t.parquet", "columns.npz", "records.npy", "list of t.csv", "list of t.parquet", "list of records.npy"]
CASES += [
    "list.parquet",
    "array.parquet",
    "deflated.npz",
    "c.npz",
    "f.npz",
    "big.npz",
    "c.npy",
    "f.npy",
    "big.npy",
    "table.npy",
    "table_f.npy",
]
CASES += ["logits beside a table", "labels beside a table"]


def run(case, losses=LOSS, weighted=True, **options):
    paths, target, prediction, weight = case
    return evaluate_files(paths, losses, target=target, prediction=prediction, weight=weight if weighted else None, **options)


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
