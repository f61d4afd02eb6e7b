"""Kernels of losses that have no compiled ones: made by Numba (numba.py) once, and kept as object code, which LLVM alone can load.

The files lie in $FASTLOSS_CACHE_DIR, or fastloss/ in $XDG_CACHE_HOME or ~/.cache. Each is named by a fingerprint of all that its code
was made from: the formulas, what is computed, this package's emitters, Numba's and LLVM's versions and settings, and the processor.
What cannot be read, is damaged, or cannot be written is as if it was not there. It is code that is run: the folder is made for its owner
alone, and one that others may write to is not used.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
import platform
import tempfile
from pathlib import Path

from fastloss.compiler.subset import digest

EMITTERS = ("llvm", "numba", "objects", "vecmath", "vecmath32", "vecmath64")  # files of this folder that decide what a kernel is
CHECK = hashlib.sha256().digest_size


def switches(definition, parameters):
    """Of each parameter its number if it gets a kernel of its own, without other values' work, or None: if it is True or False; or if
    all that have a usual value have that."""
    known = list(zip(definition.parameters.values(), parameters, strict=True))
    usual = all(number == parameter.usual for parameter, number in known if parameter.usual is not None)
    return tuple(float(number) if parameter.switch or (usual and parameter.usual is not None) else None for parameter, number in known)


def folder():
    """Where kernels are kept."""
    given = os.environ.get("FASTLOSS_CACHE_DIR")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fastloss"


@functools.cache
def surroundings():
    """All that decides what a kernel's code is, but for its definition."""
    import llvmlite.binding as llvm

    def installed(package):
        """Its own account of its version; importlib.metadata would take 30 ms."""
        spec = importlib.util.find_spec(package)
        return spec and (Path(spec.origin).parent / "_version.py").read_bytes()

    sources = [(Path(__file__).parent / f"{name}.py").read_bytes() for name in EMITTERS]
    settings = sorted((key, value) for key, value in os.environ.items() if key.startswith("NUMBA_"))
    features = llvm.get_host_cpu_features().flatten()
    facts = installed("numba"), installed("llvmlite"), platform.machine(), llvm.get_host_cpu_name(), features, settings
    return hashlib.sha256(b"".join(sources) + repr(facts).encode()).hexdigest()


@functools.cache
def kernel(definition, parts, dtype, fixed):
    """The kernel of a loss, as numba.kernel has it, at its ``address``."""
    try:
        text = repr((digest(definition), definition.wide, parts, dtype, fixed, surroundings()))
        path = folder() / f"{definition.name}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.o"
    except (ImportError, OSError, RuntimeError):  # no LLVM: numba.py will say it better; no home
        path = None
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        if path is not None:
            return Loaded(*read(path).split(b"\n", 1))
    try:
        from fastloss.compiler import numba
    except ImportError as error:
        raise ImportError(f'own losses are compiled by Numba, which is not installed: pip install "fastloss[own]" ({error})') from error
    made = numba.kernel(definition, parts, dtype, fixed)
    with contextlib.suppress(OSError):
        if path is not None:
            keep(path, made)
    return made


def keep(path, made):
    """Write a compiled function's object code."""
    _, kind, (code, _) = made._library.serialize_using_object_code()
    assert kind == "object"
    write(path, made.native_name.encode() + b"\n" + code)


def trust(place):
    """OSError if somebody else may write to a folder."""
    if hasattr(os, "geteuid"):
        found = os.stat(place)
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise PermissionError(f"others may write to {place}")


def read(path):
    """What was written to a file of the folder; OSError if there is none, or none to be trusted, ValueError if it is damaged."""
    trust(path.parent)
    found = path.read_bytes()
    check, data = found[:CHECK], found[CHECK:]
    if hashlib.sha256(data).digest() != check:
        raise ValueError("damaged")
    return data


def write(path, data):
    """Write a file of the folder, with its checksum, in one step, so that no other process reads half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    trust(path.parent)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(hashlib.sha256(data).digest() + data)
            file.flush()
            file.close()
            os.replace(file.name, path)
        except OSError:  # a full disk, too
            os.unlink(file.name)
            raise


class Loaded:
    """A kernel of kept object code. ValueError if it has no such function."""

    def __init__(self, symbol, code):
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_default_triple().create_target_machine()
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)  # one for each: symbols of two files may be the same
        self.engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        self.address = self.engine.get_function_address(symbol.decode())
        if not self.address:
            raise ValueError("no such function")
