"""Two sets of predictions in files: any formats and chunks on either side, by row and by key, and what is no pair."""

import datetime
import io
import json
import math
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main as command
from fastloss.evaluation import DataError, SourceError

N = 900
LOSSES = ["log_loss", "rmse", "mse"]
OPTIONS = {"by": "s", "worst": 4, "bootstrap": 8, "weight": "w"}
FORMATS = ("parquet", "csv", "jsonl", "npz", "arrow", "csv.gz")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(7)
    return pl.DataFrame({
        "id": 10**18 + rng.permutation(N) * 3, "y": rng.integers(0, 2, N), "a": rng.random(N), "b": rng.random(N),
        "w": rng.random(N), "s": rng.integers(0, 3, N), "name": [f"n{i:04}" for i in rng.permutation(N)],
        "day": [datetime.date(2024, 1, 1) + datetime.timedelta(i // 10) for i in range(N)], "hour": [i % 10 for i in range(N)],
    })  # fmt: skip


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """A: y, p, w, s and keys; B: p and keys; each in every format."""
    folder = tmp_path_factory.mktemp("compare")
    for side, columns in (("A", ["id", "y", "w", "s", "name", "day", "hour"]), ("B", ["id", "name", "day", "hour"])):
        save(table.select(*columns, p=side.lower()), folder, side)
        save(table.select(*columns, p=side.lower()).sample(fraction=1, shuffle=True, seed=3), folder, f"{side}_shuffled")
    table.write_parquet(folder / "both.parquet", row_group_size=250)
    return folder


def save(table, folder, name):
    table.write_parquet(folder / f"{name}.parquet", row_group_size=123)
    table.write_csv(folder / f"{name}.csv")
    table.write_ndjson(folder / f"{name}.jsonl")
    table.write_ipc(folder / f"{name}.arrow", record_batch_size=77)
    np.savez(folder / f"{name}.npz", **{c: table[c].to_numpy() if c != "name" else np.array(table[c].to_list()) for c in table.columns})
    import gzip

    (folder / f"{name}.csv.gz").write_bytes(gzip.compress((folder / f"{name}.csv").read_bytes()))


def told(found):
    rows = [[repr(one).partition(", bootstrap=")[0] for one in part] for part in
            (found.results, *(segment.results for segment in found.segments or ()))]  # fmt: skip
    draws = [None if one.bootstrap is None else one.bootstrap.replicates.tolist() for one in found.results]
    worst = {name: [(s.difference, s.row_a, s.target, s.prediction_a, s.prediction_b, s.weight) for s in samples]
             for name, samples in (found.worst or {}).items()}  # fmt: skip
    return rows, draws, worst, [segment.values for segment in found.segments or ()]


@pytest.fixture(scope="module")
def expected(table):
    columns = [table[name].to_numpy() for name in ("y", "a", "b", "w")]
    return told(fl.compare(LOSSES, *columns, by=table["s"].to_numpy(), worst=4, bootstrap=8))


@pytest.mark.parametrize("theirs", FORMATS)
@pytest.mark.parametrize("mine", FORMATS)
def test_any_formats_by_row(folder, expected, mine, theirs):
    for chunk_rows in (71, 10_000):
        found = fl.compare_files(folder / f"A.{mine}", folder / f"B.{theirs}", LOSSES, chunk_rows=chunk_rows, **OPTIONS)
        assert told(found) == expected
    sample = found.worst["mse"][0]
    assert (sample.file_a, sample.file_b, sample.row_b) == (str(folder / f"A.{mine}"), str(folder / f"B.{theirs}"), sample.row_a)
    assert found.files_b == ({"path": str(folder / f"B.{theirs}"), "rows": N, "bytes": (folder / f"B.{theirs}").stat().st_size},)


@pytest.mark.parametrize(("mine", "theirs"), list(zip(FORMATS, [*FORMATS[1:], FORMATS[0]], strict=True)))
@pytest.mark.parametrize("key", ["id", "name", ["day", "hour"]])
def test_any_formats_by_key(folder, table, expected, mine, theirs, key):
    """Integers of 19 digits, which no float64 tells apart, too."""
    found = fl.compare_files(folder / f"A.{mine}", folder / f"B_shuffled.{theirs}", LOSSES, key=key, chunk_rows=50, **OPTIONS)
    assert told(found) == expected and (found.unmatched_a, found.unmatched_b) == (0, 0)
    shuffled = table.sample(fraction=1, shuffle=True, seed=3)["id"]
    for sample in found.worst["log_loss"]:
        assert shuffled[sample.row_b] == table["id"][sample.row_a]


def test_the_costs_are_those_of_an_evaluation(folder):
    found = fl.compare_files(folder / "A.parquet", folder / "B.csv", LOSSES, weight="w")
    alone = fl.evaluate_files(folder / "A.parquet", LOSSES, weight="w")
    assert {r.name: r.cost_a for r in found.results} == alone.costs and found.rows == N
    mixed = fl.compare_files(folder / "A_shuffled.parquet", folder / "B.jsonl", LOSSES, weight="w", key="id", n_threads=2)
    for mine, theirs in zip(mixed.results, found.results, strict=True):
        assert mine == theirs, "the order of the rows leaves no trace"


def test_two_columns_of_one_file(folder, expected, monkeypatch):
    both = {"prediction": "a", "against": "b"} | OPTIONS
    for chunk_rows in (71, 10_000):
        found = fl.compare_files(folder / "both.parquet", None, LOSSES, chunk_rows=chunk_rows, **both)
        assert told(found) == expected and found.files_b == ()
    text = pl.read_parquet(folder / "both.parquet").write_csv().encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert told(fl.compare_files("-", None, LOSSES, format="csv", **both)) == expected, "read once"
    with pytest.raises(SourceError, match="against=..."):
        fl.compare_files(folder / "both.parquet", None, "mse", prediction="a")


def test_standard_input_is_one_side(folder, expected, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((folder / "B.csv").read_bytes())))
    assert told(fl.compare_files(folder / "A.parquet", "-", LOSSES, format="csv", **OPTIONS)) == expected
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((folder / "A.csv").read_bytes())))
    with pytest.raises(SourceError, match="A is read twice"):
        fl.compare_files("-", folder / "B.csv", "mse", format="csv", key="id")
    with pytest.raises(SourceError, match="one of the two only"):
        fl.compare_files("-", "-", "mse", format="csv")


