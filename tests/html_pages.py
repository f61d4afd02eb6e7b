"""HTML reports as tests read them: parsed, and checked for all that holds for every report."""

import re
from html.parser import HTMLParser

LIMIT = 500_000
VOID = {"meta", "link"}
SVG_EMPTY = {"path", "rect", "circle"}


class Page(HTMLParser):
    """What there is in a page. Parsing fails where tags do not match."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.attributes = [], [], [], []
        self.feed(source)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in SVG_EMPTY, f"<{tag}/>"
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> in {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).replace("\xa0", " ").split())


def checked(source):
    """The Page of a report, of which all that holds for every report has been asserted."""
    assert len(source.encode()) < LIMIT and source.startswith("<!DOCTYPE html>\n<html lang=")
    page = Page(source)
    assert not {"script", "img", "iframe", "object", "embed", "form", "input", "base", "foreignobject", "use", "image"} & set(page.tags)
    for tag, attribute, value in page.attributes:
        assert not attribute.startswith("on"), (tag, attribute)
        if attribute in ("href", "src", "action", "xlink:href", "style"):
            assert attribute == "href" and (value.startswith("#") or value == "data:,"), (tag, attribute, value)
    assert ("link", "href", "data:,") in page.attributes, "without an icon browsers ask the server for one"
    style = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in style and "@import" not in style and "default-src 'none'" in source
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for _, name, value in page.attributes:
        if name == "aria-labelledby":
            assert set(value.split()) <= set(ids)
        if name == "href" and value.startswith("#"):
            assert value[1:] in ids
    assert page.tags.count("svg") == page.tags.count("desc") and page.tags.count("h1") == 1 and "nan" not in geometry(page)
    assert page.tags.count("table") == page.tags.count("caption") > 0 and page.tags.count("figure") == page.tags.count("figcaption")
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    assert {value for tag, name, value in page.attributes if tag == "th" and name == "scope"} == {"col", "row"}
    return page


def geometry(page):
    """All numbers of the pictures."""
    places = ("d", "x", "y", "cx", "cy", "r", "width", "height", "viewbox")
    return " ".join(value for tag, name, value in page.attributes if name in places and tag != "svg")
