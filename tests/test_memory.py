"""Memory of large outputs is kept for the next, and nobody can tell but by the clock."""

import json
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import memory

kernels = pytest.importorskip("fastloss.kernels.memory", reason="nothing was compiled")
pytestmark = pytest.mark.skipif(not kernels.KEEPS, reason="nothing is kept on this system")
MB = 1 << 20


@pytest.fixture(autouse=True)
def bound():
    """set(bytes): at most so many are kept. Every test begins with nothing kept."""

    def set(limit, lazily=True):
        kernels.ask(lambda: (limit, lazily))
        memory.empty(MB, np.uint8)

    set(0)
    set(64 * MB)
    assert kernels.kept() == (1, MB)  # of that call
    yield set
    set(0)
    kernels.ask(memory.settings)


def address(array):
    return array.__array_interface__["data"][0]


def made(size=4 * MB, dtype=np.uint8):
    """(the address of an array that was filled and is gone)"""
    array = memory.empty(size, dtype)
    array.fill(1)
    return address(array)


def child(code, **environment):
    """What a process of its own prints, as JSON."""
    code = f"import json, numpy as np\nfrom fastloss.engine import memory\nfrom fastloss.kernels.memory import kept\n{code}"
    environment = os.environ | {"FASTLOSS_KEEP_MB": ""} | environment
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.returncode == 0 and not run.stderr, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("size", [MB, 3 * MB + 5, 4 * MB, 15 * MB + 1])
def test_what_is_gone_serves_the_next(size):
    at = made(size)
    blocks = kernels.kept()[0]
    again = memory.empty(size, np.uint8)
    assert address(again) == at and kernels.kept()[0] == blocks - 1
    assert again.flags.owndata and again.flags.writeable and again.base is None and at % 64 == 0
    assert address(memory.empty(size, np.uint8)) != at


def test_a_block_serves_from_half_its_size():
    at = made(16 * MB)
    arrays = [memory.empty(size, np.uint8) for size in (8 * MB - 1, 16 * MB + 1, 8 * MB)]
    assert [address(array) == at for array in arrays] == [False, False, True]


def test_the_best_fit_is_taken():
    small, large = (memory.empty(size * MB, np.uint8) for size in (10, 14))
    addresses = address(small), address(large)
    del small, large
    assert address(memory.empty(9 * MB, np.uint8)) == addresses[0]
    assert address(memory.empty(12 * MB, np.uint8)) == addresses[1]


