"""Segments, spread, worst samples, bootstrap and calibration of files: every format, any chunks, and what cannot be answered."""

import datetime
import json
import math

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main as command
from fastloss.evaluation import DataError, SourceError, evaluate_files
from fastloss.evaluation.segments import TABLE, Values

N = 800
DAYS = [datetime.date(2024, 2, 28) + datetime.timedelta(i) for i in range(3)]
ANSWERS = {"spread": True, "worst": 5, "bootstrap": 8, "calibration": True}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(6)
    p = rng.random(N).astype(np.float32).astype(float)
    return pl.DataFrame({
        "y": (rng.random(N) < p).astype(np.int8), "p": p, "w": rng.integers(1, 9, N).astype(float),
        "text": [("nord", "süd", "", "ost")[i] for i in rng.integers(0, 4, N)], "number": rng.integers(-2, 3, N),
        "far": rng.integers(-2, 3, N) * 10**12, "flag": rng.random(N) < 0.3, "day": [DAYS[i] for i in rng.integers(0, 3, N)],
        "some": [None if i == 0 else f"s{i}" for i in rng.integers(0, 4, N).tolist()],
        "gaps": [None if i == 0 else i for i in rng.integers(0, 4, N).tolist()],
    })  # fmt: skip


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """The table in every format that can hold it."""
    folder = tmp_path_factory.mktemp("answers")
    table.write_parquet(folder / "t.parquet", row_group_size=300)
    table.with_columns(pl.col("text", "some").cast(pl.Categorical), pl.col("day").cast(pl.Datetime("ms"))).write_parquet(
        folder / "c.parquet"
    )
    table.write_csv(folder / "t.csv", quote_style="non_numeric")
    plain = {name: table[name].to_numpy() for name in ("y", "p", "w", "number", "far", "flag", "day")}
    plain["text"] = np.array(table["text"].to_list())
    plain["gaps"] = np.array([math.nan if value is None else value for value in table["gaps"].to_list()])
    np.savez(folder / "t.npz", **plain, bytes=np.char.encode(plain["text"], "utf-8"))
    np.save(folder / "number.npy", plain["number"])
    return folder


def told(found):
    segments = [(s.values, s.n, [(r.name, r.cost, r.n, r.weight_sum) for r in s.results]) for s in found.segments or ()]
    fields = ("n", "min", "max", "quantiles", "mean", "std", "standard_error", "interval")
    spread = {name: [getattr(one, field) for field in fields] for name, one in (found.spread or {}).items()}
    worst = {name: [(s.loss, s.file, s.row, s.target, s.prediction, s.weight) for s in some] for name, some in (found.worst or {}).items()}
    bootstrap = {name: one.replicates.tolist() for name, one in (found.bootstrap or {}).items()}
    return segments, spread, worst, bootstrap, repr(found.calibration)


def expected_segments(table, by, losses=("log_loss", "mse")):
    """From States of the rows of each combination of values."""
    found = {}
    for values, rows in table.group_by(by, maintain_order=True):
        state = fl.State(list(losses)).update(rows["y"].to_numpy(), rows["p"].to_numpy(), rows["w"].to_numpy())
        found[values] = (len(rows), list(state.compute().values()))
    return found


CASES = [("t.parquet", name) for name in ("text", "number", "far", "flag", "day", "some", "gaps")]
CASES += [("c.parquet", name) for name in ("text", "some", "number")] + [
    ("t.csv", name) for name in ("text", "number", "far", "flag", "gaps")
]
CASES += [("t.npz", name) for name in ("text", "number", "far", "flag", "day", "gaps")]
CASES += [("t.parquet", ["text", "number"]), ("t.parquet", ["some", "flag", "day", "far"]), ("t.npz", ["flag", "text", "gaps"])]


@pytest.mark.parametrize(("file", "by"), CASES)
def test_segments_of_every_format_and_kind(folder, table, file, by):
    expected = expected_segments(table, [by] if isinstance(by, str) else by)
    for rows in (7, 1000):
        found = evaluate_files(folder / file, ["log_loss", "mse"], weight="w", by=by, chunk_rows=rows)
        assert {s.values: (s.n, [r.cost for r in s.results]) for s in found.segments} == expected
        assert found.by == ((by,) if isinstance(by, str) else tuple(by))
    values = [segment.values for segment in found.segments]
    assert values == sorted(values, key=lambda key: [(value is None, value if value is not None else 0) for value in key])


