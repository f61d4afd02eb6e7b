"""The HTML report on a comparison: the verdict in words, what is in it, odd data, and that it stays small and safe."""

import json
import math
import re
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main as command
from fastloss.reports import html as reports
from fastloss.reports.html import html_report
from fastloss.reports.html_charts import forest, sides_bars
from fastloss.reports.html_page import number
from fastloss.reports.html_verdict import BETTER, NONE, OPEN, SAME, UNSURE, WORSE, bounds, clear, relative, verdict
from fastloss.reports.html_verdict_words import chance, counted
from tests.html_pages import Page, checked
from tests.test_html import HOSTILE


def sections(page):
    return [value for tag, name, value in page.attributes if tag == "section" and name == "id"]


@pytest.fixture
def columns():
    rng = np.random.default_rng(2)
    y = rng.normal(size=800)
    return {"y": y, "a": y + 0.5 * rng.normal(size=800), "b": y + 0.4 * rng.normal(size=800), "g": rng.integers(0, 30, 800)}


@pytest.fixture
def compare(tmp_path):
    """A comparison of two columns of a file."""

    def compared(columns, losses, name="t.parquet", **asked):
        pl.DataFrame(columns).write_parquet(tmp_path / name)
        return fl.compare_files(tmp_path / name, None, losses, **{"prediction": "a", "against": "b", **asked})

    return compared


def made(difference, interval=None, **fields):
    """A Compared of these."""
    found = fl.compare("mae", [0.0, 0.0], [0.0, 1.0], [1.0, 0.0])["mae"]
    fields = {"n": 100, "cost_a": 1.0, "cost_b": 1.0 + (difference or 0.0), "standard_error": None, **fields}
    return replace(found, difference=difference, interval=interval, **fields)


def test_the_verdict_is_where_the_interval_is():
    cases = [(-0.2, (-0.3, -0.1), BETTER), (0.2, (0.1, 0.3), WORSE), (0.2, (-0.1, 0.3), OPEN), (0.0, (0.0, 0.0), OPEN),
             (0.2, None, UNSURE), (0.2, (-math.inf, math.inf), UNSURE), (math.nan, None, NONE), (math.inf, None, NONE)]  # fmt: skip
    assert [verdict(made(difference, interval)) for difference, interval, _ in cases] == [found for *_, found in cases]
    assert verdict(made(None)) == NONE and verdict(made(0.0, (0.0, 0.0), better_a=0, better_b=0)) == SAME
    assert relative(made(-0.2, (-0.3, -0.1), cost_a=-2.0)) == (-0.1, (-0.15, -0.05)) and relative(made(0.2, cost_a=0.0)) is None
    few = made(0.2, (0.1, 0.3), standard_error=0.05, better_a=20, better_b=10)
    assert clear(few, 1) == WORSE and clear(few, 10**6) is None and clear(replace(few, better_b=9), 1) is None
    reach = NormalDist().inv_cdf(1 - 0.025 / 7) * 0.05  # Bonferroni's, of 7
    assert clear(replace(few, difference=-1.001 * reach), 7) == BETTER and clear(replace(few, difference=-0.999 * reach), 7) is None


def test_the_interval_is_that_of_the_bootstrap_where_there_is_one(columns, compare):
    result = compare(columns, "mse", bootstrap=30)["mse"]
    assert bounds(result) == result.bootstrap.interval != result.interval


def test_few_that_differ_prove_nothing(compare):
    """A root's interval is of its slope: where A is perfect but for nothing, one prediction of 400 would make it more than chance."""
    found = compare({"y": [0.0] * 400, "a": [0.0] * 400, "b": [1.0] + [0.0] * 399}, ["rmse", "mse"])
    assert [verdict(result) for result in found.results] == [WORSE, OPEN]
    words = checked(html_report(found)).words
    assert "A seems better. On 400" in words and "may be chance: the losses of only 1 prediction differ. Roughly, with" in words
    assert "A seems better by rmse; it is open by mse" in words and "more than chance" not in words
    words = checked(html_report(fl.compare(["mse", "mae"], [1.0, 1.0], [2.0, 2.0], [1.5, 1.5]))).words
    assert "B seems better. On 2" in words and "By both losses alike, B seems better." in words and "more than chance" not in words


