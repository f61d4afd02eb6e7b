"""The HTML report without a browser: well formed, small, self-contained, escaped, the same for the same data, whole or absent."""

import json
import math
import os
import re

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main as command
from fastloss.losses import definitions
from fastloss.reports import html as reports
from fastloss.reports.html import html_report
from fastloss.reports.html_page import number, text
from fastloss.reports.html_told import Told
from tests.html_pages import Page, checked

HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'; --", "&amp;&lt;", "a\x00b\x1b[31m", "\u202etxt.exe", "two\nlines",
    "https://example.com/x.js", "", "x" * 10_000, "é漢字🙂", "]]>-->", "</title></style></svg>", "{{7*7}}", "\u2028",
]  # fmt: skip


@pytest.fixture
def evaluate(tmp_path):
    """A report's evaluation of columns."""

    def evaluated(columns, losses, name="t.parquet", **asked):
        pl.DataFrame(columns).write_parquet(tmp_path / name)
        return fl.evaluate_files(tmp_path / name, losses, report=True, **asked)

    return evaluated


@pytest.fixture
def columns():
    rng = np.random.default_rng(8)
    p = rng.random(1000)
    return {"y": (rng.random(1000) < p).astype(np.int8), "p": p, "g": rng.integers(0, 60, 1000), "w": rng.integers(0, 4, 1000) / 2}


def test_a_report_has_all_that_was_found(evaluate, columns):
    found = evaluate(columns, ["log_loss", "mse", "rmse"], by="g", bootstrap=20)
    page = checked(html_report(found))
    sections = [value for tag, name, value in page.attributes if tag == "section" and name == "id"]
    assert sections == ["costs", "segments", "spread", "calibration", "along", "worst", "data"]
    for words in ("On 1,000 predictions, the cost by log_loss is", repr(found["rmse"]), "Poisson bootstrap", "the 40 others together",
                  "The worst 5 % of the predictions make", "expected calibration error", "rows read 1,000"):  # fmt: skip
        assert words in page.words
    assert page.tags.count("svg") == 3 + 2 * 2 + 1 + 3, "forests, two pictures of the losses of each kernel, calibration, series"
    worst = found.worst["log_loss"][0]
    assert f"{worst.row} {number(worst.loss)} {worst.target}" in page.words


def test_what_was_not_asked_for_is_not_there(tmp_path, columns):
    pl.DataFrame(columns).write_parquet(tmp_path / "t.parquet")
    page = checked(html_report(fl.evaluate_files(tmp_path / "t.parquet", "mse")))
    assert [value for tag, name, value in page.attributes if tag == "section" and name == "id"] == ["costs", "data"]
    assert "svg" not in page.tags and "interval" not in page.words
    page = checked(html_report(fl.evaluate_files(tmp_path / "t.parquet", ["mse", "rmse"], by="g")))
    assert page.tags.count("svg") == 2 and "interval" not in page.words and "The bar is" not in page.words


def test_a_report_is_the_same_for_any_chunks(evaluate, columns):
    found = [html_report(evaluate(columns, ["log_loss", "brier"], by="g", weight="w", chunk_rows=rows)) for rows in (7, 1000)]
    assert found[0] == found[1]


def test_parts_of_the_cost_sum_to_it_and_the_others_are_theirs(evaluate, columns):
    from fastloss.reports.html_segments import SEGMENTS, parts_of

    for losses in (["rmse"], ["log_loss"]):
        found = evaluate(columns, losses, by="g", weight="w")
        parts, total = parts_of(Told(found, 1), found.results[0])
        adds = [add for *_, add in parts]
        assert adds == sorted(adds, reverse=True) and len(parts) == len(set(columns["g"]))
        weights = math.fsum(weight for _, _, weight, _ in parts)
        mean = total / weights
        assert (math.sqrt(mean) if losses == ["rmse"] else mean) == pytest.approx(found.results[0].cost, rel=1e-13)
        first = [segment.values[0] for segment, *_ in parts[:SEGMENTS]]
        rest = ~np.isin(columns["g"], first)
        alone = fl.State(losses).update(columns["y"][rest], columns["p"][rest], columns["w"][rest]).compute()[losses[0]]
        page = checked(html_report(found))
        assert f"the {len(parts) - SEGMENTS} others together {number(alone)} – {int(rest.sum())} " in page.words


