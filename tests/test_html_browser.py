"""The HTML report in a real browser: headless Chromium, where there is one."""

import http.server
import threading

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from tests import browser

pytestmark = pytest.mark.skipif(browser.found() is None, reason="no Chromium or Chrome on PATH (Debian: apt-get install chromium)")

PAGES = ("plain", "hostile", "rows", "compared", "compared_hostile")
WIDTHS = {360: "phone", 768: "tablet", 1280: "desk"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Reports: of a sample, of hostile and very long names, of numbers of every size."""
    folder = tmp_path_factory.mktemp("pages")
    sample = "fastloss/samples/breast_cancer.csv"
    fl.evaluate_files(
        sample, ["log_loss", "brier"], target="diagnosis", positive="benign", by="fold", report=True, bootstrap=20
    ).write_html(folder / "plain.html")
    rng, n = np.random.default_rng(0), 3000
    names = [f"<script>document.title='x'</script>{'w' * 300}{i % 40}" for i in range(n)]
    data = {"y": 10.0 ** rng.uniform(-200, 200, n), "<b>p": 10.0 ** rng.uniform(-200, 200, n), "g": names, "h": ["\u202e漢" * 90] * n}
    pl.DataFrame(data).write_parquet(folder / f"{'long' * 40}.parquet")
    found = fl.evaluate_files(folder / f"{'long' * 40}.parquet", ["mae", "smape"], prediction="<b>p", by=["g", "h"], worst=60, report=True)
    found.write_html(folder / "hostile.html")
    iris = fl.evaluate_files(
        "fastloss/samples/iris.csv", ["cross_entropy"], target="species", prediction="logit_*", per_class=True, report=True
    )
    iris.write_html(folder / "rows.html")
    two = [sample, "fastloss/samples/breast_cancer_lda.csv"]
    fl.compare_files(*two, ["log_loss", "brier", "dice"], target="diagnosis", positive="benign", by="fold", bootstrap=20).write_html(
        folder / "compared.html"
    )
    data |= {"<i>q": 10.0 ** rng.uniform(-200, 200, n)}
    pl.DataFrame(data).write_parquet(folder / f"{'long' * 40}.parquet")
    found = fl.compare_files(
        folder / f"{'long' * 40}.parquet", None, ["mae", "smape"], prediction="<b>p", against="<i>q", by=["g", "h"], worst=60
    )
    found.write_html(folder / "compared_hostile.html")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """The pages over HTTP, as a browser would ask for more of them; what it asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}", asked
        made.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def page():
    with browser.Browser() as opened:
        yield opened


def complaints(events):
    """What a browser has to say against a page."""
    kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Network.loadingFailed")
    return [event for event in events if event.get("method") in kinds]


@pytest.mark.parametrize("name", PAGES)
def test_one_request_and_no_complaint(page, server, name):
    address, asked = server
    asked.clear()
    page.show(f"{address}/{name}.html", 1280)
    page.value("new Promise(done => setTimeout(done, 300))")  # time for what comes after the load, as an icon
    assert asked == [f"/{name}.html"] and not complaints(page.events)
    requests = [event["params"]["request"]["url"] for event in page.events if event.get("method") == "Network.requestWillBeSent"]
    assert [url for url in requests if not url.startswith("data:")] == [f"{address}/{name}.html"]
    title = page.value("document.title")
    assert title.endswith(" compared") if name.startswith("compared") else title.startswith("Predictions in ")
    assert page.value("document.scripts.length") == 0


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_screen(page, folder, name, width, dark):
    page.show((folder / f"{name}.html").as_uri(), width, dark=dark)
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value("document.body.scrollWidth") <= width
    out = """[...document.querySelectorAll('h1,h2,h3,p,li,figure,svg,.scroll,dl,summary')].filter(e => {
        const r = e.getBoundingClientRect();
        return r.width && (r.right > innerWidth + 1 || r.left < -1)}).map(e => e.outerHTML.slice(0, 80))"""
    assert page.value(out) == []


