"""fastloss.keras with each of Keras' backends, which is one for a process: tests/keras_cases.py, run by itself."""

import importlib
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

keras = pytest.importorskip("keras")
import fastloss.adapters.keras  # noqa: E402
from fastloss.adapters.keras import functions  # noqa: E402


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_backend(backend):
    if find_spec(backend) is None:
        pytest.skip(f"no {backend}")
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run([sys.executable, "-m", "tests.keras_cases"], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[-2:] == [backend, "25"]


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(NotImplementedError, match="Keras' backends jax, tensorflow, torch, not 'numpy'"):
        functions.huber([[0.0]], [[1.0]])


def test_what_is_missing_or_too_old_is_named(monkeypatch):
    monkeypatch.setattr(keras, "__version__", "3.6.0")
    with pytest.raises(ImportError, match="needs Keras >= 3.7, and this is"):
        importlib.reload(fastloss.adapters.keras)
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r'pip install "fastloss\[keras\]"'):
        importlib.reload(fastloss.adapters.keras)