@pytest.mark.parametrize("shape", [(), 5, (3, 4), [2, 0], (MB,), (1024, 1025), np.int64(7), (2, MB, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_it_makes_what_numpy_does(shape, order):
    for dtype in (np.float32, "f8", np.dtype(">i4"), np.float16, np.dtype([("a", "f4"), ("b", "u2")])):
        ours, theirs = memory.empty(shape, dtype, order=order), np.empty(shape, dtype, order=order)
        assert (ours.shape, ours.strides, ours.dtype, ours.flags.num) == (theirs.shape, theirs.strides, theirs.dtype, theirs.flags.num)


@pytest.mark.parametrize(
    "shape", [1 << 59, (1 << 40, 1 << 40), -1, (-(1 << 30), -(1 << 30)), (1,) * 65, 1.5, "a", (1 << 70,)], ids=lambda shape: str(shape)[:20]
)
def test_it_refuses_what_numpy_does(shape):
    with pytest.raises((MemoryError, ValueError, TypeError, OverflowError)) as theirs:
        np.empty(shape, np.float64)
    with pytest.raises(theirs.type) as ours:
        memory.empty(shape, np.float64)
    assert str(ours.value) == str(theirs.value)


def test_handler_is_numpys_own_before_and_after():
    from numpy._core.multiarray import get_handler_name

    array = memory.empty(MB, np.uint8)
    assert get_handler_name(array) == "fastloss" and get_handler_name() == get_handler_name(np.empty(MB)) == "default_allocator"
    with pytest.raises(MemoryError):
        memory.empty(1 << 59, np.float64)
    assert get_handler_name() == "default_allocator" and get_handler_name(memory.empty(MB - 1, np.uint8)) == "default_allocator"


@pytest.mark.parametrize("holder", [lambda a: a[5:], memoryview, lambda a: a.view(np.int32), lambda a: np.asarray(memoryview(a))])
def test_views_keep_it(holder):
    array = memory.empty(4 * MB, np.uint8)
    at, gone = address(array), []
    weakref.finalize(array, gone.append, True)
    held = holder(array)
    del array
    assert not gone and address(memory.empty(4 * MB, np.uint8)) != at
    del held
    assert gone and address(memory.empty(4 * MB, np.uint8)) == at


def test_tensors_keep_it():
    torch = pytest.importorskip("torch")
    array = memory.empty(MB, np.float32)
    at, tensor = address(array), torch.from_numpy(array)
    del array
    row = tensor[:10]
    del tensor
    assert made() != at and address(memory.empty(MB, np.float32)) != at
    del row
    assert address(memory.empty(MB, np.float32)) == at


def test_bounds_hold(bound):
    arrays = [memory.empty(5 * MB, np.uint8) for _ in range(20)]
    newest = address(arrays[-1])
    while arrays:
        arrays.pop(0)
        count, total = kernels.kept()
        assert count <= 8 and total <= 64 * MB
    assert count == 8
    assert address(memory.empty(5 * MB, np.uint8)) == newest
    made(40 * MB)
    assert kernels.kept()[1] <= 64 * MB
    made(65 * MB)
    assert 40 * MB <= kernels.kept()[1] <= 64 * MB  # what is larger than the bound drives nobody out
    bound(30 * MB)
    assert kernels.kept()[1] <= 30 * MB


def lazily_free():
    """Bytes of this process that the kernel may take at any time, None where it does not say."""
    try:
        with open("/proc/self/smaps_rollup") as file:
            return next((1024 * int(line.split()[1]) for line in file if line.startswith("LazyFree")), None)
    except OSError:
        return None


@pytest.mark.skipif(lazily_free() is None, reason="this system does not say what is lazily free")
def test_the_kernel_may_take_what_is_kept(bound):
    before, at = lazily_free(), made(16 * MB)
    assert lazily_free() - before == 16 * MB
    array = memory.empty(16 * MB, np.uint8)
    array.fill(1)
    assert address(array) == at and lazily_free() == before
    bound(64 * MB, lazily=False)
    del array
    assert lazily_free() == before


def test_none_is_kept_if_so_wished(bound):
    from numpy._core.multiarray import get_handler_name

    before = memory.empty(4 * MB, np.uint8)
    bound(0)
    assert kernels.kept() == (0, 0)
    del before
    assert kernels.kept() == (0, 0) and get_handler_name(memory.empty(4 * MB, np.uint8)) == "default_allocator"


@pytest.mark.parametrize("lazily", [False, True])
def test_resize(bound, lazily):
    bound(64 * MB, lazily)
    array = memory.empty(MB, np.uint8)
    array[:] = np.arange(MB, dtype=np.uint64) * 31 >> 3 & 255
    expected = array.copy()
    made(9 * MB)
    for size in (3 * MB, 9 * MB, 5 * MB, 2 * MB + 1, 100, 1, 7, 4 * MB):
        array.resize(size, refcheck=False)
        kept = min(size, len(expected))
        assert np.array_equal(array[:kept], expected[:kept]) and not array[kept:].any()
        expected = array.copy()
        made(9 * MB)


def test_calloc_zeroes_what_was_used():
    """NumPy asks for zeros where our handler is in force, as it is for arrays that need initialising."""
    import ctypes

    class Handler(ctypes.Structure):
        _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("ctx", ctypes.c_void_p)] + [
            (name, ctypes.c_void_p) for name in ("malloc", "calloc", "realloc", "free")
        ]

    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    handler = Handler.from_address(pointer(kernels.HANDLER, b"mem_handler"))
    assert handler.name == b"fastloss" and handler.version == 1
    size = ctypes.c_size_t
    calloc = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, size, size)(handler.calloc)
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, size)(handler.free)
    at = made(4 * MB)
    assert calloc(None, MB, 4) == at and ctypes.string_at(at, 4 * MB) == bytes(4 * MB)
    free(None, at, 1)  # not the block's size: a caller may have shrunk the array
    assert calloc(None, 1 << 40, 1 << 40) is None
    free(None, None, 0)
    assert made(4 * MB) == at


