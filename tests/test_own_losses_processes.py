"""Own losses in other processes: pickled to them, found by the command line, compiled once for all of them."""
# ruff: noqa: N805, F821 - formulas are no methods, and their vocabulary needs no import

import json
import multiprocessing
import os
import pickle
import stat
import subprocess
import sys

import numpy as np
import pytest

import fastloss as fl
from fastloss.compiler import objects
from tests.own_losses import Cauchy

pytest.importorskip("numba")
MODULE = """
import fastloss as fl

@fl.loss
class {name}:
    '''Log of a parabola.'''
    scale = fl.Parameter(1.0, fl.POSITIVE)

    def value(y, p, scale):
        u = (p - y) / scale
        return log1p(u * u)

class Plain:
    pass
"""


def python(code, cwd, **environment):
    """What a new interpreter prints; its own file is the code."""
    script = cwd / "script.py"
    script.write_text(code)
    path = os.pathsep.join([os.path.dirname(os.path.dirname(fl.__file__)), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, script], cwd=cwd, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path} | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def cost_of(loss, seed):
    y, p = np.random.default_rng(seed).standard_normal((2, 1000))
    return loss(y, p), loss.spec


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_workers(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here")

    @fl.loss(aliases=("nobody_imports_this",))
    class Somewhere:
        a = fl.Parameter(2.0, fl.POSITIVE)

        def value(y, p, a):
            return a * log1p(abs(p - y))

    losses = [Cauchy(0.5), Somewhere(3.0), fl.Huber(2.0)]
    cost_of(losses[0], 0)
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = [pool.apply_async(cost_of, (loss, seed)).get(60) for seed, loss in enumerate(losses)]
    assert found == [cost_of(loss, seed) for seed, loss in enumerate(losses)]


def test_a_script_sends_its_losses_where_it_is_not(tmp_path):
    """Of __main__ nothing can be imported elsewhere: the definition travels."""
    made = python(MODULE.format(name="Traveller") + "\nimport pickle, sys\nprint(pickle.dumps(Traveller(2.0)).hex())", tmp_path)
    loss = pickle.loads(bytes.fromhex(made))
    assert loss.spec == "traveller:scale=2.0" and loss(0.0, 2.0) == pytest.approx(np.log(2.0), rel=1e-15)
    assert loss.gradient(0.0, 2.0) == pytest.approx(0.5, rel=1e-15) and fl.get("traveller:scale=2") == loss


def test_a_state_brings_its_losses_along(tmp_path):
    code = MODULE.format(name="Voyager") + "\nprint(fl.State([Voyager(2.0), 'mse']).update([0.0], [2.0]).to_bytes().hex())"
    state = fl.State.from_bytes(bytes.fromhex(python(code, tmp_path)))
    assert list(state.compute()) == ["voyager:scale=2.0", "mse"]
    state.update([0.0], [0.0])
    assert state.compute()["voyager:scale=2.0"] == pytest.approx(np.log(2.0) / 2, rel=1e-15)


def test_pieces_are_counted_where_nobody_defined_the_loss(tmp_path):
    """What Dask's and Spark's workers do, by hand."""
    pytest.importorskip("polars")
    from fastloss.evaluation.pieces import gather, pieces, plan_files

    y, p = np.random.default_rng(0).standard_normal((2, 100))
    np.savez(tmp_path / "d.npz", y=y, p=p)
    request = plan_files(tmp_path / "d.npz", [Cauchy(0.5), "mse"])
    (tmp_path / "request").write_text(request)
    code = "from fastloss.evaluation.pieces import count_piece, pieces\nrequest = open('request').read()\n"
    counted = python(code + "for piece in pieces(request): print(count_piece(request, piece).hex())", tmp_path).split()
    assert len(counted) == len(pieces(request))
    assert gather(request, [bytes.fromhex(one) for one in counted]).costs == fl.evaluate([Cauchy(0.5), "mse"], y, p)


def test_what_a_state_brings_is_parsed_and_not_executed():
    from fastloss.engine.portable import sealed, unsealed
    from fastloss.engine.state import MAGIC

    whole = fl.State(Cauchy()).to_bytes()
    for bad in (
        "def value(y, p, scale=print('run')):\n    return print(p)",
        "@print\ndef value(y, p, scale):\n    return p.real",
        "print(1)",
    ):
        fields = unsealed(MAGIC, whole, "state")
        fields["own"][0]["texts"]["value"]["text"], fields["own"][0]["name"] = bad, "another"
        with pytest.raises(ValueError):
            fl.State.from_bytes(sealed(MAGIC, fields))


LOOK = """
import sys
import numpy as np
{module}
y, p = np.arange(5.0), np.ones(5)
print(Cached()(y, p), Cached().cost_gradient(y, p)[1].sum(), Cached().loss(y.astype("f4"), p.astype("f4")).sum())
print("numba" in sys.modules)
"""


def test_kernels_are_compiled_once(tmp_path):
    """A later process loads what the first compiled: it never imports Numba."""
    code, kept = LOOK.format(module=MODULE.format(name="Cached")), tmp_path / "kept"
    first, second = (python(code, tmp_path, FASTLOSS_CACHE_DIR=str(kept)).split("\n") for _ in range(2))
    assert first[0] == second[0] and (first[1], second[1]) == ("True", "False")
    files = sorted(kept.iterdir())
    assert [file.suffix for file in files].count(".o") == 3 and stat.S_IMODE(kept.stat().st_mode) == 0o700
    for file in files:  # damaged files are as if they were not there
        file.write_bytes(file.read_bytes()[:-9] + b"broken" + bytes(3))
    assert python(code, tmp_path, FASTLOSS_CACHE_DIR=str(kept)).split("\n")[:2] == first[:2]
    assert python(code, tmp_path, FASTLOSS_CACHE_DIR=str(kept)).split("\n")[1] == "False"
    changed = code.replace("log1p(u * u)", "log1p(2.0 * u * u)")
    third = python(changed, tmp_path, FASTLOSS_CACHE_DIR=str(kept)).split("\n")
    assert third[0] != first[0] and third[1] == "True"  # another formula, another kernel


def test_without_a_place_to_keep_kernels(tmp_path):
    (tmp_path / "file").write_text("")
    code = LOOK.format(module=MODULE.format(name="Cached"))
    assert python(code, tmp_path, FASTLOSS_CACHE_DIR=str(tmp_path / "file" / "no")).split("\n")[1] == "True"
    assert python(code, tmp_path, HOME=str(tmp_path / "file"), XDG_CACHE_HOME="", FASTLOSS_CACHE_DIR="").split("\n")[1] == "True"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="of POSIX")
