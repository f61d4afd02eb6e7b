"""Who never imports whom, and what an import costs: the laws of the house."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fastloss

PACKAGE = Path(fastloss.__file__).parent
STDLIB = sys.stdlib_module_names
ENGINES = ("dask", "distributed", "pyspark")
HOSTS = {  # file or package of adapters/: what it may import besides NumPy
    "metrics": ("sklearn",), "sklearn": ("sklearn", "scipy", "threadpoolctl"), "torch": ("torch",), "jax": ("jax", "ml_dtypes"),
    "tensorflow": ("tensorflow",),
    "keras": ("keras", "torch"), "xgboost": ("xgboost",), "lightgbm": ("lightgbm",), "catboost": ("catboost",), "polars": ("polars",),
    "pandas": ("pandas",), "duckdb": ("duckdb", "pyarrow"),
}  # fmt: skip
LAWS = {  # room: what of fastloss, and what else, it may import
    "losses": (("fastloss.losses",), ()),
    "compiler": (("fastloss.losses", "fastloss.compiler"), ("numba", "llvmlite", "numpy")),
    "engine": (("fastloss.losses", "fastloss.engine", "fastloss.compiler", "fastloss.kernels"), ("numpy", "numba", "ml_dtypes")),
    "evaluation": (
        ("fastloss", "fastloss.losses", "fastloss.evaluation", "fastloss.engine.portable"),
        ("numpy", "polars", "pyarrow", *ENGINES),
    ),
    "reports": (("fastloss", "fastloss.losses", "fastloss.reports"), ("rich",)),
    "measuring": (
        ("fastloss", "fastloss.losses", "fastloss.engine", "fastloss.measuring"),
        ("numpy", "numba", "matplotlib", "ml_dtypes", "numexpr", "sklearn", "torch", "jax"),
    ),
    "training": (("fastloss", "fastloss.engine.differences", "fastloss.training"), ("numpy", "matplotlib")),
    "adapters": (
        ("fastloss", "fastloss.losses", "fastloss.adapters", "fastloss.engine.memory"),
        ("numpy", *(name for names in HOSTS.values() for name in names)),
    ),
    "cli": (("fastloss", "fastloss.losses", "fastloss.reports", "fastloss.measuring", "fastloss.cli"), ("click", "rich")),
}


def imports(path):
    """(module, line) of every import, at whatever depth of the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module, node.lineno


@pytest.mark.parametrize("room", LAWS)
def test_room_imports_only_what_it_may(room):
    own, others = LAWS[room]
    files = list((PACKAGE / room).rglob("*.py"))
    assert files
    broken = []
    for path in files:
        for module, line in imports(path):
            if module.split(".")[0] == "fastloss":
                fine = any(module == name or (name.count(".") and module.startswith(name + ".")) for name in own)
            else:
                fine = module.split(".")[0] in (*STDLIB, *others)
            if not fine:
                broken.append(f"{path.relative_to(PACKAGE)}:{line} imports {module}")
    assert not broken


def test_rival_libraries_are_imported_by_their_rival_alone():
    """What `fastloss bench` compares with must not be needed by anything else; numba is also the yardstick's, ml_dtypes a dtype's."""
    rivals, broken = PACKAGE / "measuring" / "rivals", []
    for path in (PACKAGE / "measuring").rglob("*.py"):
        for module, line in imports(path):
            library = module.split(".")[0]
            allowed = path.parent == rivals and path.stem.startswith(f"with_{library}")
            if library in ("numexpr", "sklearn", "torch", "jax") and not allowed:
                broken.append(f"{path.relative_to(PACKAGE)}:{line} imports {module}")
    assert not broken


def test_engines_are_imported_by_their_modules_alone():
    """Each in its file of evaluation/engines, which is imported when it is asked for."""
    broken = []
    for path in PACKAGE.rglob("*.py"):
        own = {"dask.py": ("dask", "distributed"), "spark.py": ("pyspark",)}.get(path.name, ())
        own = own if path.parent == PACKAGE / "evaluation" / "engines" else ()
        broken += [f"{path.relative_to(PACKAGE)}:{line}" for module, line in imports(path) if module.split(".")[0] in {*ENGINES} - {*own}]
    assert not broken
    used = modules_after("import fastloss as fl\nfl.evaluate_files\nfrom fastloss.evaluation import engines")
    assert "fastloss.evaluation.engines" in used and not used & {*ENGINES}


def test_hosts_are_imported_by_their_adapters_alone():
    """And adapters by fastloss.<host>, which users import; scikit-learn's metrics need none, but for scorers."""
    broken = []
    for path in PACKAGE.rglob("*.py"):
        room, *rest = path.relative_to(PACKAGE).parts
        host = rest[0].removesuffix(".py") if room == "adapters" else None
        for module, line in imports(path):
            top, *inner = module.split(".")
            if room == "adapters":
                fine = top in (*STDLIB, "fastloss", "numpy", *HOSTS.get(host, ())) and (
                    top != "sklearn" or host != "metrics" or path.stem == "scorers"
                )
            else:
                own = path.stem, "absent"  # which is of no host
                fine = top != "fastloss" or inner[:1] != ["adapters"] or (room == path.name and inner[1] in own)
            if not fine:
                broken.append(f"{path.relative_to(PACKAGE)}:{line} imports {module}")
    assert not broken
    hosts = {name for names in HOSTS.values() for name in names}
    assert not modules_after("import fastloss as fl, numpy as np\nfl.Huber()(np.ones(3), np.ones(3))") & {*hosts, "fastloss.adapters"}
    used = modules_after("import fastloss.metrics, numpy as np\nfastloss.metrics.log_loss(np.array([0, 1]), np.array([0.5, 0.5]))")
    assert "fastloss.adapters.metrics" in used and not used & {*hosts, "numba"}


def test_threads_can_be_settled_before_anything_loads():
    light = modules_after("from fastloss.measuring import environment, rivals\nenvironment.settle()\nrivals.MODULES")
    assert not light & {"numpy", "numba", "numexpr", "sklearn", "torch", "jax", "matplotlib", "click"}


def test_the_law_bites(tmp_path):
    guilty = tmp_path / "guilty.py"
    guilty.write_text("def f():\n    import polars\n    from fastloss.cli import main\n")
    assert list(imports(guilty)) == [("polars", 2), ("fastloss.cli", 3)]


def modules_after(code):
    run = subprocess.run([sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_what_imports_bring():
    assert not modules_after("import fastloss") & {"numpy", "numba", "polars", "click", "rich", "inspect"}
    used = modules_after("import fastloss as fl, numpy as np\nfl.mse(np.ones(3), np.ones(3))")
    assert "numpy" in used and not used & {"polars", "click", "rich", "matplotlib", "pyarrow", "torch", "sklearn"}


def test_kernels_know_no_python_objects():
    """The headers are plain C; the driver's loops run without the GIL."""
    for header in (PACKAGE / "kernels").glob("*.h"):
        assert "Python.h" not in header.read_text() and "PyObject" not in header.read_text()
    driver = (PACKAGE / "kernels" / "driver.pxi").read_text()
    functions = [line for line in driver.splitlines() if line.startswith("cdef") and line.endswith(":") and "(" in line]
    assert functions and all("noexcept nogil" in line for line in functions)


def test_files_are_small_enough_to_hold_in_the_head():
    sources = [path for pattern in ("*.py", "*.h", "*.pxi") for path in PACKAGE.rglob(pattern) if not path.name.startswith("generated")]
    long = {str(path.relative_to(PACKAGE)): lines for path in sources if (lines := len(path.read_text().splitlines())) > 400}
    assert not long