def test_an_infinite_difference_is_not_said_to_be_none(compare):
    found = compare({"y": [1, 0, 1], "a": [0.5, 0.5, 0.5], "b": [0.5, 1.0, 0.5]}, ["log_loss", "brier"])
    words = checked(html_report(found)).words
    assert "Which is better cannot be told. On 3" in words and "that of B infinite" in words and "no difference to speak of" not in words


def test_chances_in_words():
    said = [(1.0, "in 100 of 100"), (0.37, "in 37 of 100"), (0.05, "in one of 20"), (1 / 90, "in one of 90"), (1.11e-4, "in one of 9,000"),
            (1e-6, "in one of 1,000,000"), (1e-7, "in less than one of a million"), (0.0, "in less than one of a million")]  # fmt: skip
    assert [chance(p) for p, _ in said] == [f"{words} such comparisons" for _, words in said]
    few = made(-0.2, (-0.3, -0.1), better_a=90, better_b=10, p_value=1e-9)
    assert "So B is better on average, although A is better more often (90" in counted(few)
    assert "on average" not in counted(replace(few, better_a=10, better_b=90)) and "on average" not in counted(replace(few, p_value=0.2))


def test_all_that_was_compared_is_told(columns, compare):
    found = compare(columns, ["mse", "mae", "rmse"], by="g", worst=4, bootstrap=50)
    page, first = checked(html_report(found)), found["mse"]
    assert sections(page) == ["costs", "signs", "segments", "differing", "data"]
    share = f"{100 * abs(first.difference) / first.cost_a:.0f} %"
    assert f"B is better. On 800 predictions, the cost by mse (squared_error) is {number(first.cost_a)} for A" in page.words
    assert f"{number(-first.difference, 3)} ({share}) lower. That is more than chance" in page.words
    ends = sorted(-end for end in first.bootstrap.interval)
    assert f"would be {number(ends[0], 3)} to {number(ends[1], 3)} lower (at 95 %)" in page.words and "Poisson bootstrap" in page.words
    assert "By all 3 losses alike, B is better." in page.words
    assert f"B comes closer in {first.better_b:,} of the predictions, A in {first.better_a:,}. If both" in page.words
    for result in found.results:
        assert repr(result.cost_a) in page.words and repr(result.cost_b) in page.words
    assert "the 10 others together" in page.words and "The 20 first of 30" in page.words
    assert page.tags.count("svg") == 1 + 1 + 3
    sample = found.worst["mse"][0]
    assert f"{sample.row_a} {number(sample.difference).replace('-', '−')}" in page.words.replace("+", "")
    assert page.words.count("The largest differences of the losses") == 2, "mse and rmse differ in the same samples"
    assert "how they go together row by row" in page.words and "1 file of A and B" in page.words


def test_what_was_not_asked_for_is_not_there(columns, compare):
    page = checked(html_report(compare(columns, "mse")))
    assert sections(page) == ["costs", "signs", "data"] and page.tags.count("svg") == 2 and "segment" not in page.words


def test_the_segments_that_make_most_of_the_difference_come_first(columns, compare):
    from fastloss.reports.html_differences import rank

    found = compare(columns | {"w": np.arange(800) % 3 / 2}, "mse", by="g", weight="w")
    order = sorted((segment.results[0] for segment in found.segments), key=rank)
    adds = [abs(one.difference * one.weight_sum) for one in order]
    assert adds == sorted(adds, reverse=True)
    total = sum(one.difference * one.weight_sum for one in order) / sum(one.weight_sum for one in order)
    assert total == pytest.approx(found["mse"].difference, rel=1e-12)


