"""The HTML reports as a browser shows them: report_desktop.png (light), report_phone.png (dark), and the same of comparison, all in
benchmarks/results.

    python -m benchmarks.report_screenshots                writes them; needs Chromium on PATH (Debian: apt-get install chromium)
    python -m benchmarks.report_screenshots --keep FOLDER  the reports themselves, too

The predictions are simulated, and the same each time: of 240,000 visits of a shop on three days, whether something will be bought, by a
model that is too sure of itself, knows little of one country, and loses its footing on the last day. The comparison is with another, which
is neither too sure nor lost, but knows still less of a small country.
"""

import argparse
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image  # comes with matplotlib

import fastloss as fl
from tests import browser

RESULTS = Path(__file__).resolve().parent / "results"
LIMIT = 150_000  # bytes of a picture
DAYS, VISITS = 3, 80_000
COUNTRIES = {"Germany": 0.30, "France": 0.22, "Poland": 0.14, "Italy": 0.11, "Spain": 0.09, "Norway": 0.06, "Malta": 0.05, "(other)": 0.03}
HARD = {"Poland": 1.1, "Malta": 2.0}  # how far off the model is there
WORSE = "Malta"  # where the other is further off
SHOWN = {"report": (2430, 2480), "comparison": (2300, 2480)}  # pixels from the top of the page, on a desktop and a phone


def write_visits(folder):
    """A file of predictions per day; returns their paths."""
    rng, paths = np.random.default_rng(2026), []
    for day in range(DAYS):
        country = rng.choice(list(COUNTRIES), VISITS, p=list(COUNTRIES.values()))
        known = rng.normal(-1.2, 1.6, VISITS)
        off = np.select([country == name for name in HARD], list(HARD.values()), 0.35)
        late = 1.4 * np.clip((np.arange(VISITS) / VISITS - 0.4) / 0.3, 0, 1) * (day == DAYS - 1)
        bought = rng.random(VISITS) < 1 / (1 + np.exp(-known))
        noise = rng.normal(0, 1, VISITS) * off
        said = 1 / (1 + np.exp(-1.35 * (known + noise + late)))
        other = 1 / (1 + np.exp(-(known + np.where(country == WORSE, 1.6, 0.95) * noise)))
        path = folder / f"visits_2026-03-0{day + 1}.npz"
        columns = {"predicted": said.astype(np.float32), "proposed": other.astype(np.float32), "country": country}
        np.savez(path, bought=bought.astype(np.int8), **columns)
        paths.append(path)
    return paths


def write_reports(folder):
    """The reports on them; returns their paths."""
    visits, asked = write_visits(folder), {"target": "bought", "prediction": "predicted", "by": "country"}
    fl.evaluate_files(visits, "log_loss", report=True, **asked).write_html(folder / "report.html")
    compared = fl.compare_files(visits, None, ["log_loss", "brier"], against="proposed", worst=10, **asked)
    compared.write_html(folder / "comparison.html")
    return [folder / f"{name}.html" for name in SHOWN]


def screenshots(report, folder):
    """{name: bytes written} of the pictures of a report."""
    sizes, heights = {}, SHOWN[report.stem]
    with browser.Browser() as page:
        for name, width, height, dark in (("desktop", 1200, heights[0], False), ("phone", 360, heights[1], True)):
            page.show(report.as_uri(), width, dark=dark)
            # few colours are enough, and make a third of the bytes
            picture = (
                Image.open(io.BytesIO(page.picture(clip=(0, 0, width, height)))).convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE)
            )
            path = folder / f"{report.stem}_{name}.png"
            picture.save(path, optimize=True)
            sizes[path.name] = path.stat().st_size
    return sizes


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report_screenshots", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the reports are written, too")
    given = parser.parse_args(words)
    if browser.found() is None:
        sys.exit("there is no Chromium on PATH (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        for report in write_reports(Path(folder)):
            if given.keep is not None:
                (given.keep / report.name).write_bytes(report.read_bytes())
            for name, size in screenshots(report, RESULTS).items():
                print(f"{name}: {size:,} bytes")
                if size > LIMIT:
                    sys.exit(f"{name} is larger than {LIMIT:,} bytes")


if __name__ == "__main__":
    main()