CONTRAST = """(() => {
  const rgb = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                       return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; const v = rgb(c);
                      if (v.length < 4 || v[3] > 0) return c } };
  const found = [];
  for (const e of document.querySelectorAll('p,li,td,th,dt,dd,caption,figcaption,h1,h2,h3,a,summary,small,svg text')) {
    const style = getComputedStyle(e), c = e.closest('svg') ? style.fill : style.color, b = back(e);
    const [x, y] = [light(c), light(b)].sort((p, q) => q - p), ratio = (x + 0.05) / (y + 0.05);
    if (ratio < 4.5) found.push([e.tagName, e.textContent.slice(0, 40), c, b, ratio]);
  }
  return found })()"""


@pytest.mark.parametrize("name", ["plain", "compared"])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("media", ["screen", "print"])
def test_text_can_be_read(page, folder, name, dark, media):
    """All text has the contrast that WCAG's level AA asks for, 4.5 : 1; in the dark the page is dark, on paper it is light."""
    page.show((folder / f"{name}.html").as_uri(), 360, dark=dark, media=media)
    assert page.value(CONTRAST) == []
    ground = page.value("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(17, 21, 27)" if dark and media == "screen" else "rgb(255, 255, 255)")


@pytest.mark.parametrize(("name", "pictures"), [("plain", 9), ("compared", 5)])
def test_letters_in_pictures_are_large_enough_on_a_phone(page, folder, name, pictures):
    page.show((folder / f"{name}.html").as_uri(), 360)
    sizes = page.value("[...document.querySelectorAll('svg')].map(e => 11.5 * e.getBoundingClientRect().width / 360)")
    assert len(sizes) == pictures and min(sizes) >= 10


def test_words_in_pictures_do_not_overlap_or_leave_them(page, folder):
    """Axis labels, names and numbers of each picture, in boxes."""
    apart = """[...document.querySelectorAll('svg')].flatMap(svg => {
      const all = [...svg.querySelectorAll('text')].map(e => [e.textContent, e.getBoundingClientRect()]), own = svg.getBoundingClientRect();
      const bad = all.filter(([, r]) => r.left < own.left - 3 || r.right > own.right + 3 || r.bottom > own.bottom + 3).map(([t]) => t);
      all.forEach(([t, a], i) => all.slice(i + 1).forEach(([u, b]) => {
        if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)
          bad.push(t + ' | ' + u) }));
      return bad })"""
    for name in PAGES:
        page.show((folder / f"{name}.html").as_uri(), 1280)
        assert page.value(apart) == [], name


def test_print_shows_all_of_the_tables(page, folder):
    for name in PAGES:
        page.show((folder / f"{name}.html").as_uri(), 650, media="print")  # A4 without its margins
        assert page.value("Math.max(...[...document.querySelectorAll('table,svg,p')].map(e => e.getBoundingClientRect().right))") <= 650, (
            name
        )
    page.show((folder / "plain.html").as_uri(), 650, media="print")
    assert page.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.value("[...document.querySelectorAll('.scroll')].every(e => getComputedStyle(e).overflowX == 'visible')")
    assert page.value("[...document.querySelectorAll('figure')].every(e => getComputedStyle(e).breakInside == 'avoid')")
    assert len(page.call("Page.printToPDF", preferCSSPageSize=True)["data"]) > 20_000


def test_those_who_do_not_see_get_names(page, folder):
    """The browser's own tree for screen readers: pictures, tables and parts have names."""
    page.show((folder / "plain.html").as_uri(), 1280)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {}
    for node in nodes:
        named.setdefault(node.get("role", {}).get("value"), []).append(node.get("name", {}).get("value"))
    for role in ("image", "table", "region", "navigation"):
        assert named.get(role) and all(named[role]), (role, named.get(role))
    assert len(named["image"]) == 9