def test_many_files_cut_elsewhere_on_either_side(folder, table, expected, tmp_path):
    for i, rows in enumerate((slice(0, 1), slice(1, 400), slice(400, 400), slice(400, N))):
        table.select("id", "y", "w", "s", p="a")[rows].write_parquet(tmp_path / f"a{i}.parquet")
    for i, rows in enumerate((slice(0, 333), slice(333, N))):
        table.select("id", p="b")[rows].write_csv(tmp_path / f"b{i}.csv")
    for key in (None, "id"):
        found = fl.compare_files(tmp_path / "a*.parquet", tmp_path / "b*.csv", LOSSES, key=key, **OPTIONS)
        rows, draws, _, segments = told(found)
        assert (rows, draws, segments) == (expected[0], expected[1], expected[3])
        for sample in found.worst["mse"]:
            place = sample.row_a + {"0": 0, "1": 1, "3": 400}[sample.file_a[-9]]
            assert place == sample.row_b + {"0": 0, "1": 333}[sample.file_b[-5]]
        assert [file["rows"] for file in found.files_a] == [1, 399, 0, 500] and [file["rows"] for file in found.files_b] == [333, 567]


def test_columns_in_files_of_their_own(table, folder, tmp_path):
    for name in ("y", "a", "b"):
        np.save(tmp_path / f"{name}.npy", table[name].to_numpy())
    y, a, b = (str(tmp_path / f"{name}.npy") for name in "yab")
    expected = fl.compare_files(folder / "A.parquet", folder / "B.csv", "mse")["mse"]
    assert fl.compare_files([], None, "mse", target=y, prediction=a, against=b)["mse"] == expected
    assert fl.compare_files(folder / "A.csv", None, "mse", target=y, against=b)["mse"] == expected
    assert fl.compare_files(folder / "A.csv", folder / "B.csv", "mse", target=y)["mse"] == expected