@pytest.mark.parametrize("by", ["g", ["g", "<b onload=x>", "h" * 500]])
def test_hostile_names_are_text(evaluate, by):
    names = [value for value in HOSTILE for _ in range(20)] + [None] * 20
    rng = np.random.default_rng(1)
    data = {"g": names, "<b onload=x>": names[::-1], "h" * 500: names, "</table>p": rng.random(len(names)), "y": rng.random(len(names))}
    found = evaluate(data, ["mse", "mae"], name="<i>&\"'.parquet", by=by, prediction="</table>p")
    source = html_report(found)
    page = checked(source)
    assert "<i>" not in source and "<b onload" not in source and "<img" not in source and "alert(1)</" not in source
    assert not set("\x00\x1b\u202e\u2028") & set(source) and "x" * 100 not in source
    for shown in ("<script>alert(1)</script>", "'; --", "&amp;&lt;", "a\\x00b\\x1b[31m", "\\u202etxt.exe", "two\\nlines", "(empty)",
                  "(missing)", "é漢字🙂", "https://example.com/x.js", "</table>p", "<i>&\"'.parquet"):  # fmt: skip
        assert shown in page.words, shown
    assert page.words.count("<script>") == source.count("&lt;script&gt;") > 0


def test_halves_of_characters_are_written(tmp_path):
    assert text("\ud800x\udcff") == "\\ud800x\\udcff"
    np.savez(tmp_path / "t.npz", y=np.arange(4.0), p=np.zeros(4), g=np.array([b"\xff", b"a", b"\xff", b"a"]))
    found = fl.evaluate_files(tmp_path / "t.npz", "mse", by="g", report=True)
    found.write_html(tmp_path / "r.html")
    assert "\\udcff" in checked((tmp_path / "r.html").read_text(encoding="utf-8")).words


