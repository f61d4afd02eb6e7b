"""Curves: verdicts on costs by epoch, of made curves whose answer is known and of models that were trained."""

import json
import math

import numpy as np
import pytest

import fastloss as fl
from fastloss.cli import main
from fastloss.evaluation import DataError, SourceError
from fastloss.evaluation.curves.signals import noise, slope, trend

T = np.arange(100.0)
RNG = np.random.default_rng(0)
CONVERGED = np.exp(-T / 8) + 0.1 + 0.002 * RNG.normal(size=100)
FALLING = 2 - T / 100 + 0.05 * RNG.normal(size=100)
OVERFITTED = np.exp(-T / 10) + 0.004 * T + 0.01 * RNG.normal(size=100)
LATE_NAN = np.where(T >= 70, math.nan, CONVERGED)


def only(table, **names):
    (run,) = fl.curves(table, **names).runs
    return run


@pytest.mark.parametrize(("table", "verdict"), [
    ({"loss": CONVERGED}, "converged"), ({"loss": CONVERGED, "val_loss": CONVERGED + 0.1}, "converged"),
    ({"loss": FALLING}, "still falling"), ({"loss": 1 / (1 + T)}, "still falling"), ({"loss": 1 / (1 + T[:12])}, "still falling"),
    ({"loss": CONVERGED, "val_loss": OVERFITTED}, "overfitting"), ({"val_loss": OVERFITTED}, "overfitting"),
    ({"loss": OVERFITTED, "val_loss": OVERFITTED}, "diverging"),
    ({"loss": np.exp(T / 10)}, "diverging"), ({"loss": np.where(T < 50, CONVERGED, 30)}, "diverging"),
    ({"loss": LATE_NAN}, "not finite"), ({"loss": CONVERGED, "val_loss": LATE_NAN}, "not finite"), ({"loss": [math.nan] * 9}, "not finite"),
    ({"loss": [1.0, math.inf, 0.5, 0.4, 0.3, 0.2, 0.1]}, "not finite"),
    ({"loss": RNG.normal(size=1000)}, "flat"), ({"loss": np.ones(20)}, "flat"),
    ({"loss": [3, 2, 1]}, "short"), ({"loss": [3.0]}, "short"), ({"loss": FALLING, "val_loss": [3, 2] + [None] * 98}, "still falling"),
])  # fmt: skip
def test_verdicts(table, verdict):
    assert only(table).verdict == verdict


def test_costs_are_told_to_six_digits():
    rising = [100, 500, 900, 1500.25, 2500.5, 3900, 3955.55, 3990]
    run = only({"loss": rising, "val_loss": [*rising[:-2], 14_955.25, 15_000]})
    text = " ".join(run.because)
    assert "ends at 3955.55 (median of the last 3), above its start 100" in text
    assert "gap (validation - training): 10999.7 at the end" in text


@pytest.mark.parametrize("scale, shift", [(1.0, 0.0), (1e-12, 0.0), (1e6, -5e7), (3.0, 1e4)])
def test_nothing_hangs_on_the_unit_or_the_zero(scale, shift):
    for train, validation in ((CONVERGED, OVERFITTED), (FALLING, FALLING + 1), (CONVERGED, CONVERGED * 1.5)):
        plain = only({"loss": train, "val_loss": validation})
        moved = only({"loss": scale * train + shift, "val_loss": scale * validation + shift})
        assert (moved.verdict, moved.best_at) == (plain.verdict, plain.best_at)
        assert moved.gap == pytest.approx(scale * plain.gap, rel=1e-6)


def test_the_numbers_of_a_curve():
    run = only({"epoch": T + 1, "loss": CONVERGED, "val_loss": OVERFITTED})
    best = int(OVERFITTED.argmin())
    assert (run.best_at, run.best) == (best + 1, OVERFITTED[best]) and run.validation.good_from <= run.best_at
    assert run.gap == pytest.approx(np.median(OVERFITTED[-5:]) - np.median(CONVERGED[-5:]))
    assert run.gap_at_best == pytest.approx(OVERFITTED[best] - CONVERGED[best])
    assert run.validation.noise == pytest.approx(0.01, rel=0.5) and run.train.noise == pytest.approx(0.002, rel=0.5)
    assert run.validation.slope == pytest.approx(0.004, rel=0.2) and run.validation.z > 5
    assert run.train.tail == 34 and 30 < run.train.settled_at < 70
    assert f"its best at epoch {best + 1}" in run.because[0]
    lost = only({"epoch": T, "loss": LATE_NAN}).train
    assert (lost.not_finite, lost.not_finite_from, lost.n, lost.last) == (30, 70, 70, CONVERGED[69])