def test_where_b_is_worse_although_better_in_all(compare):
    rng = np.random.default_rng(0)
    g = np.repeat(["many", "<few>"], [900, 100])
    off = np.where(g == "many", 0.3, 2.0)
    data = {"y": np.zeros(1000), "a": rng.normal(size=1000), "b": off * rng.normal(size=1000), "g": g}
    found = compare(data, "mae", by="g")
    assert verdict(found["mae"]) == BETTER
    words = checked(html_report(found)).words
    assert "B is clearly better in g = many: a cost of" in words and "But not everywhere: B is clearly worse in g = <few>: a cost" in words


def test_of_arrays(tmp_path, columns):
    y, a, b, g = columns.values()
    found = fl.compare(["mse", "huber"], y, a, b, by=g, worst=5)
    fl.write_html(found, tmp_path / "r.html")
    page = checked((tmp_path / "r.html").read_text())
    assert (
        sections(page) == ["costs", "signs", "segments", "differing", "data"] and "The predictions by segment : 30 segments." in page.words
    )
    assert "A and B compared" in page.words and "file" not in page.words.split("What was compared")[-1]
    with pytest.raises(TypeError, match="a report is on an Evaluation or a Comparison, got dict"):
        fl.write_html({}, tmp_path / "r.html")


def test_two_files_by_key_with_rows_left_out(tmp_path, columns):
    table = pl.DataFrame(columns).with_columns(id=pl.int_range(800))
    table.select("id", "y", p="a")[:700].write_csv(tmp_path / "p.csv")
    (tmp_path / "new").mkdir()
    table.select("id", p="b")[::-1][:750].write_parquet(tmp_path / "new" / "p.parquet")
    found = fl.compare_files(tmp_path / "p.csv", tmp_path / "new" / "p.parquet", "mse", key="id", inner=True, worst=3)
    page = checked(html_report(found))
    for words in ("A: p.csv B: p.parquet", "50 rows of A left out, which the other side lacks", "100 rows of B left out", "by the key",
                  "rows of A left out 50", "row of B", "p.csv and p.parquet compared", "column of the key id"):  # fmt: skip
        assert words in page.words, words
    table.select("id", p="b")[:700].write_csv(tmp_path / "new" / "p.csv")
    page = checked(html_report(fl.compare_files(tmp_path / "p.csv", tmp_path / "new" / "p.csv", "mse")))
    assert f"B: {tmp_path / 'new' / 'p.csv'}"[:30] in page.words, "of two files of one name, the paths"


