"""The elements of an HTML report: text that is safe to show, numbers, tables, figures, sections, the page.

Whatever is made of these is one file that asks for nothing: styles inside, pictures as SVG inside, no script, and a policy that forbids
the browser every request. A page is ``page(title, head, sections)``, with ``Section``s in their order.
"""

import html
import math
import unicodedata
from collections import namedtuple

import fastloss as fl
from fastloss.reports.html_style import CSS

Section = namedtuple("Section", "id heading body")

NAME = 80  # characters of a name that are shown
# Characters that would not be seen as what they are: controls, line ends, marks that turn the direction of what follows, halves of pairs
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"}


def plain(value, most=NAME):
    """Data as text in which nothing is hidden: what cannot be seen is spelled out. No longer than ``most`` characters."""
    given = str(value)
    if len(given) > 2 * most:
        given = given[:most] + given[-most:]  # of what is spelled out, no more can be left
    if not given.isascii() or not given.isprintable():
        given = "".join(spelled(c) if unicodedata.category(c) in UNSEEN else c for c in given)
    return given if len(given) <= most else shortened(given, most)


def shortened(given, most):
    """Without its middle: names that differ may do so at either end."""
    return f"{given[: most - most // 3 - 1]}…{given[-(most // 3) :]}"


def text(value, most=NAME):
    """Data as text that is safe in HTML and in attributes: ``plain``, and escaped."""
    return html.escape(plain(value, most))


def spelled(character):
    """A character that cannot be seen, as Python writes it."""
    return character.encode("unicode_escape").decode()


def name(value, most=NAME):
    """Such text, whose own direction of writing stays its own."""
    return f"<bdi>{text(value, most) if str(value) else '(empty)'}</bdi>"


def number(value, digits=4):
    """A number to read: so many digits, and words for what is none."""
    if value is None:
        return "–"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "−infinite"
    size = abs(value)
    if size and (size < 1e-4 or size >= 1e7):
        return f"{value:.{digits - 1}e}".replace("-", "−")
    places = max(0, digits - 1 - math.floor(math.log10(size))) if size else 0
    return f"{value:,.{min(places, 8)}f}".replace("-", "−")


def points_of(share):
    """A difference of shares, in percentage points."""
    return f"{100 * share:+.1f}".replace("-", "−") if math.isfinite(share) else "–"


def percent(share):
    """A share as a percentage, with a digit after the point where it is small."""
    if share is None or not math.isfinite(share):
        return "–"
    value = 100 * share
    if 0 < abs(value) < 0.05:
        return "under 0.1\u00a0%"
    return f"{value:.{1 if 0 < abs(value) < 9.95 else 0}f}\u00a0%".replace("-", "−")  # a space where no line ends


def interval(pair, digits=4):
    """An interval, as words."""
    if pair is None or any(map(math.isnan, pair)) or not any(map(math.isfinite, pair)):
        return "–"
    return f"{number(pair[0], digits)} to {number(pair[1], digits)}"


def count(n, what, more=None):
    """So many of something; ``more``: its plural, where that is not made by an s."""
    return f"{n:,} {what if n == 1 else more or what + 's'}"


def table(caption, headings, rows, left=1, rest=()):
    """A table. Cells are HTML; the first of each row heads it, those from ``left`` on are numbers; ``rest``: which rows sum up others."""
    sides = ["" if i < left else ' class="n"' for i in range(len(headings))]
    head = "".join(f'<th scope="col"{side}>{heading}</th>' for heading, side in zip(headings, sides, strict=True))
    lines = []
    for i, row in enumerate(rows):
        cells = "".join(f"<td{side}>{cell}</td>" for cell, side in zip(row[1:], sides[1:], strict=True))
        kind = ' class="rest"' if i in rest else ""
        lines.append(f'<tr{kind}><th scope="row"{sides[0]}>{row[0]}</th>{cells}</tr>')
    body = f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    # what scrolls must be reached by the keyboard, and then has to have a name
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {text(html.unescape(caption), 200)}">{body}</div>'


def details(summary, body):
    """What opens at a click."""
    return f"<details><summary>{summary}</summary>{body}</details>"


def figure(svg, shows, reading, kind="narrow"):
    """A picture with words: what it shows, and how to read it; ``kind`` "beside" has them at its side, where there is room."""
    return f'<figure class="{kind}">{svg}<figcaption><b>{shows}</b> {reading}</figcaption></figure>'


def pair(*parts):
    """Side by side where there is room, else one below the other."""
    return f'<div class="pair">{"".join(parts)}</div>'


def tiles(pairs):
    """Key figures: (what, number, a few words or "")."""
    cells = (f"<div><dt>{what}</dt><dd>{value}{f'<small>{words}</small>' if words else ''}</dd></div>" for what, value, words in pairs)
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def points(sentences):
    """A list of sentences."""
    return f'<ul class="points">{"".join(f"<li>{sentence}</li>" for sentence in sentences)}</ul>' if sentences else ""


def warning(words):
    return f'<p class="warning">{words}</p>'


def page(title, head, sections):
    """The whole document. title is plain text; head and the sections' headings and bodies are HTML."""
    links = "".join(f'<li><a href="#{section.id}">{section.heading}</a></li>' for section in sections)
    contents = f'<nav aria-label="Contents"><ul>{links}</ul></nav>' if len(sections) > 1 else ""
    body = "".join(
        f'<section id="{s.id}" aria-labelledby="{s.id}-h"><h2 id="{s.id}-h">{s.heading}</h2>{s.body}</section>' for s in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{text(title, 200)}</title>
<style>{CSS}</style>
</head>
<body>
<header>{head}{contents}</header>
<main>{body}</main>
<footer>Made by fastloss {text(fl.__version__)}. The costs are exact; the same data gives the same page.</footer>
</body>
</html>
"""
