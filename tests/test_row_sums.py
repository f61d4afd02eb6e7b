"""Rows of probabilities that should sum to 1, and rows that are ignored: what is refused, and what is said."""

import json
import math
import zlib

import numpy as np
import pytest

import fastloss as fl
from fastloss.cli import main
from fastloss.engine import rows as engine
from fastloss.losses import ROW_REGISTRY

PROBABILITIES = {name: definition.sums for name, definition in ROW_REGISTRY.items() if definition.sums}


def shares(n, classes, dtype="float64", seed=0):
    p = np.random.default_rng(seed).gamma(1.0, size=(n, classes))
    return (p / p.sum(1, keepdims=True)).astype(dtype)


def test_which_losses_take_probabilities():
    """Those of y_true where it is a distribution, of y_pred where it is no logit, log-probability or score."""
    assert PROBABILITIES["multiclass_log_loss"] == PROBABILITIES["ranked_probability_score"] == ("y_pred",)
    assert PROBABILITIES["kl_divergence"] == PROBABILITIES["total_variation"] == ("y_true", "y_pred")
    assert PROBABILITIES["soft_label_cross_entropy"] == PROBABILITIES["kl_divergence_with_log_probs"] == ("y_true",)
    for name in ("softmax_cross_entropy", "multilabel_logistic", "cosine_distance", "kl_divergence_with_log_targets", "distillation"):
        assert name not in PROBABILITIES
        with pytest.raises(TypeError, match=f"`sum_tolerance` is not an option of `{name}`"):
            fl.get(name).__class__(sum_tolerance=0.1)


@pytest.mark.parametrize("summed", [1, 64, 1 << 16])  # rows in blocks of one, of some, of all
@pytest.mark.parametrize("name", PROBABILITIES)
def test_rows_that_do_not_sum_to_1_are_refused(name, summed, monkeypatch):
    monkeypatch.setattr(engine, "SUMMED", summed)
    cls = fl.get(name).__class__
    labels = np.arange(50) % 5
    for side in PROBABILITIES[name]:
        y = labels if fl.get(name).labels else shares(50, 5)
        p = shares(50, 5, seed=1) if "y_pred" in PROBABILITIES[name] else np.log(shares(50, 5, seed=1))
        bad = p if side == "y_pred" else y
        bad[31] *= 0.75
        bad[[20, 44]] *= 0.9375
        given = {"smaller": cls(sum_tolerance=0.05), "larger": cls(sum_tolerance=0.1), "all": cls(sum_tolerance=0.5)}
        assert given["all"](y, p) == cls()(y, p)
        for key, row, found in (("smaller", 20, 0.9375), ("larger", 31, 0.75)):
            for call in (given[key], given[key].loss, *((given[key].cost_gradient,) if hasattr(cls.definition.body, "gradient") else ())):
                with pytest.raises(fl.InputError, match=f"`{side}` of `{name}` must be rows that sum to 1 within 0") as caught:
                    call(y, p)
                assert caught.value.index == row and caught.value.value == pytest.approx(found, rel=1e-15)
        with pytest.raises(fl.InputError, match=r"at index \(3, 1\); sum_tolerance=None takes rows as they are"):
            given["larger"](y.reshape(5, 10, *y.shape[1:])[:, :10], p.reshape(5, 10, 5))


def test_sums_of_layouts_and_dtypes():
    labels, p = np.arange(40) % 4, shares(40, 4, "float32")
    loss = fl.MulticlassBrier(sum_tolerance=1e-6)
    for scores in (p, np.asfortranarray(p), p.astype(">f8"), [p[:, j].copy() for j in range(4)], p[:, ::-1]):
        assert loss(labels, scores) == fl.multiclass_brier(labels, scores)
    half = p.astype(np.float16)
    assert fl.multiclass_brier(labels, half, sum_tolerance=2e-3) == fl.multiclass_brier(labels, half)
    with pytest.raises(fl.InputError, match="must be rows that sum to 1 within 1e-09"):
        fl.multiclass_brier(labels, half, sum_tolerance=1e-9)
    assert np.isnan(fl.multiclass_brier(labels, np.where(p > 0.5, np.nan, p), sum_tolerance=0.1)), "a NaN is not refused, but propagates"
    empty = fl.State("multiclass_brier:sum_tolerance=0.1").update(labels[:0], p[:0])
    assert empty.n == 0