CASES = {
    "one row": ({"y": [1.0], "a": [0.5], "b": [0.25]}, "mse", {}, "How sure it is which is better cannot be told. On 1 prediction"),
    "alike": ({"y": [1.0, 2.0], "a": [0.5, 2.0], "b": [0.5, 2.0], "g": [1, 2]}, "mse", {"by": "g"}, "A and B are equally good. On 2"),
    "few": ({"y": [1.0, 2.0, 3.0], "a": [0.5, 2.0, 3.0], "b": [0.5, 1.0, 3.5]}, "mse", {}, "3 predictions can prove little"),
    "always the same": ({"y": [0.0] * 40, "a": [2.0] * 40, "b": [1.0] * 40}, "mae", {}, "would be 1.00 to 1.00 lower"),
    "NaN": ({"y": [1.0, 0.0], "a": [0.5, math.nan], "b": [1.0, 1.0], "g": [1, 2]}, "mse", {"by": "g"}, "To leave such predictions out"),
    "NaN left out": ({"y": [1.0, 0.0] * 9, "a": [0.5, math.nan] * 9, "b": [1.0, 1.0] * 9}, "mse", {"nan": "skip"}, "9 predictions were"),
    "infinite": ({"y": [1, 0, 1], "a": [0.5, 1.0, 0.25], "b": [0.5] * 3, "g": list("aba")}, "log_loss", {"by": "g"},
                 "that of A is infinite"),
    "sums": ({"y": [1, 0, 1] * 20, "a": [0.5, 0.75, 0.25] * 20, "b": [0.5] * 60, "g": list("aba") * 20}, "dice", {"by": "g"},
             "ask again with --bootstrap 1000"),
    "sums and an interval": ({"y": [1, 0, 1] * 20, "a": [0.5, 0.75, 0.2] * 20, "b": [0.5] * 60}, "dice", {"bootstrap": 50}, "That is more"),
    "huge": ({"y": [1e300, -1.7e308, 0.0], "a": [0.0, 1.7e308, 0.0], "b": [1e300] * 3, "g": list("abc")}, "mae", {"by": "g"}, "infinite"),
    "tiny": ({"y": [1e-300, 3e-300, 0.0], "a": [0.0] * 3, "b": [1e-300] * 3}, "mae", {}, "1.000e−300 for B"),
    "A perfect": ({"y": [0.0] * 40, "a": [0.0] * 40, "b": [1.0, 2.0] * 20, "g": [1, 2] * 20}, "rmse", {"by": "g"}, "A is better. On 40"),
    "negative": ({"y": [0.01] * 50, "a": [-i / 10 for i in range(50)], "b": [-3.0] * 50}, "gamma_loss", {}, "On 50 predictions"),
    "weights of 0": ({"y": [1.0, 0.0], "a": [0.5, 1.0], "b": [1.0, 1.0], "w": [0.0, 1.0], "g": list("ab")}, "mse",
                     {"by": "g", "weight": "w"}, "A and B are equally good"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_odd_data(compare, case):
    data, loss, asked, words = CASES[case]
    assert words in checked(html_report(compare(data, [loss, "mae"] if loss != "mae" else loss, **asked))).words


def test_losses_that_disagree(compare):
    rng = np.random.default_rng(1)
    wild = np.where(np.arange(1000) % 50, 0.2, 6.0) * rng.normal(size=1000)
    found = compare({"y": np.zeros(1000), "a": rng.normal(size=1000), "b": wild, "c": wild}, ["mae", "log_cosh", "mse", "huber:delta=0.01"])
    words = checked(html_report(found)).words
    assert "Not all losses say the same: B is better by mae" in words and "it is open by mse" in words


def test_losses_of_rows(tmp_path):
    rng = np.random.default_rng(0)
    pl.DataFrame({"y": rng.integers(0, 3, 90), **{f"{side}_{c}": rng.normal(size=90) for side in "ab" for c in range(3)}}).write_parquet(
        tmp_path / "t.parquet"
    )
    found = fl.compare_files(tmp_path / "t.parquet", None, "cross_entropy", prediction="a_*", against="b_*", worst=3)
    page = checked(html_report(found))
    scores = found.worst["cross_entropy"][0].prediction_b
    assert " ".join(f"{one:.4g}" for one in scores) in page.words and "a_* and b_* compared" in page.words
    classes = fl.compare_files("fastloss/samples/iris.csv", "fastloss/samples/iris.csv", "cross_entropy", target="species",
                               prediction="logit_*")  # fmt: skip
    assert "A and B are equally good" in checked(html_report(classes)).words


def test_hostile_names_are_text(compare):
    rng = np.random.default_rng(1)
    names = [value for value in HOSTILE for _ in range(20)] + [None] * 20
    n = len(names)
    data = {"g": names, "y": rng.random(n), "<script>a": rng.random(n), "</title>b": rng.random(n)}
    found = compare(data, ["mse", "mae"], name="<i>&\"'.parquet", by="g", prediction="<script>a", against="</title>b", worst=50)
    source = html_report(found)
    page = checked(source)
    assert "<i>" not in source and "<script>" not in source and "<img" not in source and source.count("</title>") > 0
    assert not set("\x00\x1b\u202e\u2028") & set(source) and "x" * 100 not in source
    for shown in ("<script>alert(1)</script>", "a\\x00b\\x1b[31m", "\\u202etxt.exe", "(empty)", "(missing)", "<script>a", "</title>b"):
        assert shown in page.words, shown


def test_much_data_is_few_bytes(tmp_path, compare):
    rng = np.random.default_rng(4)
    names = [f"{'&' * 300}{i}" for i in range(4000)]
    data = {"y": rng.random(20_000), "a": rng.random(20_000), "b": rng.random(20_000), "g": names * 5, "&" * 300: ["🙂" * 99] * 20_000}
    losses = [f"huber:delta={i + 1}e-3" for i in range(60)]
    page = checked(html_report(compare(data, losses, by=["g", "&" * 300], worst=300)))
    assert "Shown for the first 6 of 60 losses" in page.words and "the 3,980 others together" in page.words
    assert "the first 40 of 60" in page.words and "the first 25 of 300" in page.words


def test_a_report_that_is_too_large_shows_fewer_losses(columns, compare, monkeypatch):
    found = compare(columns, ["mse", "mae", "huber", "log_cosh"], by="g", worst=9)
    monkeypatch.setattr(reports, "LIMIT", len(html_report(found).encode()))
    assert "Shown for the first 3 of 4 losses" in checked(html_report(found)).words
    monkeypatch.setattr(reports, "LIMIT", 25_000)
    assert checked(html_report(found)).tags.count("svg") <= 3


def test_the_same_comparison_is_the_same_page(columns, compare):
    pages = [html_report(compare(columns, ["mse", "mae"], by="g", worst=3, chunk_rows=rows)) for rows in (13, 800)]
    assert pages[0] == pages[1]


def test_pictures_show_their_numbers_where_they_are():
    page = Page(forest("k", [("a", -1.0, (-2.0, -0.5), "x"), ("b", 1.0, None, "")], 0.0, "B − A", "no difference", sides=("l", "r"))[0])
    dots = [float(value) for tag, name, value in page.attributes if tag == "circle" and name == "cx"]
    lines = [value for tag, name, value in page.attributes if name == "d" and page.attributes[page.attributes.index((tag, name, value)) - 1]
             == ("path", "class", "whole")]  # fmt: skip
    assert float(re.match(r"M(\S+) ", lines[0])[1]) == pytest.approx(sum(dots) / 2, abs=0.1) and "no difference" in page.words
    page = Page(sides_bars("k", [("mse", 0.25, 0.5)]))
    widths = [float(value) for tag, name, value in page.attributes if tag == "rect" and name == "width"]
    assert widths[1] / widths[0] == pytest.approx(0.25, abs=0.002) and widths[2] / widths[0] == pytest.approx(0.5, abs=0.002)


def test_the_command_prints_what_it_prints_without(tmp_path, columns, capsys):
    path, report = str(tmp_path / "t.parquet"), tmp_path / "r.html"
    pl.DataFrame(columns).write_parquet(path)

    def call(*words):
        code = command(["compare", path, "-p", "a", "--against", "b", "-q", *words])
        return code, *capsys.readouterr()

    for words in (["-l", "mse"], ["-l", "mse", "-l", "mae", "--by", "g"], ["-l", "mse", "--worst", "2"], ["-l", "mse", "-m", "-50%"]):
        assert call(*words, "--html", str(report)) == call(*words)
        assert "Is B better than A?" in checked(report.read_text()).words
    assert call("-l", "mse", "-m", "-50%", "--html", str(report))[0] == 5
    assert call("-l", "mse", "--html", str(report), "--json")[0] == 0 and "differing" in sections(Page(report.read_text()))
    assert "worst" not in json.loads(call("-l", "mse", "--html", str(report), "--json")[1])
    pl.DataFrame({"y": [0, 1], "a": [0.5, 0.25], "b": [0.25, 0.5]}).write_parquet(path)
    assert call("-l", "dice", "--html", str(report))[0] == 0, "no single samples, and none are asked for"
    for bad in ("r.txt", "nowhere/r.html"):
        code, _, err = call("-l", "mse", "--html", str(tmp_path / bad))
        assert code == 2 and "--html" in err