def test_segments_of_text_that_is_missing_in_csv(folder):
    """An empty field without quotes is missing, as everywhere."""
    assert [s.values[0] for s in evaluate_files(folder / "t.csv", "mse", by="some").segments] == ["s1", "s2", "s3", None]


def test_other_columns_of_segments(folder, table):
    times = [datetime.datetime.combine(day, datetime.time()) for day in DAYS]
    assert [s.values[0] for s in evaluate_files(folder / "c.parquet", "mse", by="day").segments] == times
    found = evaluate_files(folder / "t.csv", ["log_loss", "mse"], weight="w", by=str(folder / "number.npy"))
    assert {s.values: (s.n, [r.cost for r in s.results]) for s in found.segments} == expected_segments(table, ["number"])
    assert [s.values[0] for s in evaluate_files(folder / "t.npz", "mse", by="bytes").segments] == ["", "nord", "ost", "süd"]
    assert [s.values[0] for s in evaluate_files(folder / "t.parquet", "mse", by="y").segments] == [0, 1], "the target itself"


@pytest.mark.parametrize("weight", [None, "w"])
def test_answers_do_not_depend_on_chunks_or_formats(folder, weight):
    def ask(file, rows):
        found = evaluate_files(folder / file, ["log_loss", "brier"], weight=weight, by="number", chunk_rows=rows, **ANSWERS)
        for samples in found.worst.values():
            for sample in samples:
                sample.file = sample.file.rpartition("/")[2].partition(".")[0]
        return told(found)

    expected = ask("t.parquet", 10**6)
    assert all(ask("t.parquet", rows) == expected for rows in (1, 7, 1000))
    assert ask("t.npz", 7) == expected
    assert ask("t.csv", 7)[:2] == expected[:2]


def test_answers_of_many_files(table, tmp_path):
    for i, (start, stop) in enumerate([(0, 300), (300, 300), (300, 301), (301, N)]):
        table[start:stop].write_parquet(tmp_path / f"{i}.parquet")
    found = evaluate_files(str(tmp_path / "*.parquet"), "log_loss", by="text", **ANSWERS)
    table.write_parquet(tmp_path / "whole")
    (tmp_path / "whole").rename(tmp_path / "whole.pq")
    whole = evaluate_files(tmp_path / "whole.pq", "log_loss", by="text", **ANSWERS)
    assert told(found)[:2] == told(whole)[:2]
    losses = fl.LogLoss().loss(table["y"].to_numpy(), table["p"].to_numpy())
    order = np.argsort(-losses, kind="stable")[:5].tolist()
    places = [
        (f"{tmp_path}/{0 if i < 300 else 2 if i == 300 else 3}.parquet", i - (0 if i < 300 else 300 if i == 300 else 301)) for i in order
    ]
    assert [(sample.file, sample.row) for sample in found.worst["log_loss"]] == places
    assert found.bootstrap["log_loss"].replicates.tolist() != whole.bootstrap["log_loss"].replicates.tolist(), "draws are by file and row"


def test_calibration_of_files_is_that_of_arrays(folder, table):
    found = evaluate_files(folder / "t.parquet", ["log_loss", "brier"], weight="w", calibration=10, chunk_rows=90).calibration
    assert repr(found) == repr(fl.Calibration(10).update(table["y"].to_numpy(), table["p"].to_numpy(), table["w"].to_numpy()).compute())
    iris = evaluate_files(
        "fastloss/samples/iris.csv", "cross_entropy", target="species", prediction="logit_*", calibration=True
    ).calibration
    frame = pl.read_csv("fastloss/samples/iris.csv")
    z = frame.select(pl.col("^logit_.*$")).to_numpy()
    y = frame["species"].replace_strict([f"{s}" for s in ("setosa", "versicolor", "virginica")], range(3)).to_numpy()
    assert repr(iris) == repr(fl.Calibration(from_logits=True).update(y, z).compute())


