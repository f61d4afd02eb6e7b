"""Weights in suggestions: what they change (balance, tails, residuals) is what repeated rows would, and what they do not change stays."""

import json
import math
import sys

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main
from fastloss.evaluation import DataError, SourceError
from fastloss.evaluation.suggest import BY_WEIGHT, made
from tests.test_suggest import CASES, LABELS, RNG, B, N, Y, Z, plain

W = RNG.choice([0, 1, 2, 4], N)  # whose products are exact
TAILS = ("weight", "far_share", "carried", "covered", "iqr", "median", "sigma")


def unweighted(found):
    """All but what weights add, and the wording of shares."""
    facts = {name: {key: value for key, value in part.items() if key != "weighted"} for name, part in found["facts"].items()}
    text = json.dumps({**found, "facts": facts, "notes": ()}, default=str)
    return text.replace("of the weight", "of the rows")


@pytest.mark.parametrize("name", CASES)
def test_equal_weights_change_nothing(name):
    target, prediction, *_ = CASES[name]
    found = plain(fl.suggest(target, prediction, sample_weight=np.full(N, 0.25)))
    assert found["notes"] == (BY_WEIGHT,) and unweighted(found) == unweighted(plain(fl.suggest(target, prediction)))


@pytest.mark.parametrize("name", ["t3", "normal", "outliers", "a quantile", "probabilities", "rare", "counts", "class logits", "bools"])
def test_whole_weights_are_repeated_rows(name):
    target, prediction, *_ = CASES[name]
    found = fl.suggest(target, prediction, sample_weight=W)
    many = fl.suggest(np.repeat(target, W), np.repeat(prediction, W, axis=0))
    for part in ("target", "residual"):
        if part in found.facts and found.facts[part].get("weighted"):
            mine, theirs = found.facts[part]["weighted"], many.facts[part]
            assert [mine[key] for key in ("min", "max", "mean", "std", "quantiles")] == [
                theirs[key] for key in ("min", "max", "mean", "std", "quantiles")
            ]
            assert mine["n"] == np.count_nonzero(W) and mine["n_effective"] == pytest.approx(W.sum() ** 2 / (W**2).sum(), rel=1e-14)
    if "tails" in found.facts:
        assert [found.facts["tails"][key] for key in TAILS] == [many.facts["tails"][key] for key in TAILS]
    rarer = [one.evidence.get("rarer_class") for one in (found.recommended[0], many.recommended[0])]
    assert rarer[0] == pytest.approx(rarer[1], rel=1e-14) if rarer[0] is not None else rarer[1] is None


def test_weights_decide_what_is_rare_and_what_is_heavy():
    weights = np.where(LABELS == 1, 0.01, 1.0)
    found = fl.suggest(LABELS, B, sample_weight=weights)
    share = weights[LABELS == 1].sum() / weights.sum()
    assert any(f"the rarer has {share:.3%} of the weight" in one.text for one in found.warnings)
    assert "focal_probability" in found.losses and "focal_probability" not in fl.suggest(LABELS, B).losses
    classes = RNG.integers(0, 12, N)
    text = [one.text for one in fl.suggest(classes, Z, sample_weight=np.where(classes == 3, 1e-3, 1.0)).warnings]
    assert any("the rarest has" in one and "of the weight" in one for one in text)
    target, prediction, *_ = CASES["outliers"]
    ordinary = np.arange(N) % 300 != 0
    assert fl.suggest(target, prediction, sample_weight=ordinary).losses[0] == "squared_error"
    assert fl.suggest(target, prediction).losses[0] == "absolute_error"


def test_few_heavy_rows_prove_little():
    """The chance of a heavy tail is that of as many rows as weigh alike."""
    e = RNG.laplace(size=N)
    few = np.where(np.arange(N) < 20, 1.0, 1e-9)
    assert fl.suggest(Y, Y + e).facts["tails"]["level"] == "heavy"
    found = fl.suggest(Y, Y + e, sample_weight=few).facts
    assert found["residual"]["weighted"]["n_effective"] == pytest.approx(20, rel=1e-4)
    limit = 1 + 3 * 1.33 / math.sqrt(found["residual"]["weighted"]["n_effective"])
    assert (found["tails"]["level"] == "light") == (found["tails"]["weight"] < limit and found["tails"]["carried"] < 0.2)


def test_what_cannot_be_computed_is_of_all_rows():
    """A row of weight 0 outside a domain is refused by the loss, and so is warned of."""
    prediction, weights = B.copy(), np.ones(N)
    prediction[7], weights[7] = 1.5, 0.0
    with pytest.raises(fl.InputError):
        fl.log_loss(LABELS, prediction, sample_weight=weights)
    found = fl.suggest(LABELS, prediction, "log_loss", sample_weight=weights)
    assert any("1 of 2000 are above 1" in one.text for one in found.warnings) and found.facts["prediction"]["max"] == 1.5