def test_a_folder_that_others_may_write_to_is_not_used(tmp_path):
    code, shared = LOOK.format(module=MODULE.format(name="Cached")), tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    for _ in range(2):
        assert python(code, tmp_path, FASTLOSS_CACHE_DIR=str(shared)).split("\n")[1] == "True"
    assert not list(shared.iterdir())


def test_where_kernels_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTLOSS_CACHE_DIR", str(tmp_path))
    assert objects.folder() == tmp_path
    monkeypatch.delenv("FASTLOSS_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert objects.folder() == tmp_path / "fastloss"


def command(arguments, cwd):
    path = os.pathsep.join([os.path.dirname(os.path.dirname(fl.__file__)), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run([sys.executable, "-m", "fastloss", *arguments], cwd=cwd, capture_output=True, text=True, env=environment)


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("click")
    pytest.importorskip("polars")
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").write_text("")
    (tmp_path / "mypackage" / "losses.py").write_text(MODULE.format(name="FromTheLine"))
    (tmp_path / "broken.py").write_text(MODULE.format(name="Broken").replace("u * u)", "u ** 2)"))
    (tmp_path / "d.csv").write_text("y,p\n1,2\n3,2.5\n4,4\n")
    return tmp_path


def test_the_command_line(folder):
    done = command(["eval", "d.csv", "-l", "mypackage.losses:FromTheLine:scale=2", "-l", "mse", "--json"], folder)
    assert done.returncode == 0, done.stderr
    results = {one["name"]: one["cost"] for one in json.loads(done.stdout)["results"]}
    errors = np.array([1.0, -0.5, 0.0])
    assert results == {"from_the_line:scale=2": pytest.approx(np.log1p((errors / 2) ** 2).mean(), rel=1e-15), "mse": (errors**2).mean()}
    by_path = command(["eval", "d.csv", "-l", "mypackage/losses.py:FromTheLine:scale=2", "-l", "mse", "--json"], folder)
    assert json.loads(by_path.stdout)["results"] == json.loads(done.stdout)["results"]
    compared = command(["compare", "d.csv", "d.csv", "-l", "mypackage.losses:FromTheLine"], folder)
    assert compared.returncode == 0 and "from_the_line" in compared.stdout


@pytest.mark.parametrize("spec, words", [
    ("mypackage.losses:Nobody", "has no Nobody"), ("mypackage.losses:Plain", "is no loss: define it with @fl.loss"),
    ("mypackage.nothing:X", "No module named 'mypackage.nothing'"), ("nothing.py:X", "there is no file nothing.py"),
    ("broken:Broken", "broken.py:11: in formula `value`"), ("mypackage.losses:FromTheLine:scale=-1", "must be > 0"),
])  # fmt: skip
def test_what_the_command_line_refuses(folder, spec, words):
    done = command(["eval", "d.csv", "-l", spec], folder)
    assert done.returncode == 2 and words in " ".join(done.stderr.split()), done.stderr


def test_configuration_runs_no_modules(folder):
    (folder / "pyproject.toml").write_text('[tool.fastloss.eval]\nloss = ["mypackage.losses:FromTheLine"]\n')
    done = command(["eval", "d.csv"], folder)
    assert done.returncode == 2 and "names a Python module" in done.stderr
    assert command(["eval", "d.csv", "-l", "mypackage.losses:FromTheLine"], folder).returncode == 0