CASES = {
    "one row": ({"y": [1], "p": [0.25]}, ["log_loss", "mse"], {}, "On 1 prediction, the cost"),
    "two rows": ({"y": [1, 0], "p": [0.5, 0.25], "g": ["a", "b"]}, ["log_loss", "mse"], {"by": "g"}, "On 2 predictions"),
    "all perfect": ({"y": [1.0] * 9, "p": [1.0] * 9, "g": list("abc") * 3}, ["mse", "rmse"], {"by": "g"}, "is 0 . Lower is better"),
    "NaN": ({"y": [1, 0, 1], "p": [0.5, math.nan, 0.25], "g": list("aba")}, ["log_loss"], {"by": "g"}, "is not a number: 1 loss could not"),
    "NaN left out": ({"y": [1, 0, 1], "p": [0.5, math.nan, 0.25]}, ["log_loss"], {"nan": "skip"}, "1 prediction was left out"),
    "infinite": ({"y": [1, 0, 1], "p": [0.5, 1.0, 0.25], "g": list("aba")}, ["log_loss"], {"by": "g"}, "1 of them has an infinite loss"),
    "all infinite": ({"y": [0, 0], "p": [1.0, 1.0], "g": list("ab")}, ["log_loss"], {"by": "g"}, "No loss is finite"),
    "sums": ({"y": [1, 0, 1], "p": [0.5, 0.75, 0.25], "g": list("aba")}, ["dice", "brier"], {"by": "g"}, "the largest segment first"),
    "negative": ({"y": [0.01] * 50, "p": [-i / 10 for i in range(50)], "g": [1, 2] * 25}, ["gamma_loss"], {"by": "g"}, "On 50"),
    "soft targets": ({"y": [0.3, 0.6], "p": [0.5, 0.75]}, ["brier"], {}, "no calibration: `y_true` of it must be 0 or 1"),
    "tiny": ({"y": [1e-300, 3e-300, 0.0], "p": [0.0] * 3}, ["mae"], {}, "1.333e−300"),
    "huge": ({"y": [1e300, -1.7e308, 0.0], "p": [0.0, 1.7e308, 0.0], "g": list("abc")}, ["mae", "mse"], {"by": "g"}, "infinite"),
    "sums beyond float64": ({"y": [1.7e308] * 30, "p": [0.0] * 30, "g": list(range(30))}, ["mae", "rmse"], {"by": "g"}, "others together"),
    "some NaN": ({"y": [1.0, math.nan] * 30, "p": [0.0] * 60, "g": list(range(60))}, ["mae"], {"by": "g"}, "not a number"),
    "negative, many": ({"y": [0.01] * 60, "p": [i / 10 - 4 for i in range(60)], "g": list(range(60))}, ["gamma_loss"], {"by": "g"},
                       "the 40 others together −0.03094 40 67 %"),
    "far apart": ({"y": [0.0] * 40, "p": [10.0 ** (15 * i - 300) for i in range(40)]}, ["mae"], {}, "The scale is not even"),
    "weights of 0": ({"y": [1, 0, 1], "p": [0.5, 0.7, 0.2], "w": [0.0, 1.0, 0.0], "g": list("aba")}, ["log_loss"],
                     {"by": "g", "weight": "w"}, "of a label to ignore, or of weight 0 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_reports_of_odd_data(evaluate, case):
    data, losses, asked, words = CASES[case]
    assert words in checked(html_report(evaluate(data, losses, **asked))).words


def test_reports_of_rows(tmp_path):
    found = fl.evaluate_files(
        "fastloss/samples/iris.csv", ["cross_entropy", "perplexity"], target="species", prediction="logit_*", report=True, per_class=True,
    )  # fmt: skip
    page = checked(html_report(found))
    assert "versicolor" in page.words and "how often it was right" in page.words and page.tags.count("svg") == 2 + 1 + 2
    rng = np.random.default_rng(0)
    np.save(tmp_path / "y.npy", rng.integers(0, 2000, 3000))
    np.save(tmp_path / "z.npy", rng.standard_normal((3000, 2000), dtype=np.float32))
    found = fl.evaluate_files(
        [], "cross_entropy", target=str(tmp_path / "y.npy"), prediction=str(tmp_path / "z.npy"), report=True, per_class=True
    )
    assert re.search(r"1,\d\d\d other classes – ", checked(html_report(found)).words)


def test_many_rows_and_segments_are_few_bytes(tmp_path):
    rng = np.random.default_rng(4)
    p = rng.random(10**6, dtype=np.float32)
    path = tmp_path / "many.npz"
    np.savez(path, y=(rng.random(10**6) < p).astype(np.int8), p=p, g=np.arange(10**6) % 100_000)
    found = fl.evaluate_files(path, ["log_loss", "brier"], by="g", max_segments=100_000, worst=5000, calibration=1000, report=True)
    page = checked(html_report(found))
    assert "The 20 first of 100,000" in page.words and "the 99,980 others together" in page.words and "the first 25 of 5000" in page.words


def test_many_losses_and_long_names_are_few_bytes(evaluate):
    rng = np.random.default_rng(4)
    losses = [definition.name for definition in definitions() if definition.family == "regression"]
    data = {"y": rng.random(2000), "p": rng.random(2000), "g": [f"{'&' * 300}{i}" for i in range(2000)], "&" * 300: ["🙂" * 99] * 2000}
    source = html_report(evaluate(data, losses, by=["g", "&" * 300], worst=500))
    page = checked(source)
    assert f"Shown for the first 6 of {len(losses)} losses" in page.words and len(losses) > 12


def test_a_report_that_is_too_large_shows_fewer_losses(evaluate, columns, monkeypatch):
    found = evaluate(columns, ["log_loss", "brier", "mae", "mse"], by="g")
    whole = len(html_report(found).encode())
    monkeypatch.setattr(reports, "LIMIT", whole)
    assert "Shown for the first 3 of 4 losses" in checked(html_report(found)).words
    monkeypatch.setattr(reports, "LIMIT", 25_000)
    page = checked(html_report(found))
    assert page.tags.count("svg") == 1 and all(name in page.words for name in found.costs), "calibration is of no one loss"


def test_many_files_are_summed_up(tmp_path):
    for i in range(40):
        pl.DataFrame({"y": [0.0] * (i + 1), "p": [1.0] * (i + 1)}).write_csv(tmp_path / f"{i:02}.csv")
    page = checked(html_report(fl.evaluate_files(str(tmp_path / "*.csv"), "mse", report=True)))
    assert "Predictions in 40 files" in page.words and f"the 20 others together {sum(range(1, 21))}" in page.words


def test_writing_is_whole_or_not_at_all(tmp_path, evaluate, columns, monkeypatch):
    found = evaluate(columns, "mse")
    path = tmp_path / "r.html"
    fl.write_html(found, path)
    first = path.read_bytes()
    found.write_html(str(path))
    assert path.read_bytes() == first and first.decode() == html_report(found)
    umask = os.umask(0o027)
    try:
        found.write_html(tmp_path / "mask.htm")
    finally:
        os.umask(umask)
    assert (tmp_path / "mask.htm").stat().st_mode & 0o777 == 0o640
    before = set(os.listdir(tmp_path))
    path.write_text("old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no room")))
    with pytest.raises(OSError, match="no room"):
        found.write_html(path)
    assert path.read_text() == "old" and set(os.listdir(tmp_path)) == before
    for bad in (tmp_path / "t.parquet", tmp_path / "report", b"r.html"):
        with pytest.raises(ValueError, match="must end in .html or .htm"):
            found.write_html(bad)
    with pytest.raises(FileNotFoundError):
        found.write_html(tmp_path / "nowhere" / "r.html")