@pytest.mark.parametrize("name", ["t3", "probabilities", "class logits", "counts"])
def test_chunks_and_merging_leave_no_trace(name):
    target, prediction, *_ = CASES[name]
    weights = RNG.random(N)
    expected = plain(fl.suggest(target, prediction, sample_weight=weights))
    kind = fl.RowProfile if np.ndim(prediction) == 2 else fl.Profile
    parts = [kind().update(target[i : i + 97], prediction[i : i + 97], weights[i : i + 97]) for i in range(0, N, 97)]
    whole = parts.pop()
    while parts:
        whole = parts.pop(0).merge(whole)
    assert plain(made(whole, [])) == expected
    with pytest.raises(ValueError, match="some rows of a profile have weights"):
        whole.merge(kind().update(target[:5], prediction[:5]))
    with pytest.raises(ValueError, match="some rows of a profile have weights"):
        whole.update(target[:5], prediction[:5])


@pytest.mark.parametrize(("weights", "error", "message"), [
    ([1.0] * 3, ValueError, "must be 2000 numbers"), (["a"] * N, ValueError, "must be 2000 numbers"), (np.zeros(N), ValueError, "are 0"),
    (np.where(np.arange(N) == 5, -1, 1), fl.InputError, "`sample_weight` must be finite and >= 0, got -1.0 at index 5"),
    (np.where(np.arange(N) == 5, np.nan, 1), fl.InputError, "got nan at index 5"), (np.full(N, np.inf), fl.InputError, "got inf"),
])  # fmt: skip
def test_what_is_refused(weights, error, message):
    for prediction in (B, Z):
        with pytest.raises(error, match=message):
            fl.suggest(LABELS, prediction, sample_weight=weights)


def test_a_bad_weight_of_a_later_chunk_keeps_its_index(monkeypatch):
    monkeypatch.setattr(sys.modules["fastloss.evaluation.suggest"], "CHUNK_ROWS", 7)
    with pytest.raises(fl.InputError, match="at index 100"):
        fl.suggest(LABELS, B, sample_weight=np.where(np.arange(N) == 100, -1, 1))


def test_huge_and_tiny_weights():
    for scale in (1e308, 1e-308, 5e-324):
        found = fl.suggest(Y, Y + RNG.normal(size=N), sample_weight=np.full(N, scale)).facts
        assert 0 < found["tails"]["covered"] < 1 and found["tails"]["weight"] == pytest.approx(1, rel=0.15)


def test_files(tmp_path, capsys):
    words = np.where(LABELS == 1, "yes", "no")
    table = pl.DataFrame({"y": LABELS, "label": words, "p": B, "w": W / 4, **{f"z_{i}": Z[:, i] for i in range(12)}})
    table = table.with_columns(c=pl.Series(RNG.integers(0, 12, N)))
    table.write_parquet(tmp_path / "t.parquet", row_group_size=300)
    table.write_csv(tmp_path / "t.csv")
    asked = [("y", "p", (LABELS, B)), ("label", "p", (words, B)), ("c", "z_*", (table["c"].to_numpy(), Z))]
    for name in ("t.parquet", "t.csv"):
        for rows in (77, 10_000):
            for target, prediction, arrays in asked:
                found = fl.suggest_files(tmp_path / name, target=target, prediction=prediction, weight="w", chunk_rows=rows)
                expected = fl.suggest(*arrays, sample_weight=W / 4)
                assert (found.facts, found.recommended, found.warnings) == (expected.facts, expected.recommended, expected.warnings)
                assert found.columns == {"target": target, "prediction": prediction, "weight": "w"} and BY_WEIGHT in found.notes
    assert main(["suggest", str(tmp_path / "t.csv"), "-w", "w", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["residual"]["weighted"]["n"] == np.count_nonzero(W)
    with pytest.raises(SourceError, match="no column 'v'"):
        fl.suggest_files(tmp_path / "t.csv", weight="v")
    for text, error in (("y,p,w\n1,0.5,1\n0,0.5,-2\n", "row 1: column 'w' must be finite and >= 0, got -2.0"),
                        ("y,p,w\n1,0.5,1\n0,0.5,\n", "row 1: column 'w' must be finite and >= 0, and is missing"),
                        ("y,p,w\n1,0.5,0\n", "all weights are 0")):  # fmt: skip
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(DataError, match=error):
            fl.suggest_files(tmp_path / "bad.csv", weight="w")
        assert main(["suggest", str(tmp_path / "bad.csv"), "--weight", "w"]) == 3


@pytest.mark.parametrize("heavy", [1e300, 1e160, 1e-160])
def test_one_weight_far_above_the_others(heavy):
    """Squares of weights beyond the range of float64 are no reason to end with an OverflowError."""
    weights = np.r_[heavy, np.full(N - 1, heavy * 1e-3)]
    found = fl.suggest(Y, Y + RNG.normal(size=N), sample_weight=weights).facts
    assert 1 <= found["residual"]["weighted"]["n_effective"] <= N
    assert fl.suggest(LABELS, B, sample_weight=np.r_[heavy, np.ones(N - 1)]).losses
