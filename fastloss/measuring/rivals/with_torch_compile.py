"""torch.compile of the functions of with_torch: Inductor fuses each into one C++ loop, with OpenMP. Compiled anew for every comparison
and its shape (dynamic=False, the fastest code), which takes seconds each time and is not timed.
"""

import os
import shutil

import torch

from fastloss.measuring.rivals import with_torch
from fastloss.measuring.rivals.with_torch import threads, version  # noqa: F401

NAME = "torch.compile"
GRADIENT_PER_SAMPLE = False
DTYPES = with_torch.DTYPES


def unavailable():
    compilers = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    return None if any(map(shutil.which, compilers)) else f"needs a C++ compiler, and found none ({' or '.join(compilers)})"


def compiled(function):
    torch.compiler.reset()  # what was compiled for other shapes counts against a limit
    return torch.compile(function, fullgraph=True, dynamic=False)


PREPARE = with_torch.prepare(compiled)