def test_the_command_prints_what_it_prints_without(tmp_path, columns, capsys):
    path, report = tmp_path / "t.parquet", tmp_path / "r.html"
    pl.DataFrame(columns).write_parquet(path)

    def call(*words):
        code = command(["eval", str(path), "-l", "log_loss", "-l", "brier", "-q", *words])
        return code, *capsys.readouterr()

    for words in ([], ["--by", "g"], ["--spread", "--worst", "3", "--by", "g"], ["--calibration"], ["--bootstrap", "9"], ["-w", "w"]):
        assert call(*words, "--html", str(report)) == call(*words)
        checked(report.read_text())
    shown = Page(report.read_text()).words
    assert "sum of weights" in shown and "Can the probabilities be trusted?" in shown
    code, out, _ = call("--by", "g", "--html", str(report), "--json")
    document = json.loads(out)
    assert code == 0 and not {"spread", "worst", "calibration"} & set(document)
    assert not {"interval", "standard_error"} & set(document["segments"][0]["results"][0])
    code, out, _ = call("--by", "g", "--spread", "--json")
    results = json.loads(out)["segments"][0]["results"]
    assert all(r["interval"][0] < r["cost"] < r["interval"][1] and r["standard_error"] > 0 for r in results)
    assert "95% interval of the cost" in call("--by", "g", "--spread")[1].split("\n\n")[1]


@pytest.mark.parametrize("name", ["report.txt", "t.parquet", "nowhere/r.html", "folder.html"])
def test_the_command_refuses_paths_before_it_reads(tmp_path, columns, capsys, name):
    pl.DataFrame(columns).write_parquet(tmp_path / "t.parquet")
    (tmp_path / "folder.html").mkdir()
    before = (tmp_path / "t.parquet").read_bytes()
    assert command(["eval", str(tmp_path / "missing.parquet"), "-l", "mse", "--html", str(tmp_path / name)]) == 2
    assert "--html" in capsys.readouterr().err and (tmp_path / "t.parquet").read_bytes() == before


def test_a_report_does_not_replace_the_state(tmp_path, columns, capsys):
    pl.DataFrame(columns).write_parquet(tmp_path / "t.parquet")
    both = str(tmp_path / "r.html")
    assert command(["eval", str(tmp_path / "t.parquet"), "-l", "mse", "--html", both, "--state", both]) == 2
    assert "give them two names" in capsys.readouterr().err and os.listdir(tmp_path) == ["t.parquet"]


def test_a_failed_evaluation_writes_nothing(tmp_path, capsys):
    pl.DataFrame({"y": [0, 2], "p": [0.5, 0.5]}).write_parquet(tmp_path / "t.parquet")
    assert command(["eval", str(tmp_path / "t.parquet"), "-l", "log_loss", "--html", str(tmp_path / "r.html")]) == 3
    assert os.listdir(tmp_path) == ["t.parquet"] and "row 1" in capsys.readouterr().err


def test_files_that_were_left_out_are_told_of(tmp_path, columns):
    pl.DataFrame(columns).write_parquet(tmp_path / "t.parquet")
    for i in range(30):
        (tmp_path / f"bad_{i:02}.csv").write_text("<b>junk</b>\n")
    found = fl.evaluate_files(tmp_path, "mse", report=True, keep_going=True)
    page = checked(html_report(found))
    assert "30 files were left out, because of errors: nothing of them is in these numbers" in page.words
    assert "bad_00.csv has no column 'y'; it has <b>junk</b>" in page.words and page.words.count("has no column 'y'") == 12
    assert "and 18 others" in page.words
    assert "left out" not in checked(html_report(fl.evaluate_files(tmp_path / "t.parquet", "mse", report=True))).words


def test_a_shard_is_no_whole(tmp_path, columns):
    pl.DataFrame(columns).write_parquet(tmp_path / "t.parquet")
    pl.DataFrame(columns).head(1).write_parquet(tmp_path / "one.parquet")
    part = fl.evaluate_files(tmp_path / "t.parquet", "mse", state=tmp_path / "1.fls", shard=(1, 2))
    assert "These are the numbers of part 1 of 2 of the data alone." in checked(html_report(part)).words
    nothing = [fl.evaluate_files(tmp_path / "one.parquet", "mse", state=tmp_path / f"{i}of2.fls", shard=(i, 2)) for i in (1, 2)]
    (nothing,) = [found for found in nothing if not found.rows]
    with pytest.raises(ValueError, match="there is nothing to report"):
        nothing.write_html(tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()