def test_memory_is_that_of_chunks(tmp_path):
    """However long the files: what Python and NumPy hold at once is traced."""
    peaks = []
    for rows in (2**15, 2**15, 2**19):  # the first warms up
        np.save(tmp_path / "a.npy", np.random.default_rng(0).random((rows, 3)))
        np.savez(tmp_path / "b.npz", **{"1": np.zeros(rows)})
        tracemalloc.start()
        found = fl.compare_files(tmp_path / "a.npy", tmp_path / "b.npz", "mse", target="0", prediction="1", chunk_rows=2**13)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.rows == rows
    assert peaks[2] < 1.01 * peaks[1] < found.bytes_read / 3


def written(path, **columns):
    table = pl.DataFrame(columns)
    table.write_parquet(path) if path.suffix == ".parquet" else table.write_csv(path)
    return path


def test_other_lengths(tmp_path):
    long = written(tmp_path / "long.parquet", y=[0.0] * 5, p=[0.5] * 5)
    short, text = (written(tmp_path / name, y=[0.0] * 4, p=[0.5] * 4) for name in ("short.parquet", "short.csv"))
    with pytest.raises(DataError, match=r"long.parquet has 5 rows, and .*short.parquet has 4; .*--key"):
        fl.compare_files(long, short, "mse")
    for sides in ((long, text), (text, long)):
        with pytest.raises(DataError, match=r"long.parquet, row 4: there is no row for this one in .*short.csv, which ends after 4 rows"):
            fl.compare_files(*sides, "mse")


@pytest.mark.parametrize("key", [None, "id"])
def test_other_targets(tmp_path, key):
    a = written(tmp_path / "a.parquet", id=[1, 2, 3], y=pl.Series([0.1, 0.2, 0.3], dtype=pl.Float32), p=[0.5] * 3)
    same = written(tmp_path / "same.csv", id=[1, 2, 3], y=[0.1, 0.2, 0.3], p=[0.5] * 3)
    assert fl.compare_files(a, same, "mse", key=key)["mse"].n == 3, "0.1 in float32 is 0.1"
    other = written(
        tmp_path / "other.csv", id=[3, 2, 1] if key else [1, 2, 3], y=[0.3, 0.25, 0.1] if key else [0.1, 0.25, 0.3], p=[0.5] * 3
    )
    with pytest.raises(DataError, match=r"a.parquet, row 1: column 'y': .*0.2.* and 0.25 \(B: .*other.csv, row 1\)") as error:
        fl.compare_files(a, other, "mse", key=key)
    assert ("--key" in str(error.value)) == (key is None)
    gaps = written(tmp_path / "gaps.csv", id=[1, 2, 3], y=[0.1, None, 0.3], p=[0.5] * 3)
    with pytest.raises(DataError, match="missing in B alone"):
        fl.compare_files(a, gaps, "mse", key=key, nan="skip")
    assert fl.compare_files(gaps, gaps, "mse", key=key, nan="skip")["mse"].n_nan == 1


def test_what_is_missing_leaves_the_pair_out(tmp_path):
    a = written(tmp_path / "a.csv", y=[0.0, 0.0, 0.0, 1.0], p=[0.5, None, 0.5, 0.25], w=[1.0, 2.0, 3.0, 4.0])
    b = written(tmp_path / "b.csv", p=[0.1, 0.1, None, 0.75])
    with pytest.raises(DataError, match=r"a.csv, row 1: column 'p' has a missing value"):
        fl.compare_files(a, b, "mse")
    with pytest.raises(DataError, match=r"b.csv, row 2: column 'p' has a missing value"):
        fl.compare_files(written(tmp_path / "whole.csv", y=[0.0] * 4, p=[0.5] * 4), b, "mse")
    found = fl.compare_files(a, b, "mse", weight="w", nan="skip")["mse"]
    plain = fl.compare("mse", np.array([0.0, 1]), np.array([0.5, 0.25]), np.array([0.1, 0.75]), np.array([1.0, 4.0]))["mse"]
    assert (found.n, found.n_nan, found.weight_sum) == (4, 2, 5.0)
    for field in ("cost_a", "cost_b", "difference", "standard_error", "better_b", "p_value"):
        assert getattr(found, field) == getattr(plain, field)


