"""Suggestions: what is recommended can be computed, what cannot be computed is warned of, and every sign is found in data that has it."""

import dataclasses
import math

import numpy as np
import pytest

import fastloss as fl
from fastloss.evaluation.advice import facts_of, misfits
from fastloss.evaluation.advice.misfits import USUAL
from fastloss.evaluation.advice.recommend import REASONS
from fastloss.evaluation.advice.tails import NOISE
from fastloss.losses import definitions, find

RNG = np.random.default_rng(0)
N = 2000
B = RNG.random(N)
LABELS = (RNG.random(N) < B).astype(int)
LOGITS = np.log(B / (1 - B))
Y = RNG.normal(size=N)
COUNTS = RNG.poisson(2, N)
AMOUNTS = np.exp(2 * RNG.normal(size=N))
Z = RNG.normal(size=(N, 12))
CLASSES = RNG.integers(0, 12, N)
PROBABILITIES = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)


def residuals(draw):
    return Y, Y + 0.1 * draw


CASES = {  # name: (target, prediction, task, scores, the first recommended)
    "probabilities": (LABELS, B, "binary", "probability", "log_loss"),
    "bools": (LABELS == 1, B.astype(np.float32), "binary", "probability", "log_loss"),
    "certain and wrong": (LABELS, np.where(B < 0.3, 0.0, B), "binary", "probability", "brier"),
    "logits": (LABELS, LOGITS, "binary", "logit", "logistic"),
    "signs": (2 * LABELS - 1, LOGITS, "binary", "logit", "soft_margin"),
    "percentages": (LABELS, 100 * B, "binary", "percent", "log_loss"),
    "decisions": (LABELS, (B > 0.5).astype(int), "binary", "hard", "zero_one:threshold=0.5"),
    "1 and 2": (LABELS + 1, B, "binary", "probability", "log_loss"),
    "rare": (np.arange(N) % 50 == 0, B, "binary", "probability", "log_loss"),
    "soft labels": (B, 0.9 * B + 0.05, "proportion", "probability", "log_loss"),
    "soft labels, certain and wrong": (B, np.clip(B + 0.05, 0, 1), "proportion", "probability", "absolute_error"),
    "normal": (*residuals(RNG.normal(size=N)), "regression", None, "squared_error"),
    "uniform": (*residuals(RNG.random(N) - 0.5), "regression", None, "squared_error"),
    "t3": (*residuals(RNG.standard_t(3, N)), "regression", None, "huber"),
    "cauchy": (*residuals(RNG.standard_cauchy(N)), "regression", None, "absolute_error"),
    "outliers": (*residuals(np.where(np.arange(N) % 300 == 0, 90, 1) * RNG.normal(size=N)), "regression", None, "absolute_error"),
    "a quantile": (Y, np.full(N, 1.2816) + 1e-3 * RNG.normal(size=N), "regression", None, "pinball"),
    "exact": (Y, Y, "regression", None, "absolute_error"),
    "counts": (COUNTS, np.exp(RNG.normal(0.7, 0.1, N)), "counts", "mean", "poisson_deviance"),
    "log counts": (COUNTS, RNG.normal(0.7, 0.1, N), "counts", "log", "poisson_loss"),
    "log counts, large": (COUNTS + 50 * (COUNTS > 1), RNG.normal(3.5, 0.1, N), "counts", "log", "poisson_loss"),
    "counts below 0": (COUNTS, RNG.normal(2, 1.5, N), "counts", "mean", "squared_error"),
    "amounts": (AMOUNTS, AMOUNTS * np.exp(RNG.normal(size=N)), "amounts", None, "gamma_deviance"),
    "amounts and zeros": (AMOUNTS * LABELS, AMOUNTS, "amounts", None, "tweedie_deviance:power=1.5"),
    "class probabilities": (CLASSES, PROBABILITIES, "multiclass", "probability", "multiclass_log_loss"),
    "class probabilities, float32": (CLASSES, PROBABILITIES.astype(np.float32), "multiclass", "probability", "multiclass_log_loss"),
    "class logits": (CLASSES, Z, "multiclass", "logit", "softmax_cross_entropy"),
    "log-probabilities": (CLASSES, np.log(PROBABILITIES), "multiclass", "log-probability", "negative_log_likelihood"),
    "sigmoids": (CLASSES, 1 / (1 + np.exp(-Z)), "multiclass", "unnormalised", "multiclass_log_loss:normalize=true"),
    "distributions": (PROBABILITIES, PROBABILITIES[::-1], "distributions", "probability", "kl_divergence"),
    "distributions and logits": (PROBABILITIES, Z, "distributions", "logit", "soft_label_cross_entropy"),
    "one-hot": (np.eye(12)[CLASSES], PROBABILITIES, "one-hot", "probability", "multiclass_log_loss"),
    "many labels": ((Z > 1).astype(int), Z[::-1], "multilabel", "logit", "multilabel_logistic"),
    "many labels, sigmoids": ((Z > 1).astype(int), 1 / (1 + np.exp(-Z)), "multilabel", "unnormalised", "log_loss"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_task_and_first_choice(name):
    target, prediction, task, scores, first = CASES[name]
    found = fl.suggest(target, prediction)
    assert (found.task, found.scores, found.rows) == (task, scores, N)
    assert found.losses[0].partition(":")[0] == first.partition(":")[0] and found.losses[0].startswith(first)


def test_every_name_is_in_the_registry():
    for name in (*REASONS, *(name for names in USUAL.values() for name in names)):
        assert find(name).name == name, name
    found = {loss.partition(":")[0] for target, prediction, *_ in CASES.values() for loss in fl.suggest(target, prediction).losses}
    assert found <= set(REASONS) and len(found) > 20


@pytest.mark.parametrize("name", CASES)
def test_what_is_recommended_can_be_computed(name):
    target, prediction, *_ = CASES[name]
    found = fl.suggest(target, prediction).recommended
    assert found and all(one.reason and one.because and one.evidence for one in found)
    for one in found:
        loss = fl.get(one.loss)
        if not one.how or one.how.startswith("if"):
            assert math.isfinite(loss(target, prediction)) or "certain and wrong" in one.because + name, one.loss
    assert len({one.loss for one in found}) == len(found)


def profile_of(target, prediction):
    rows = np.ndim(prediction) == 2
    return (fl.RowProfile(np.ndim(target) == 2) if rows else fl.Profile()).update(np.asarray(target), np.asarray(prediction))


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_computed_is_warned_of(name):
    """Every loss of the registry that refuses the data has a misfit."""
    target, prediction, *_ = CASES[name]
    facts, refused = facts_of(profile_of(target, prediction)), []
    for definition in definitions():
        try:
            fl.get(definition.name)(target, prediction)
        except (fl.InputError, ValueError, TypeError):
            refused.append(definition.name)
    assert refused
    assert [loss for loss in refused if not misfits(loss, facts)] == []


@pytest.mark.parametrize(("name", "loss", "message", "remedy"), [
    ("probabilities", "hinge", "takes a target that is -1 or 1 (or bool), and there is 0", "positive=1"),
    ("logits", "log_loss", "takes a prediction that is in [0, 1]", "use logistic"),
    ("probabilities", "logistic", "as probabilities do", "use log_loss"), ("bools", "hinge", "as probabilities do", "use log_loss"),
    ("percentages", "log_loss", "are above 1", "divide them by 100"), ("percentages", "brier", "are above 1", "divide them by 100"),
    ("certain and wrong", "log_loss", "is infinite", "brier is bounded"), ("logits", "mse", "which are no probabilities", "logistic"),
    ("t3", "mse", "is decided by few rows", "huber"), ("outliers", "rmse", "is decided by few rows", "--worst"),
    ("counts", "mape", "targets are 0", "symmetric"), ("counts below 0", "poisson_deviance", "are below 0", "logarithm"),
    ("amounts", "poisson_deviance", "are no whole numbers", ""), ("counts", "poisson_loss", "look like means", "poisson_deviance"),
    ("normal", "poisson_deviance", "takes a target that is >= 0", ""), ("amounts and zeros", "gamma_deviance", "are 0", ""),
    ("sigmoids", "multiclass_log_loss", "2000 of 2000 rows do not sum to 1", "normalise"),
    ("class logits", "multiclass_brier", "scores are negative", "softmax_cross_entropy"),
    ("class probabilities", "cross_entropy", "softmax would be applied to probabilities", "multiclass_log_loss"),
    ("class probabilities", "nll", "takes log-probabilities", "multiclass_log_loss"), ("class logits", "nll", "do not sum to 1", "softmax"),
    ("log-probabilities", "multiclass_log_loss", "scores are negative", "use nll"), ("class logits", "mse", "takes one prediction", ""),
    ("normal", "cross_entropy", "takes a row of C scores", ""), ("one-hot", "cross_entropy", "takes one label per row", "labels"),
])  # fmt: skip
def test_a_loss_that_does_not_fit(name, loss, message, remedy):
    target, prediction, *_ = CASES[name]
    found = [misfit for misfit in fl.suggest(target, prediction, loss).warnings if misfit.about == find(loss).name]
    assert any(message in misfit.text and remedy in misfit.remedy for misfit in found), found


@pytest.mark.parametrize("name", ["probabilities", "normal", "uniform", "class probabilities", "counts", "logits"])
def test_no_warning_of_what_fits(name):
    target, prediction, *_ = CASES[name]
    first = fl.suggest(target, prediction).losses[0]
    assert fl.suggest(target, prediction, first).warnings == ()


@pytest.mark.parametrize(("name", "loss", "mended"), [
    ("certain and wrong", "log_loss", "log_loss:clip=sklearn"),
    ("sigmoids", "multiclass_log_loss", "multiclass_log_loss:normalize=true"),
])  # fmt: skip
def test_parameters_mend(name, loss, mended):
    target, prediction, *_ = CASES[name]
    assert fl.suggest(target, prediction, loss).warnings and not fl.suggest(target, prediction, mended).warnings
    assert math.isfinite(fl.get(mended)(target, prediction))


@pytest.mark.parametrize(("target", "prediction", "message"), [
    (LABELS, np.full(N, 0.5), "all predictions are 0.5"), (B, LABELS, "swapped"), (LOGITS, 2 * LABELS - 1, "swapped"),
    (np.where(B < 0.1, np.nan, Y), Y, "values are NaN"), (Y, np.where(B < 0.1, np.inf, Y), "values are infinite"),
    (np.arange(N) % 50 == 0, B, "the rarer has 2.000%"), (np.ones(N), B, "one class alone"), (np.full(N, 7.0), Y, "all targets are 7"),
    (LABELS, 1 - B, "is below that of the negative"), (Y, Y[::-1], "times the target's variance"),
    (CLASSES + 1, Z, "they count from 1"), (CLASSES - 1, Z, "labels are not classes 0 to 11"),
    (PROBABILITIES.argmin(1), PROBABILITIES, "less than chance"), (COUNTS % 3, COUNTS[::-1] % 3, "one number per row"),
    (np.array(["a", "b", "c", "d"])[CLASSES % 4], Y, "the target has 4 labels"), (np.full(9, np.nan), np.ones(9), "no row"),
    (CLASSES, np.where(Z > 3, np.nan, Z), "hold a missing, NaN or infinite score"), (Y, Y + 5 * np.abs(Y) + 1, "it is biased"),
])  # fmt: skip
def test_oddities(target, prediction, message):
    found = fl.suggest(target, prediction).warnings
    text = [f"{misfit.text}; {misfit.remedy}" for misfit in found if misfit.about in ("target", "prediction", "data")]
    assert any(message in line for line in text), text


def test_text_labels_name_the_positive_one():
    words = np.where(LABELS == 1, "yes", "no")
    found = fl.suggest(words, B)
    mean = B[LABELS == 1].mean()
    assert (found.task, found.labels, found.losses[0]) == ("binary", "text", "log_loss")
    assert f"--positive yes): the mean prediction there is {mean:.4g}" in found.recommended[0].how
    assert any("name the positive label" in misfit.remedy for misfit in found.warnings)


def test_objects_are_numbers_or_text_and_none_is_missing():
    assert plain(fl.suggest(np.array([0, 1, None, 1], object), B[:4])) == plain(fl.suggest([0, 1, np.nan, 1], B[:4]))
    found = fl.suggest(np.array(["a", "b", None, "b", np.nan], object), B[:5])
    assert found.labels == "text" and found.facts["target"]["n_null"] == 2
    assert [value["value"] for value in found.facts["target"]["values"]] == ["a", "b"]
    with pytest.raises(TypeError, match="`target` must be an array of numbers"):
        fl.suggest(np.array([{}, []], object), [1, 2])


def test_whole_predictions_of_few_whole_targets_may_be_counts():
    found = fl.suggest(COUNTS % 5, np.arange(N) % 4)
    assert found.task == "classes" and "if they are counts" in found.recommended[0].how


@pytest.mark.parametrize(("draw", "weight", "level"), [
    ("normal", 1.0, "light"), ("uniform", 0.65, "light"), ("laplace", 1.49, "heavy"), ("t3", 1.43, "heavy"), ("t2", 1.81, "very heavy"),
    ("cauchy", 4.37, "very heavy"),
])  # fmt: skip
def test_tail_weight_is_that_of_the_books(draw, weight, level):
    rng, n = np.random.default_rng(1), 400_000
    e = {"normal": rng.normal(size=n), "uniform": rng.random(n) - 0.5, "laplace": rng.laplace(size=n), "t3": rng.standard_t(3, n),
         "t2": rng.standard_t(2, n), "cauchy": rng.standard_cauchy(n)}[draw]  # fmt: skip
    tails = fl.suggest(np.zeros(n) + rng.normal(size=n) * 1e-9, e).facts["tails"]
    assert tails["weight"] == pytest.approx(weight, rel=0.02) and tails["level"] == level
    quartiles = np.quantile(e, [0.25, 0.75])
    assert tails["sigma"] == pytest.approx(np.diff(quartiles)[0] / 1.349, rel=0.02)
    fence = 3 * np.diff(quartiles)[0]
    assert tails["far_share"] == pytest.approx(np.mean((e < quartiles[0] - fence) | (e > quartiles[1] + fence)), rel=0.05, abs=1e-5)


def test_the_chance_of_the_tail_weight():
    """NOISE / sqrt(n) is its standard error for normal residuals, so that hardly any small sample is called heavy by chance."""
    rng = np.random.default_rng(2)
    q = np.quantile(rng.normal(size=(4000, 400)), [0.025, 0.25, 0.75, 0.975], axis=1)
    ratio = (q[3] - q[0]) / (q[2] - q[1]) / 2.906
    assert ratio.std() * math.sqrt(400) == pytest.approx(NOISE, rel=0.05)
    for n in (20, 50, 200):
        levels = [fl.suggest(y := rng.normal(size=n), y + rng.normal(size=n)).facts["tails"]["level"] for _ in range(100)]
        assert sum(level != "light" for level in levels) <= 3, n


def plain(found):
    return dataclasses.asdict(found)


@pytest.mark.parametrize("name", ["t3", "certain and wrong", "counts", "class logits", "one-hot", "log-probabilities"])
def test_chunks_and_merging_leave_no_trace(name):
    from fastloss.evaluation.suggest import made

    target, prediction, *_ = CASES[name]
    expected = plain(fl.suggest(target, prediction))
    for sizes in ([1, 2, 3, 700, N], [97] * 21, [N - 1, 1]):
        parts, start = [], 0
        for size in sizes:
            if start < N:
                parts.append(profile_of(target[start : start + size], prediction[start : start + size]))
            start += size
        whole = parts.pop()
        for part in reversed(parts):
            whole = part.merge(whole) if len(parts) % 2 else whole.merge(part)
        assert plain(made(whole, [])) == expected


def test_profiles_that_do_not_merge():
    with pytest.raises(TypeError, match="another Profile"):
        fl.Profile().merge(fl.RowProfile())
    with pytest.raises(ValueError, match="rows of the same length"):
        profile_of(CLASSES, Z).merge(profile_of(CLASSES % 3, Z[:, :3]))


@pytest.mark.parametrize(("target", "prediction", "error", "message"), [
    ([], [], ValueError, "are empty"), ([1, 2], [1], ValueError, "must go together row by row"), (1.0, 1.0, ValueError, "shape"),
    ([1, 2], ["a", "b"], TypeError, "`prediction` must be an array of numbers"), ([1j, 2], [1, 2], TypeError, "`target` must be"),
    (["a", "b"], np.ones((2, 3)), TypeError, "fl.encode_labels"), (np.ones((2, 2)), np.ones(2), ValueError, "row by row"),
    (np.ones((2, 2, 2)), np.ones((2, 2, 2)), ValueError, r"shape \(n,\) or \(n, C\)"),
    (np.array(["2024-01-01"], "M8[D]"), [1.0], TypeError, "datetime64"),
])  # fmt: skip
def test_what_is_refused(target, prediction, error, message):
    with pytest.raises(error, match=message):
        fl.suggest(target, prediction)


@pytest.mark.parametrize("loss", ["hing", ["log_loss", "nothing"], "huber:delta=-1"])
def test_losses_that_there_are_not(loss):
    with pytest.raises(ValueError, match="hinge|nothing|delta"):
        fl.suggest(Y, Y, loss)


@pytest.mark.parametrize("target, prediction", [
    ([1.0], [2.0]), ([1.0], [math.nan]), ([math.inf], [1.0]), ([math.nan] * 3, [1.0, 2, 3]), ([True], [0.5]), ([0], [0]), (["a"], [1.0]),
    ([1e308, -1e308, 1e308], [-1e308, 1e308, 0.0]), ([5e-324, 0, 1], [0, 5e-324, 2]), ([0.0, -0.0, 1], [-0.0, 0.0, 1]),
    ([[0.2, 0.8]], [[math.nan, 1.0]]), ([0], [[1.0, 2.0]]), ([-5], [[0.0, 0.0]]), ([2**63], [[0.5, 0.5]]), ([1, 0], [[0.5], [0.25]]),
])  # fmt: skip
def test_little_and_strange_data(target, prediction):
    found = fl.suggest(target, prediction)
    assert found.rows == len(prediction) and found.task in {*USUAL, "none", "classes"}
    from fastloss.reports.json import dumps
    from fastloss.reports.suggest import suggestion_document, suggestion_text

    assert suggestion_text(found).startswith("task: ") and dumps(suggestion_document(found, "1"))


def test_memory_does_not_grow_with_distinct_values():
    profile = fl.Profile()
    for _ in range(3):
        profile.update(RNG.normal(size=5000), RNG.normal(size=5000))
    assert profile.values.result() is None and profile.values.ids is None and profile.target.result().n == 15_000
