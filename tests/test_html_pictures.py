"""Numbers, scales and pictures of HTML reports, from plain numbers."""

import math
import re

import pytest

from fastloss.reports.html_charts import cumulative, forest, histogram, reliability, series
from fastloss.reports.html_page import number, percent, plain, shortened
from fastloss.reports.html_svg import Scale, decades, fitted, length, steps
from tests.html_pages import Page


def test_text_is_shortened_in_its_middle_and_fitted():
    assert plain("a" * 200 + "b" * 50, 30) == "a" * 19 + "…" + "b" * 10 and len(plain("\u202e" * 100, 30)) == 30
    assert shortened("abcdefghij", 4) == "ab…j" and plain("x" * 30, 30) == "x" * 30
    for name in ("short", "w" * 99, "漢" * 60, "x" * 10**6, "<" * 50):
        shown = fitted(name, 120).replace("&lt;", "<")
        assert length(shown) <= 120 and (shown == name or "…" in shown)
    assert fitted("<b>", 120) == "&lt;b&gt;"


def test_scales_keep_within_their_ends():
    even, log = Scale(0, 10, 100, 200), Scale(1e-3, 1e3, 0, 60, log=True)
    assert [even(value) for value in (-5, 0, 2.5, 10, 1e9)] == [100, 100, 125, 200, 200]
    assert [log(value) for value in (0, 1e-3, 1, 10, 1e300)] == [0, 0, 30, 40, 60]
    assert Scale(3, 3, 0, 10)(3) == 0 and even.holds(10) and not even.holds(11)


def test_numbers_and_ticks():
    found = [number(value) for value in (None, 1234567, 0.0, 0.074129, -12.345678, 1e-7, 2.5e12, math.nan, -math.inf, 99999.4)]
    assert found == ["–", "1,234,567", "0", "0.07413", "−12.35", "1.000e−07", "2.500e+12", "not a number", "−infinite", "99,999"]
    assert [percent(value) for value in (0.0, 1.0, 0.05, 0.1234, 1e-5, math.nan)] == [
        "0\xa0%", "100\xa0%", "5.0\xa0%", "12\xa0%", "under 0.1\xa0%", "–"
    ]  # fmt: skip
    assert steps(0, 1, 5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0]) and steps(3, 3) == [3]
    for low, high in ((-7.3, 12.9), (1e-9, 3e-9), (0, 1e300), (99, 100.5)):
        ticks = steps(low, high, 5)
        assert 2 <= len(ticks) <= 6 and all(low - 1e-9 * high <= tick <= high * (1 + 1e-9) for tick in ticks)
    assert decades(1e-6, 10, 4) == pytest.approx([1e-6, 1e-4, 1e-2, 1])


def test_pictures_show_their_numbers_where_they_are():
    """A bar's height, a dot's place: of plain numbers, by hand."""
    page = Page(histogram("k", [(-math.inf, 0, 0), (0, 1, 30), (1, 2, 10), (2, math.inf, 0)], (0, 2, False), 40))
    heights = [float(value) for tag, name, value in page.attributes if tag == "rect" and name == "height"]
    assert heights[0] == pytest.approx(3 * heights[1], abs=0.2) and heights[0] == pytest.approx(174)
    svg, cut = forest("k", [("a", 1.0, (0.5, 1.5), "75 %"), ("b", 3.0, None, ""), ("c", None, None, "")], 2.0)
    page = Page(svg)
    dots = [float(value) for tag, name, value in page.attributes if tag == "circle" and name == "cx"]
    (line,) = (re.findall(r"M(\S+) ", value) for tag, name, value in page.attributes if name == "d" and value.startswith("M")
               and page.attributes[page.attributes.index((tag, name, value)) - 1] == ("path", "class", "whole"))  # fmt: skip
    assert not cut and len(dots) == 2 and float(line[0]) == pytest.approx(sum(dots) / 2, abs=0.1) and "no cost" in page.words
    page = Page(reliability("k", [(0, 0.5, 4, 0.25, 0.25, None), (0.5, 1, 1, 0.75, 0.5, (0.1, 0.9))], "x", "y"))
    places = [float(value) for tag, name, value in page.attributes if tag == "circle" and name in ("cx", "cy")]
    assert places[0] - 44 == pytest.approx((352 - 44) / 4) and 318 - places[1] == pytest.approx((318 - 24) / 4)
    page = Page(cumulative("k", [(1.0, 0.5), (2.0, 1.0)], (0, 2, False), [(0.5, 1.0)]))
    assert [value for tag, name, value in page.attributes if tag == "circle" and name in ("cx", "cy")] == ["198", "99"]
    page = Page(series("k", [(0, 5, 1.0, (0.5, 1.5)), (5, 10, None, None), (10, 15, 3.0, None)], 2.0, [5]))
    assert page.tags.count("circle") == 2 and "row, counted over all files" in page.words