def test_keys_that_are_no_keys(folder, tmp_path):
    a = written(tmp_path / "a.parquet", id=[7, 8, 9, 7], k=["x", "x", "x", "y"], y=[0.0] * 4, p=[0.5] * 4)
    b = written(tmp_path / "b.csv", id=[9, 8, 7, 6], k=["x", "x", "x", "y"], p=[0.5] * 4)
    with pytest.raises(DataError, match=r"a.parquet, row 3: a key must be of one row, and 1 is of several: id 7 in .*row 0 and .*row 3"):
        fl.compare_files(a, b, "mse", key="id", inner=True)
    unmatched = (
        r"1 key of .*a.parquet is not in .*b.csv \(id 7, k 'y', .*row 3\), and 1 key of .*b.csv is not in .*\(id 6, k 'y', .*row 3\)"
    )
    with pytest.raises(DataError, match=unmatched + r"; .*--inner"):
        fl.compare_files(a, b, "mse", key=["id", "k"])
    found = fl.compare_files(a, b, "mse", key=["id", "k"], inner=True)
    assert (found.rows, found.unmatched_a, found.unmatched_b) == (3, 1, 1)
    nothing = written(tmp_path / "none.csv", id=[1, 2], p=[0.5] * 2)
    unique = written(tmp_path / "unique.csv", id=[7, 8, 9], y=[0.0] * 3, p=[0.5] * 3)
    with pytest.raises(DataError, match="no key of the one is in the other"):
        fl.compare_files(unique, nothing, "mse", key="id", inner=True)
    for values, message in (([1, None, 3], "row 1: column 'id' is a key, and has a missing value"), ([1.5, 2, 3], "got '?1.5")):
        bad = written(tmp_path / "bad.csv", id=values, p=[0.5] * 3)
        with pytest.raises(DataError, match=message):
            fl.compare_files(unique, bad, "mse", key="id")
    with pytest.raises(SourceError, match="has no column 'k' to pair by; it has id, y, p"):
        fl.compare_files(unique, b, "mse", key="k")
    with pytest.raises(SourceError, match="names a column twice"):
        fl.compare_files(unique, b, "mse", key=["id", "id"])
    with pytest.raises(SourceError, match="`inner` goes with `key`"):
        fl.compare_files(unique, b, "mse", inner=True)


def test_numbers_and_text_are_keys_of_each_other(tmp_path):
    a = written(tmp_path / "a.parquet", id=[12, 5], y=[0.0, 1.0], p=[0.5, 0.6])
    b = written(tmp_path / "b.parquet", id=["5", "12"], p=[0.1, 0.2])
    assert fl.compare_files(a, b, "mse", key="id", worst=2).worst["mse"][0].prediction_b in (0.1, 0.2)
    zeros, words = written(tmp_path / "zeros.csv", id=["007", "08"], y=[0.0, 1.0], p=[0.5, 0.6]), ["08", "007"]
    assert fl.compare_files(zeros, written(tmp_path / "words.parquet", id=words, p=[0.1, 0.2]), "mse", key="id")["mse"].n == 2
    many = [str(i) for i in range(1500)]
    late = written(tmp_path / "late.csv", id=[*many, "X"], y=[0.0] * 1501, p=[0.5] * 1501)
    assert fl.compare_files(late, written(tmp_path / "x.parquet", id=["X", *many], p=[0.1] * 1501), "mse", key="id")["mse"].n == 1501
    with pytest.raises(DataError, match="late.csv, row 1500: column 'id' is a key, and must hold .* got 'X'"):
        fl.compare_files(late, late, "mse", key="id")
    floats = tmp_path / "f.npz"
    np.savez(floats, id=np.array([5.0, 12.0]), p=np.array([0.1, 0.2]))
    assert fl.compare_files(a, floats, "mse", key="id")["mse"] == fl.compare_files(a, b, "mse", key="id")["mse"]


