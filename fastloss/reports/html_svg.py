"""Pictures as inline SVG: scales, axes and the frame they stand in. Sizes are those of a phone; a browser enlarges them."""

import html
import math
import unicodedata

from fastloss.reports.html_page import plain, shortened, text

WIDTH = 360
MOST = 8e307  # what differences may be taken of
LETTER = 6.7  # of the font's 11.5, on average


def length(words):
    """Of words in a picture, near enough: in pixels of the font's 11.5."""
    sizes = {True: 12.5, False: LETTER}
    return sum(10.5 if c in "mwMW@%" else sizes[unicodedata.east_asian_width(c) in "WF" or ord(c) > 0x1F000] for c in words)


def fitted(value, room):
    """Data as text in a picture, no longer than ``room``."""
    words = plain(value)
    while length(words) > room and len(words) > 4:
        words = shortened(words, min(len(words) - 1, max(4, int(len(words) * room / length(words)))))
    return html.escape(words)


def short(value):
    """A number beside a tick."""
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-5:
        mantissa, exponent = f"{value:.3g}".split("e") if "e" in f"{value:.3g}" else f"{value:.2e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    return f"{value:,.10f}".rstrip("0").rstrip(".").replace("-", "−")


def steps(low, high, most=6):
    """Round numbers from low to high, no more than ``most`` + 1, evenly apart."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    if not math.isfinite(rough) or rough < 1e-300:
        return [low, high]
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10, 20) if unit * k >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [i * step if abs(i * step) > step * 1e-9 else 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]


def decades(low, high, most=6):
    """Powers of ten from low to high, no more than ``most`` + 1."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    apart = max(1, -(-(last - first) // most))
    return [10.0**i for i in range(first, last + 1, apart)]


class Scale:
    """From numbers to places: a range of numbers onto one of pixels, evenly or by logarithm; what lies outside goes to the edge."""

    def __init__(self, low, high, start, stop, log=False):
        self.low, self.high = max(low, -MOST), min(high, MOST)
        self.start, self.stop, self.log = start, stop, log

    def __call__(self, value):
        if self.log:
            part = (math.log(max(value, self.low)) - math.log(self.low)) / ((math.log(self.high) - math.log(self.low)) or 1)
        else:
            part = (value - self.low) / ((self.high - self.low) or 1)
        return round(self.start + (self.stop - self.start) * min(1.0, max(0.0, part)), 1)

    def holds(self, value):
        return self.low <= value <= self.high


class Picture:
    """An SVG that grows: ``add`` marks, ``svg()``. It has a title and a description for those who do not see it."""

    def __init__(self, key, title, description, height, width=WIDTH):
        self.key, self.title, self.description, self.height, self.width, self.marks = key, title, description, height, width, []

    def add(self, *marks):
        self.marks += marks

    def rect(self, x, y, width, height, kind, title=""):
        tip = f"<title>{title}</title></rect>" if title else ""
        box = f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{max(0, width):.4g}" height="{max(0, height):.4g}"'
        self.add(f"{box}>{tip}" if tip else f"{box}/>")

    def dot(self, x, y, radius, title=""):
        circle = f'<circle class="dot" cx="{x:g}" cy="{y:g}" r="{radius:.2g}"'
        self.add(f"{circle}><title>{title}</title></circle>" if title else f"{circle}/>")

    def line(self, x1, y1, x2, y2, kind):
        self.add(f'<path class="{kind}" d="M{x1:g} {y1:g}L{x2:g} {y2:g}"/>')

    def path(self, places, kind, close=False):
        if places:
            self.add(f'<path class="{kind}" d="M{"L".join(f"{x:g} {y:g}" for x, y in places)}{"Z" * close}"/>')

    def words(self, x, y, words, anchor="start", kind=""):
        """Words that are HTML already."""
        about = (f' text-anchor="{anchor}"' if anchor != "start" else "") + (f' class="{kind}"' if kind else "")
        self.add(f'<text x="{x:g}" y="{y:g}"{about}>{words}</text>')

    def across(self, scale, ticks, y, top, form=short):
        """The axis of abscissas at height y, its grid up to ``top``. Labels that would meet are left out."""
        self.line(scale.start, y, scale.stop, y, "axis")
        free = -math.inf
        for tick in ticks:
            x, label = scale(tick), form(tick)
            self.line(x, top, x, y, "grid")
            half = length(label) / 2
            place = min(max(x, half), self.width - half - 2)
            if place - half > free:
                self.words(round(place, 1), y + 17, label, "middle")
                free = place + half + 4

    def up(self, scale, ticks, x, right, form=short):
        """The axis of ordinates at x, its grid to ``right``."""
        for tick in ticks:
            y = scale(tick)
            self.line(x, y, right, y, "grid")
            self.words(x - 5, y + 4, form(tick), "end")

    def svg(self):
        key = self.key
        return (
            f'<svg viewBox="0 0 {self.width} {self.height:g}" role="img" aria-labelledby="{key}-t {key}-d">'
            f'<title id="{key}-t">{text(self.title, 200)}</title><desc id="{key}-d">{text(self.description, 400)}</desc>'
            f"{''.join(self.marks)}</svg>"
        )