def test_signals_are_those_of_the_books():
    from scipy.stats import kendalltau, theilslopes

    y = np.round(RNG.normal(size=60).cumsum(), 1)  # with ties
    x = np.arange(60.0)
    assert slope(x, y) == pytest.approx(theilslopes(y, x)[0])
    assert math.copysign(1, trend(y)) == math.copysign(1, kendalltau(x, y).statistic)
    assert trend(np.arange(10.0)) == pytest.approx((45 - 1) / math.sqrt(10 * 9 * 25 / 18))
    assert trend([1.0, 1.0, 1.0]) == trend([1.0]) == slope(x[:1], y[:1]) == 0
    assert noise(3 * x + 1) == pytest.approx(0, abs=1e-12)
    assert noise(np.sin(x / 20) + 0.1 * RNG.normal(size=60)) == pytest.approx(0.1, rel=0.4)
    long = RNG.normal(size=50_000)
    assert abs(trend(long)) < 4 and abs(slope(np.arange(50_000.0), long)) < 1e-5


def test_the_trend_is_rarely_chance():
    """Of curves of noise alone, 1 in 100 or fewer is said to fall, rise or overfit."""
    rng = np.random.default_rng(1)
    found = [only({"loss": rng.normal(size=60)}).verdict for _ in range(300)]
    assert sum(verdict != "flat" for verdict in found) <= 9


def test_boosting_that_overfits_and_that_does_not_yet():
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.model_selection import train_test_split

    x, y = load_diabetes(return_X_y=True)
    seen, unseen, y_seen, y_unseen = train_test_split(x, y, random_state=0)

    def costs(**options):
        model = GradientBoostingRegressor(random_state=0, **options).fit(seen, y_seen)
        return {name: [fl.mse(target, p) for p in model.staged_predict(data)]
                for name, data, target in (("train_loss", seen, y_seen), ("val_loss", unseen, y_unseen))}  # fmt: skip

    run = only(costs(n_estimators=150))
    assert run.verdict == "overfitting" and 5 < run.best_at < 40 and run.gap > run.gap_at_best > 0
    assert only(costs(n_estimators=60, learning_rate=0.01)).verdict == "still falling"


def test_a_learning_rate_that_is_too_large_diverges():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(200, 5))
    y = x @ np.arange(5.0)

    def costs(rate):
        theta, found = np.zeros(5), []
        for _ in range(60):
            cost, gradient = fl.SquaredError().cost_gradient(y, x @ theta)
            theta -= rate * (x.T @ gradient)
            found.append(cost)
        return {"cost": found}

    assert only(costs(1.2)).verdict == "diverging"
    assert only(costs(0.2)).verdict == "converged"
    with np.errstate(all="ignore"):
        assert only({"loss": 10.0 ** np.arange(300, 330.0)}).verdict == "not finite"


def test_runs_by_column_and_by_file(tmp_path):
    table = {"fold": ["a"] * 100 + ["b"] * 100, "loss": [*CONVERGED, *FALLING], "epoch": [*T, *T]}
    found = fl.curves(table)
    assert [(run.run, run.verdict) for run in found.runs] == [("a", "converged"), ("b", "still falling")]
    assert found.best.run == "a" and found.columns == {"train": "loss", "validation": None, "step": "epoch", "run": "fold"}
    for name, costs in (("1", CONVERGED), ("2", FALLING)):
        (tmp_path / f"{name}.csv").write_text("loss\n" + "\n".join(map(repr, costs.tolist())) + "\n")
    found = fl.curves(str(tmp_path / "*.csv"))
    assert [run.verdict for run in found.runs] == ["converged", "still falling"] and found.runs[0].run == str(tmp_path / "1.csv")


def test_a_resumed_run_counts_its_last_points_and_says_so():
    found = fl.curves({"epoch": [0, 1, 2, 1, 2, 3, 4, 5, 6], "loss": [9.0, 5, 7, 4, 3, 2.5, 2.25, 2.125, 2.0625]}, step="epoch")
    assert found.runs[0].points == ((0, 1, 2, 3, 4, 5, 6), (9, 4, 3, 2.5, 2.25, 2.125, 2.0625))
    assert any("2 points have a step that comes again" in note for note in found.notes)


def test_steps_in_any_order_with_gaps():
    steps = RNG.permutation(100)
    run = only({"step": steps * 7.0, "loss": CONVERGED[steps]})
    assert run.points[1] == tuple(CONVERGED) and run.best_at == 7 * CONVERGED.argmin()