def test_inner_is_the_comparison_of_those_that_are_in_both(folder, table, tmp_path):
    some = table.filter(pl.col("hour") < 7)
    some.select("id", p="b").write_csv(tmp_path / "some.csv")
    found = fl.compare_files(folder / "A.parquet", tmp_path / "some.csv", LOSSES, key="id", inner=True, chunk_rows=33, **OPTIONS)
    columns = [some[name].to_numpy() for name in ("y", "a", "b", "w")]
    expected = told(fl.compare(LOSSES, *columns, by=some["s"].to_numpy(), worst=4, bootstrap=8))
    rows, draws, worst, segments = told(found)
    assert (rows, draws, segments) == (expected[0], expected[1], expected[3])
    assert [s[2:] for s in worst["mse"]] == [s[2:] for s in expected[2]["mse"]]
    assert all(table["a"][sample.row_a] == sample.prediction_a for sample in found.worst["mse"])
    assert found.unmatched_a == N - len(some) and found.unmatched_b == 0


def test_bad_values_are_named_where_they_are(tmp_path):
    a = written(tmp_path / "a.csv", id=[1, 2, 3, 4], y=[0, 1, 0, 1], p=[0.5] * 4)
    b = written(tmp_path / "b.csv", id=[4, 3, 2, 1], p=[0.5, 1.5, 0.5, 0.5])
    for key in (None, "id"):
        with pytest.raises(DataError, match=r"b.csv, row 1: column 'p' of log_loss must be in \[0, 1\], got 1.5") as error:
            fl.compare_files(a, b, "log_loss", key=key)
        assert error.value.row == 1 and error.value.path == str(b)
    wrong = written(tmp_path / "wrong.csv", id=[1, 2, 3, 4], y=[0, 1, 2, 1], p=[0.5] * 4)
    with pytest.raises(DataError, match=r"wrong.csv, row 2: column 'y'"):
        fl.compare_files(wrong, b, "log_loss", key="id")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="cut.parquet"):
        fl.compare_files(a, tmp_path / "cut.parquet", "mse")
    with pytest.raises(SourceError, match="no column 'q'"):
        fl.compare_files(a, b, "mse", against="q")
    with pytest.raises(SourceError, match="there is no such file"):
        fl.compare_files(a, tmp_path / "nowhere.csv", "mse")
    empty = written(tmp_path / "empty.parquet", y=pl.Series([], dtype=pl.Float64), p=pl.Series([], dtype=pl.Float64))
    with pytest.raises(DataError, match="there are no rows"):
        fl.compare_files(empty, empty, "mse")


def test_positive_labels(tmp_path):
    a = written(tmp_path / "a.csv", kind=["yes", "no", "yes"], p=[0.5, 0.2, 0.9])
    b = written(tmp_path / "b.csv", p=[0.6, 0.1, 0.8])
    found = fl.compare_files(a, b, "brier", target="kind", positive="yes")["brier"]
    expected = fl.compare("brier", np.array([1.0, 0, 1]), np.array([0.5, 0.2, 0.9]), np.array([0.6, 0.1, 0.8]))["brier"]
    assert found == expected
    with pytest.raises(SourceError, match="did you mean 'yes'"):
        fl.compare_files(a, b, "brier", target="kind", positive="yess")