def test_rows_whose_label_is_missing_are_of_their_segment(tmp_path):
    z = np.random.default_rng(0).standard_normal((40, 3))
    y, g = [None if i % 5 == 2 else i % 3 for i in range(40)], [i % 4 for i in range(40)]
    pl.DataFrame({"y": y, "a0": z[:, 0], "a1": z[:, 1], "a2": z[:, 2], "g": g}).write_parquet(tmp_path / "t.parquet")
    for rows in (3, 100):
        found = evaluate_files(
            tmp_path / "t.parquet", "cross_entropy", prediction="a*", nan="skip", by="g", spread=True, worst=3, chunk_rows=rows
        )
        for segment in found.segments:
            rows_of = [i for i in range(40) if i % 4 == segment.values[0]]
            there = [i for i in rows_of if y[i] is not None]
            (result,) = segment.results
            assert (result.n, result.n_nan) == (10, 10 - len(there))
            assert result.cost == fl.cross_entropy([y[i] for i in there], z[there])
        there = [i for i in range(40) if y[i] is not None]
        losses = fl.SoftmaxCrossEntropy().loss(np.array([y[i] for i in there]), z[there])
        best = there[int(losses.argmax())]
        first = found.worst["cross_entropy"][0]
        assert (first.row, first.target, first.prediction) == (best, y[best], tuple(z[best].tolist()))
        assert (found.spread["cross_entropy"].n, found.spread["cross_entropy"].n_nan) == (32, 8)


def test_missing_values_of_single_predictions_count_in_their_segment(tmp_path):
    p = [0.5, None, 0.25, 0.75]
    pl.DataFrame({"y": [1, 1, 0, 1], "p": p, "g": ["a", "a", None, None]}).write_parquet(tmp_path / "t.parquet")
    a, missing = evaluate_files(tmp_path / "t.parquet", "mse", nan="skip", by="g").segments
    assert (a.values, a.n, a["mse"], a.results[0].n_nan) == (("a",), 2, 0.25, 1)
    assert (missing.values, missing.n, missing["mse"]) == ((None,), 2, 0.0625)
    with pytest.raises(DataError, match="row 1: column 'p' has a missing value"):
        evaluate_files(tmp_path / "t.parquet", "mse", by="g")


def test_any_number_of_combinations_may_be_allowed(folder):
    """Pairs of codes are one integer, however many there may be."""
    asked = {"losses": "mse", "by": ["text", "number", "flag"]}
    expected = repr(evaluate_files(folder / "t.parquet", **asked).segments)
    for most in (2**31, 2**63 - 2, 2**63 - 1, 10**20):
        assert repr(evaluate_files(folder / "t.parquet", **asked, max_segments=most).segments) == expected


def test_bad_requests(folder, table, tmp_path):
    pl.DataFrame({"y": [1.0], "p": [0.5], "number": ["x"], "l": [[1, 2]], "h": [0.5]}).write_parquet(tmp_path / "other.parquet")
    file = folder / "t.parquet"
    for options, kind, text in [
        ({"by": "nix"}, SourceError, "has no column 'nix' to evaluate by; it has y, p, w"),
        ({"by": ["text", "text"]}, SourceError, "`by` names a column twice"),
        ({"by": []}, SourceError, r"`by` must name a column or a list of columns, got \[\]"),
        ({"by": "w", "max_segments": 3}, SourceError, r"column 'w' has more than 3 values to evaluate by; .*raise max_segments"),
        ({"by": "text", "max_segments": 3}, SourceError, "column 'text' has more than 3 values"),
        ({"by": ["text", "number"], "max_segments": 9}, SourceError, "columns 'text', 'number' have together more than 9 values"),
        ({"by": "text", "max_segments": 0}, SourceError, "`max_segments` must be an integer >= 1, got 0"),
        ({"worst": -1}, SourceError, "`worst` must be an integer >= 1, got -1"),
        ({"spread": True, "quantiles": 2}, SourceError, "`quantiles` must be numbers from 0 to 1, got 2"),
        ({"losses": "hinge", "positive": 1, "calibration": True}, SourceError, "`calibration` is of losses of probabilities.*not of hinge"),
        ({"calibration": 0}, SourceError, "`calibration`: `bins`"),
        ({"losses": "dice", "spread": True}, SourceError, "dice are computed from sums"),
    ]:
        with pytest.raises(kind, match=text):
            evaluate_files(file, **{"losses": "log_loss"} | options)
    with pytest.raises(DataError, match="column 'p' must hold text, integers, bools or dates to evaluate by, got 0") as caught:
        evaluate_files(file, "mse", by="p", chunk_rows=90)
    assert caught.value.row == 0
    with pytest.raises(SourceError, match=r"must hold text, integers, bools or dates to evaluate by, got rows of 2 numbers"):
        evaluate_files(tmp_path / "other.parquet", "mse", by="l")
    with pytest.raises(SourceError, match="column 'number' holds numbers in .*t.parquet, but text in .*other.parquet"):
        evaluate_files([file, tmp_path / "other.parquet"], "mse", by="number")


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.uint64])
@pytest.mark.parametrize("spread", [1, TABLE, 2**40])
def test_integers_have_the_same_codes_in_any_chunks(dtype, spread):
    rng = np.random.default_rng(spread)
    low, high = max(np.iinfo(dtype).min, -spread), min(np.iinfo(dtype).max, spread)
    known = np.unique(rng.integers(low, high, 50, endpoint=True)).astype(dtype)
    if dtype == np.uint64:
        known[-1] = 2**64 - 1
    values, column = rng.choice(known, 900), Values("it has", 100)
    codes = np.concatenate([column.of(part).copy() for part in np.array_split(values, 13)])
    assert [column.values[code] for code in codes.tolist()] == values.tolist()