@pytest.mark.parametrize(("table", "names", "error", "message"), [
    ({"a": [1, 2], "b": [3, 4]}, {}, SourceError, "no column looks like a cost"),
    ({"loss": [1, 2]}, {"train": "los"}, SourceError, "no column 'los' for `train`; it has loss"),
    ({"loss": [1, 2]}, {"train": "loss", "validation": "loss"}, SourceError, "the same column"),
    ({"loss": [1, "bad"]}, {"train": "loss"}, DataError, "column 'loss' must hold numbers, got 'bad'"),
    ({"loss": [True, False]}, {"train": "loss"}, DataError, "must hold numbers, got True"),
    ({"loss": []}, {}, DataError, "no rows"), ({}, {}, DataError, "must hold lists by name"),
    ({"loss": [None, None]}, {"train": "loss"}, DataError, "there is no cost"),
    ({"loss": [1, 2], "epoch": [None, 1]}, {"step": "epoch"}, DataError, "must count the steps"),
    ({"loss": 3}, {}, DataError, "no list of numbers"),
])  # fmt: skip
def test_what_cannot_be_judged(table, names, error, message):
    with pytest.raises(error, match=message):
        fl.curves(table, **names)


def test_tables_of_other_kinds():
    import polars as pl

    expected = only({"loss": CONVERGED.tolist()})
    assert only(pl.DataFrame({"loss": CONVERGED})) == expected
    assert only([{"loss": cost} for cost in CONVERGED.tolist()]) == expected
    assert only({"loss": [10**400, *CONVERGED]}).train.not_finite == 1
    with pytest.raises(TypeError, match="`table` must be a path"):
        fl.curves(3)


def command(capsys, *words):
    code = main(["curves", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command(capsys, tmp_path):
    path = tmp_path / "log.csv"
    rows = zip(T.tolist(), CONVERGED.tolist(), OVERFITTED.tolist(), strict=True)
    path.write_text("epoch,loss,val_loss\n" + "".join(f"{t:g},{a!r},{b!r}\n" for t, a, b in rows))
    code, out, err = command(capsys, path)
    heading, line, _, because, *_ = out.splitlines()
    assert code == 0 and line.startswith("overfitting") and because.startswith("validation rose by")
    assert heading.split()[:3] == ["verdict", "best", "epoch"] and str(int(OVERFITTED.argmin())) in line.split()
    assert err == f"note: {path}: training 'loss' and validation 'val_loss' were taken by name\n"
    code, out, err = command(capsys, path, "--json", "-q")
    document = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    (run,) = document["runs"]
    assert (code, err, document["schema"], run["verdict"], run["best"]) == (0, "", 1, "overfitting", OVERFITTED.min())
    assert run["train"]["column"] == "loss" and run["validation"]["z"] > 2.58
    path.write_text("loss\nnan\n" + "1\n" * 9)
    code, out, _ = command(capsys, path, "--json")
    assert code == 0 and json.loads(out)["runs"][0]["train"]["not_finite"] == 1


@pytest.mark.parametrize(("text", "name", "words", "code", "message"), [
    ("", "a.csv", [], 3, "the log is empty"), ("loss\n", "a.csv", [], 3, "no rows"), ("loss\n1\n", "a.xml", [], 2, "unknown kind of log"),
    ("loss\nx\n", "a.csv", ["--train", "loss"], 3, "row 0: column 'loss' must hold numbers, got 'x'"),
    ("name\nx\n", "a.csv", [], 2, "no column looks like a cost"), ("{", "a.json", [], 3, "not JSON"),
    ('{"loss": 1}\n[2]\n{"loss": 3}\n', "a.jsonl", [], 3, "line 2 must be an object"), ("[" * 100_000, "a.json", [], 3, "not JSON"),
    ("loss,loss\n1,2\n", "a.csv", [], 3, "two columns are named 'loss'"), ("loss\n1,2\n", "a.csv", [], 3, "2 fields, and the header 1"),
    ("3", "a.json", [], 3, "must hold lists by name"), ('{"loss": "abc"}', "a.json", [], 3, "no list of numbers"),
])  # fmt: skip
def test_bad_logs(capsys, tmp_path, text, name, words, code, message):
    (tmp_path / name).write_text(text)
    found, out, err = command(capsys, tmp_path / name, *words)
    assert (found, out) == (code, "") and message in err and err.startswith("Error: ")


def test_no_file_and_no_text(capsys, tmp_path):
    assert command(capsys, tmp_path / "none.csv")[0] == 2
    assert command(capsys, tmp_path)[0] == 2
    assert command(capsys)[0] == 2
    (tmp_path / "b.csv").write_bytes(b"loss\n\xff\xfe\n")
    assert command(capsys, tmp_path / "b.csv")[0] == 3