@pytest.fixture
def call(capsys):
    def called(*words):
        code = command([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


def test_the_command(call, folder):
    words = ("compare", folder / "A.parquet", folder / "B_shuffled.csv", "-l", "mse", "-l", "dice", "--key", "id")
    code, out, err = call(*words, "--by", "s", "--bootstrap", 20)
    found = fl.compare_files(folder / "A.parquet", folder / "B_shuffled.csv", ["mse", "dice"], key="id", by="s", bootstrap=20)
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["loss", "cost", "of", "A", "cost", "of", "B", "pairs"]
    assert lines[1].split() == ["squared_error", repr(found["mse"].cost_a), repr(found["mse"].cost_b), str(N)]
    assert f"{found['mse'].difference:.6g}" in lines[5] and str(found["mse"].better_a) in lines[5].split()
    assert len(lines) == 3 + 1 + 3 + 1 + 7 and "p, Holm" in lines[8]
    assert "dice: computed from sums" in err and "Holm" in err and f"{N} pairs of 2 files" in err
    code, out, err = call(*words[:-4], "--key", "id", "--worst", 2, "--by", "s", "--json")
    document = json.loads(out)
    assert code == 0 and document["schema"] == 1 and document["columns"]["key"] == ["id"] and "regressions" not in document
    assert document["results"][0]["difference"] == found["mse"].difference and document["results"][0]["p_value"] == found["mse"].p_value
    assert document["segments"][1]["results"][0]["p_holm"] == found.segments[1]["mse"].p_adjusted
    assert {"file_b", "row_b", "loss_a", "prediction_b"} <= set(document["worst"][0]["samples"][0])
    assert (
        call(*words[:-4], "--key", "id", "--worst", 1)[1]
        .splitlines()[-1]
        .endswith(f"row {found.rows and document['worst'][0]['samples'][0]['row_b']}")
    )


def test_exit_code_by_a_limit(call, folder):
    words = ("compare", folder / "both.parquet", "-l", "mse", "-l", "mae", "-p", "a", "--against", "b")
    found = fl.compare_files(folder / "both.parquet", None, ["mse", "mae"], prediction="a", against="b")
    limit = found["mse"].difference
    assert call(*words, "-m", f"mse={limit!r}")[0] == 0
    code, out, err = call(*words, "-m", f"mse={math.nextafter(limit, -1)!r}", "-q")
    assert code == 5 and out.startswith("loss") and err.startswith("worse: mse: the difference of costs") and err.count("\n") == 1
    code, out, err = call(*words, "--max-regression", "-100%", "--json")
    assert code == 5 and [line[:5] for line in json.loads(out)["regressions"]] == ["mse: ", "mae: "]
    assert call(*words, "-m", repr(found["mae"].interval[0]), "-m", "mse=9", "--regression-at", "low")[0] == 0
    assert call(*words, "-m", 9, "-m", f"mae={found['mae'].interval[1] - 1e-9!r}", "--regression-at", "high")[0] == 5


@pytest.mark.parametrize(("words", "message"), [
    (("A.csv", "B.csv"), "give one loss"), (("A.csv", "B.csv", "B.csv", "-l", "mse"), "quote a pattern"),
    (("A.csv", "B.csv", "-l", "mse", "-m", "rmse=1"), "the losses are mse"), (("A.csv", "B.csv", "-l", "mse", "-m", "much"), "'much'"),
    (("A.csv", "-l", "mse"), "--against"), (("A.csv", "B.csv", "-l", "nothing"), "nothing"),
    (("A.csv", "B.csv", "-l", "mse", "--inner"), "`inner`"), (("A.csv", "B.csv", "-l", "dice", "--worst", "3"), "`worst`"),
    (("A.csv", "B.csv", "-l", "mse", "--by", "none"), "no column 'none'"),
    (("A.csv", "B.csv", "-l", "mse", "--confidence", "95"), "confidence"),
])  # fmt: skip
def test_requests_that_are_wrong(call, folder, monkeypatch, words, message):
    monkeypatch.chdir(folder)
    code, out, err = call("compare", *words)
    assert code == 2 and out == "" and message in err


def test_bad_data_has_its_exit_code(call, folder):
    assert call("compare", folder / "A.csv", folder / "A_shuffled.csv", "-l", "mse")[0] == 3


def test_the_prediction_of_b_is_given_by_against(folder):
    with pytest.raises(SourceError, match=r"has no column 'zzz'; .*; name the prediction of B: against=\.\.\. \(--against\)"):
        fl.compare_files(folder / "both.parquet", None, "mse", prediction="a", against="zzz")
    with pytest.raises(SourceError, match=r"has no column 'zzz'; .*; name the prediction's: prediction=\.\.\. "):
        fl.compare_files(folder / "both.parquet", None, "mse", prediction="zzz", against="b")
    with pytest.raises(SourceError, match="'a' is the prediction of A; name another for B, against="):
        fl.compare_files(folder / "both.parquet", None, "mse", prediction="a", against="a")