def test_pickle_copy_and_files(tmp_path):
    array = memory.empty((1024, 300), np.float64, "F")
    array[:] = np.arange(array.size).reshape(array.shape)
    for protocol in (2, 5):
        assert np.array_equal(pickle.loads(pickle.dumps(array, protocol)), array)
    np.save(tmp_path / "a.npy", array)
    assert np.array_equal(np.load(tmp_path / "a.npy"), array) and np.array_equal(array.copy(), array)


def test_tracemalloc_sees_arrays():
    made()
    tracemalloc.start()
    try:
        array = memory.empty(3 * MB, np.uint8)
        (found,) = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)]).traces
        assert found.size == array.nbytes
        del array
        assert not tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)]).traces
    finally:
        tracemalloc.stop()


def test_threads_do_not_share_it():
    wrong = []

    def work(number):
        generator = np.random.default_rng(number)
        mine = []
        for step in range(300):
            array = memory.empty(int(generator.integers(MB // 4, MB)), np.int32)
            array[:: 1 << 10] = array[-1] = number
            mine.append(array)
            if step % 3 == 2:
                mine.pop(int(generator.integers(3)) % len(mine))
            if len(mine) > 4:
                mine = mine[2:]
            if any((array[:: 1 << 10] != number).any() or array[-1] != number for array in mine):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and kernels.kept()[1] <= 64 * MB


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_has_none_and_leaves_the_parents_arrays():
    found = child(
        """
import os
a = memory.empty(1 << 21, np.float32); a.fill(1)
memory.empty(1 << 21, np.float32).fill(2)
before, (come, go) = kept(), os.pipe()
if not (process := os.fork()):
    b = memory.empty(1 << 21, np.float32); b.fill(3); a.fill(4)
    here = [kept(), float(b[-1]), float(a[-1])]
    del a, b
    os.write(go, json.dumps([*here, kept()]).encode())
    os._exit(0)
os.waitpid(process, 0)
print(json.dumps([before, kept(), float(a[-1]), json.loads(os.read(come, 999))]))
""",
        OPENBLAS_NUM_THREADS="1",  # Python warns of forks where there are threads
    )
    assert found == [[1, 8 * MB], [0, 0], 1.0, [[0, 0], 3.0, 4.0, [2, 16 * MB]]]


@pytest.mark.parametrize("environment", [{}, {"PYTHONMALLOC": "debug"}, {"PYTHONTRACEMALLOC": "5"}, {"FASTLOSS_KEEP_MB": "0"}])
def test_python_ends_with_arrays_alive(environment):
    code = """
import builtins, sys, threading
a = builtins.array = memory.empty(1 << 22, np.float32); memory.empty(1 << 22, np.float32).fill(0)
class Late:
    def __del__(self, empty=memory.empty): self.array = empty(1 << 20, "f4")
late = sys.late = Late()
cycle = [memory.empty(1 << 22, np.float32)]; cycle.append(cycle)
threading.Thread(target=lambda: memory.empty(1 << 22, np.float32)).start()
print(json.dumps(kept()[0]))
"""
    assert child(code, **environment) == (0 if environment == {"FASTLOSS_KEEP_MB": "0"} else 1)


def test_environment_variable():
    code = "try:\n    memory.empty(1 << 21, 'u1').fill(1)\n    print(json.dumps([memory.settings()[0], kept()[1]]))\n"
    code += "except Exception as error: print(json.dumps([type(error).__name__, str(error)]))"
    assert child(code, FASTLOSS_KEEP_MB="3") == [3_000_000, 2 * MB]
    assert child(code, FASTLOSS_KEEP_MB="1") == [1_000_000, 0]
    assert child(code, FASTLOSS_KEEP_MB=" 0 ") == [0, 0]
    assert child(code, FASTLOSS_KEEP_MB="")[1] == 2 * MB
    assert child(code, FASTLOSS_KEEP_MB="9" * 30) == [sys.maxsize, 2 * MB]
    name, text = child(code, FASTLOSS_KEEP_MB="1.5G")
    assert name == "SettingError" and text == "the environment variable FASTLOSS_KEEP_MB must be a whole number from 0, got '1.5G'"
    assert child("import fastloss as fl\nprint(json.dumps(fl.info()['keep_mb']))", FASTLOSS_KEEP_MB="77") == 77


def test_default_bound(tmp_path, monkeypatch):
    """The least of what limits the process, divided by 16: cgroups of both versions, and those above."""
    told, root = tmp_path / "cgroup", tmp_path / "fs"
    told.write_text("9:memory:/slice/job\n3:cpu:/slice\n0::/user/step\n")
    assert list(memory._cgroups(tmp_path / "missing")) == []
    paths = list(memory._cgroups(told, str(root)))
    assert paths == [
        f"{root}/{path}"
        for path in (
            "memory/slice/job/memory.limit_in_bytes", "memory/slice/memory.limit_in_bytes", "memory/memory.limit_in_bytes",
            "user/step/memory.max", "user/memory.max", "memory.max",
        )
    ]  # fmt: skip
    monkeypatch.setattr(memory, "_cgroups", lambda: paths)
    monkeypatch.delenv("FASTLOSS_KEEP_MB", raising=False)
    settings = memory.settings.__wrapped__
    (root / "user" / "step").mkdir(parents=True)
    (root / "user" / "step" / "memory.max").write_text("max\n")
    whole = settings()[0]
    assert 0 < whole <= memory.MOST
    (root / "user" / "memory.max").write_text(f"{160 * MB}\n")
    assert settings()[0] == min(whole, 10 * MB)


@pytest.fixture
def alone():
    """One thread computes: Numba's helpers let go of the arrays in their own time."""
    fl.set_num_threads(1)
    yield
    fl.set_num_threads(None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_outputs_are_made_of_it(dtype, alone):
    n = 1 << 20
    y, p = np.zeros(n, dtype), np.linspace(-2, 2, n, dtype=dtype)
    loss, held = fl.Huber(), []
    for outputs in (
        lambda: (loss.loss(y, p),),
        lambda: loss.loss_gradient_hessian(y, p),
        lambda: loss.cost_gradient(y, p)[1:],
        lambda: (loss.loss(y[::2], p[::2]),),
        lambda: (fl.softmax(p.reshape(-1, 16)),),
        lambda: loss.gradient_hessian(y.reshape(1024, 1024).T, p.reshape(1024, 1024).T),
    ):
        found = [array.copy() for array in outputs()]
        ours = {address(array) for array in outputs()}
        again = outputs()
        assert {address(array) for array in again} == ours
        assert all(np.array_equal(array, right) for array, right in zip(again, found, strict=True))
        held.append(again[0])
    assert len({address(array) for array in held}) == len(held)


def test_many_backward_passes_use_one_gradients_memory(alone):
    torch = pytest.importorskip("torch")
    import fastloss.torch as ft

    x, t = torch.linspace(-2, 2, 1 << 20, requires_grad=True), torch.zeros(1 << 20)
    found = set()
    for _ in range(5):
        x.grad = None
        ft.huber_loss(x, t).backward()
        found.add(x.grad.data_ptr())
    assert len(found) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("layout", ["transposed", "channels last", "expanded"])
def test_large_tensors_lie_as_torchs(dtype, layout, alone):
    torch = pytest.importorskip("torch")
    import fastloss.torch as ft

    flat = torch.linspace(-2, 2, 1 << 19).to(getattr(torch, dtype))
    x = flat.view(4, 64, 16, 128).contiguous(memory_format=torch.channels_last) if layout == "channels last" else flat.view(512, 1024).T
    x = flat[:1024].expand(512, 1024) if layout == "expanded" else x
    t = torch.zeros_like(x)
    ours, theirs = (module.mse_loss(x, t, reduction="none") for module in (ft, torch.nn.functional))
    assert ours.stride() == theirs.stride() and ours.dtype is theirs.dtype and torch.equal(ours, theirs)
    del ours
    again = ft.mse_loss(x, t, reduction="none")
    at = again.data_ptr()
    del again
    assert ft.mse_loss(x, t, reduction="none").data_ptr() == at