def test_what_is_checked_first_and_what_is_not():
    labels, p = np.array([0, -1, 2, 1]), shares(4, 3)
    p[1] = 0
    assert fl.multiclass_log_loss(labels, p, ignore_index=-1, sum_tolerance=1e-9) == fl.multiclass_log_loss(labels, p, ignore_index=-1)
    over = p.copy()
    over[3] *= 2
    before = over.copy()
    with pytest.raises(fl.InputError, match="got 2.0 at index 3"):
        fl.MulticlassLogLoss(ignore_index=-1, sum_tolerance=1e-9).cost_gradient(labels, over, gradient_out=over)
    assert np.array_equal(over, before), "refused before anything is written"
    specs = ["multiclass_brier", "multiclass_brier:sum_tolerance=1e-9"]
    with pytest.raises(fl.InputError, match="must be rows that sum to 1 within 1e-09, got 0.0 at index 1"):
        fl.evaluate(specs, np.abs(labels), p)
    loss = fl.MulticlassBrier(sum_tolerance=0.25)
    assert fl.get(loss.spec) == loss != fl.MulticlassBrier() and repr(loss).endswith("sum_tolerance=0.25)")
    for bad in (-1.0, float("nan"), "x", True):
        with pytest.raises(ValueError, match="`sum_tolerance` of `multiclass_brier` must be >= 0"):
            fl.MulticlassBrier(sum_tolerance=bad)


def test_sums_in_files(tmp_path, capsys):
    labels, p = np.arange(90) % 3, shares(90, 3)
    p[70] /= 2
    np.savez(tmp_path / "t.npz", y=labels, p=p, t=p, **{f"p_{j}": p[:, j] for j in range(3)})
    spec = "multiclass_brier:sum_tolerance=1e-6"
    for prediction, words in (("p", "columns 'p' of"), ("p_*", "columns 'p_0' to 'p_2' of")):
        with pytest.raises(
            fl.DataError, match=f"row 70: {words} multiclass_brier must be rows that sum to 1 within 1e-06, got 0.5"
        ) as caught:
            fl.evaluate_files(tmp_path / "t.npz", spec, prediction=prediction, chunk_rows=8)
        assert caught.value.row == 70
    with pytest.raises(fl.DataError, match="row 70: columns 't' of kl_divergence must be rows that sum to 1"):
        fl.evaluate_files(tmp_path / "t.npz", "kl_divergence:sum_tolerance=1e-6", target="t", prediction="p")
    assert main(["eval", str(tmp_path / "t.npz"), "-l", spec, "-p", "p"]) == 3
    assert "sum_tolerance=None" in capsys.readouterr().err


def test_ignored_rows_are_among_the_reasons_for_nothing_to_divide_by(tmp_path, capsys):
    labels, z = np.array([-1, -1, 1]), np.zeros((3, 2))
    loss = fl.SoftmaxCrossEntropy(ignore_index=-1)
    ignored = "as 2 of 3 rows are"
    for call, words in (
        (lambda: loss(labels, z, [1, 1, 0]), ignored), (lambda: loss.cost_gradient(labels, z, [1, 1, 0]), ignored),
        (lambda: loss(labels[:2], z[:2]), "as 2 of 2 rows are"), (lambda: loss.cost_gradient(labels[:2], z[:2]), "as 2 of 2 rows are"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="nothing to divide by: .*all weights zero.* ignored by their label") as caught:
            call()
        assert str(caught.value).endswith(words)
    with pytest.raises(ValueError, match="nothing to divide by") as caught:
        fl.SoftmaxCrossEntropy()([1], [[0.0, 0.0]], [0.0])
    assert "ignore" not in str(caught.value)
    state = fl.State(loss).update(labels, z, [1, 1, 0])
    state.merge(fl.State.from_bytes(state.to_bytes()))
    with pytest.raises(ValueError, match="as 4 of 6 rows are"):
        state.compute()
    np.savez(tmp_path / "t.npz", y=labels[:2], p=z[:2])
    assert main(["eval", str(tmp_path / "t.npz"), "-l", "cross_entropy:ignore_index=-1", "-p", "p"]) == 3
    assert "as 2 of 2 rows are" in capsys.readouterr().err


def test_states_that_were_written_before_ignored_rows_were_kept_can_be_read():
    state = fl.State("cross_entropy").update([0, 1], [[0.0, 1.0], [2.0, 0.0]])
    head, text = state.to_bytes().split(b"\n")
    fields = json.loads(text)
    del fields["ignored"]
    text = json.dumps(fields).encode()
    old = head[:-8] + b"%08x\n" % zlib.crc32(text) + text
    assert fl.State.from_bytes(old).compute() == state.compute()


def test_no_layout_and_no_rounding_decides():
    p = np.random.default_rng(0).random((200, 20))
    p /= p.sum(1, keepdims=True)
    loss = fl.MulticlassBrier(sum_tolerance=0.0)
    for row in p:
        exact, found = math.fsum(row) == 1.0, set()
        for layout in (row[None], np.asfortranarray(np.stack([row, row])), list(np.ascontiguousarray(row[:, None]))):
            try:
                loss([0] * (2 if isinstance(layout, np.ndarray) and len(layout) == 2 else 1), layout)
                found.add(True)
            except fl.InputError:
                found.add(False)
        assert found == {exact}
