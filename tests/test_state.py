"""State: merging is associative and commutative to the last bit, and what is written can be read."""

import itertools
import json
import zlib

import numpy as np
import pytest

import fastloss as fl

LOSSES = ["mse", "rmse", "huber:delta=2", "log_cosh"]


def parts(n_parts=5, n=3000, weighted=True, seed=0):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-6, 6, n_parts)
    return [
        (rng.standard_normal(n) * s, rng.standard_normal(n) * s, rng.random(n) if weighted and i % 2 else None) for i, s in enumerate(scale)
    ]


def state_of(*chunks, nan="propagate"):
    state = fl.State(LOSSES, nan=nan)
    for chunk in chunks:
        state.update(*chunk)
    return state


@pytest.mark.parametrize("weighted", [False, True])
def test_merge_is_associative_and_commutative(weighted):
    chunks = parts(weighted=weighted)
    whole = state_of(*chunks)
    for order in itertools.islice(itertools.permutations(range(5)), 0, 120, 11):
        a, b, c, d, e = (state_of(chunks[i]) for i in order)
        left = a.merge(b).merge(c).merge(d).merge(e)
        a, b, c, d, e = (state_of(chunks[i]) for i in order)
        right = a.merge(b.merge(c.merge(d.merge(e))))
        assert left.to_bytes() == right.to_bytes() == whole.to_bytes()
        assert left.compute() == whole.compute()


def test_an_empty_state_changes_nothing():
    whole = state_of(*parts())
    before = whole.to_bytes()
    assert whole.merge(fl.State(LOSSES)).to_bytes() == before
    assert fl.State(LOSSES).merge(whole).compute() == whole.compute()
    assert whole.update(np.empty(0), np.empty(0)).compute() == state_of(*parts()).compute()


def test_unweighted_rows_weigh_one():
    (y, p, _), (y2, p2, w2) = parts(2)
    state = state_of((y, p), (y2, p2, w2))
    whole = fl.evaluate(LOSSES, np.concatenate([y, y2]), np.concatenate([p, p2]), np.concatenate([np.ones(len(y)), w2]))
    assert state.compute() == whole
    assert state.results()[0].weight_sum == pytest.approx(len(y) + w2.sum(), rel=1e-15)
    assert state_of((y, p)).results()[0].weight_sum is None


def test_single_and_many():
    y, p, _ = parts(1)[0]
    assert isinstance(fl.State("mse").update(y, p).compute(), float)
    assert fl.State(fl.Huber).update(y, p).compute() == fl.huber(y, p)
    assert fl.State([fl.Huber(delta=2.0)]).update(y, p).compute() == {"huber:delta=2.0": fl.huber(y, p, delta=2.0)}
    assert list(state_of((y, p)).compute()) == LOSSES
    results = state_of((y, p)).results()
    assert [(result.name, result.spec) for result in results][:2] == [("mse", "squared_error"), ("rmse", "root_mean_squared_error")]


@pytest.mark.parametrize("nan", ["propagate", "skip"])
def test_bytes(nan):
    chunks = parts()
    chunks[1][1][3] = np.nan
    whole = state_of(*chunks, nan=nan)
    half = fl.State.from_bytes(state_of(*chunks[:2], nan=nan).to_bytes())
    for chunk in chunks[2:]:
        half.update(*chunk)
    assert half.to_bytes() == whole.to_bytes()
    assert repr(half.compute()) == repr(whole.compute()) and half.results()[0].n_nan == 1
    single = fl.State.from_bytes(fl.State("mse").update(*chunks[0]).to_bytes())
    assert single.compute() == fl.mse(*chunks[0])


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: b"PK\x03\x04" + data, lambda data: data[:-10], lambda data: data.replace(b"0x", b"zz"),
    lambda data: data.replace(b"mse", b"msf"), lambda data: data.replace(b"tallies", b"tallied"),
    lambda data: data.replace(b"state-1", b"state-9"),
    lambda data: data[:-30] + bytes([data[-30] ^ 1]) + data[-29:],
])  # fmt: skip
def test_damaged_bytes(damage):
    data = fl.State(["mse", "mae"]).update(np.ones(3), np.zeros(3)).to_bytes()
    assert fl.State.from_bytes(data).n == 3
    with pytest.raises(ValueError, match="fastloss state"):
        fl.State.from_bytes(damage(data))


def test_states_of_different_questions_do_not_merge():
    for other in (fl.State(["mse"]), fl.State([*LOSSES[:-1], "mae"]), fl.State(LOSSES, nan="skip")):
        with pytest.raises(ValueError, match="states of different questions do not merge"):
            fl.State(LOSSES).merge(other)
    with pytest.raises(TypeError, match="can merge only another State"):
        fl.State("mse").merge(1.0)


@pytest.mark.parametrize("losses, words", [([], "is empty"), (["mse", "mse"], "names a loss twice"), (["nope"], "unknown loss")])
def test_bad_losses(losses, words):
    with pytest.raises(ValueError, match=words):
        fl.State(losses)


def test_copies_are_apart():
    import copy
    import pickle

    y, p, _ = parts(1)[0]
    state = state_of((y, p))
    before = state.to_bytes()
    for twin in (copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        twin.update(y, p + 1)
        assert state.to_bytes() == before != twin.to_bytes()


def rewritten(state, change):
    """Bytes of a state whose fields were changed, with a checksum that is right."""
    fields = json.loads(state.to_bytes().partition(b"\n")[2])
    change(fields)
    text = json.dumps(fields).encode()
    return b"fastloss-state-1 %08x\n" % zlib.crc32(text) + text


@pytest.mark.parametrize("change", [
    lambda fields: fields.update(names=["a", "a"]), lambda fields: fields.update(names=[]), lambda fields: fields.update(per_class=[[1]]),
    lambda fields: fields.update(classes=[-3]), lambda fields: fields.update(ignored=[-1]), lambda fields: fields.update(n=-1),
    lambda fields: fields["per_class"][0].update({"3": fields["per_class"][0]["0"]}),
    lambda fields: fields["per_class"][0].update({"-1": fields["per_class"][0]["0"]}),
])  # fmt: skip
def test_bytes_that_no_state_of_rows_wrote(change):
    state = fl.State("cross_entropy", per_class=True).update([0, 1, 2], np.eye(3))
    assert fl.State.from_bytes(rewritten(state, lambda fields: None)).to_bytes() == state.to_bytes()
    with pytest.raises(ValueError, match="this fastloss state is damaged"):
        fl.State.from_bytes(rewritten(state, change))


def test_bytes_of_labels_do_not_tell_their_order():
    labels, z = np.array([0, 2, 1]), np.eye(3)
    one, other = (fl.State("cross_entropy", per_class=True) for _ in range(2))
    for row in (0, 1, 2):
        one.update(labels[[row]], z[[row]])
        other.update(labels[[-1 - row]], z[[-1 - row]])
    assert one.to_bytes() == other.to_bytes()