def test_integers_of_several_types(folder):
    column = Values("it has", 100)
    for part in ([5, 7], [-(2**63), 7], [2**64 - 1, 5], [2**63, 0]):
        array = np.array(part, np.int64 if min(part) < 0 or max(part) < 2**63 else np.uint64)
        assert [column.values[code] for code in column.of(array).tolist()] == part


def test_command_line(folder, capsys):
    arguments = ["eval", str(folder / "t.parquet"), "-l", "log_loss", "-l", "brier", "--by", "some", "--by", "flag",
                 "--spread", "--worst", "3", "--bootstrap", "20", "--calibration", "-q"]  # fmt: skip
    assert command(arguments) == 0
    text = capsys.readouterr().out
    found = evaluate_files(folder / "t.parquet", ["log_loss", "brier"], by=["some", "flag"], **ANSWERS | {"worst": 3, "bootstrap": 20})
    assert all(repr(segment["brier"]) in text for segment in found.segments)
    for word in ("(missing)", "50%", "std. error", "95% interval of the cost", "replicates", "worst by", str(folder / "t.parquet"), "ece"):
        assert word in text
    assert command([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["by"] == ["some", "flag"] and document["schema"] == 1
    assert [[tuple(s["values"]), s["rows"], [r["cost"] for r in s["results"]]] for s in document["segments"]] == [
        [s.values, s.n, [r.cost for r in s.results]] for s in found.segments
    ]
    assert [row["loss"] for row in document["spread"][0]["quantiles"]] == list(found.spread["log_loss"].quantiles.values())
    assert sum(document["spread"][1]["histogram"]["count"]) == N
    assert [sample["row"] for sample in document["worst"][0]["samples"]] == [sample.row for sample in found.worst["log_loss"]]
    assert document["bootstrap"][0]["interval"] == list(found.bootstrap["log_loss"].interval)
    assert document["calibration"]["ece"] == found.calibration.ece


def test_command_line_refuses(folder, capsys):
    file = str(folder / "t.parquet")
    assert command(["eval", file, "-l", "mse", "--by", "w", "--max-segments", "2"]) == 2
    assert "--max-segments" in capsys.readouterr().err
    assert command(["eval", file, "-l", "mse", "--quantile", "0.5"]) == 2
    assert "--quantile goes with --spread" in capsys.readouterr().err
    assert command(["eval", file, "-l", "mse", "--by", "p"]) == 3
    assert "row 0: column 'p' must hold text" in capsys.readouterr().err
    assert command(["eval", file, "-l", "mse", "--spread", "--quantile", "0.5", "--json", "-q"]) == 0
    assert [row["q"] for row in json.loads(capsys.readouterr().out)["spread"][0]["quantiles"]] == [0.5]
