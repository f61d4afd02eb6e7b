"""Builds the kernels: one extension module per instruction-set level, all from the same generated source.

Without a C compiler the package still installs, as pure Python that runs through Numba, and says so. FASTLOSS_REQUIRE_COMPILER=1 makes
that an error instead (for those who build packages); FASTLOSS_LEVELS=x86-64-v3,... builds only some levels.
"""

import os
import platform
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from fastloss.compiler.build import FLAGS, levels, write_sources  # noqa: E402 - needs the path above

KERNELS = Path("fastloss") / "kernels"


def extensions():
    wanted = os.environ.get("FASTLOSS_LEVELS")
    chosen = [level for level in levels(platform.machine()) if wanted is None or level in wanted.split(",")]
    if not chosen:
        raise SystemExit(f"FASTLOSS_LEVELS={wanted} names none of {', '.join(levels(platform.machine()))}")
    headers = [str(path) for path in sorted((HERE / KERNELS).glob("*.h"))]
    posix = ["-pthread"] if os.name == "posix" else []
    return [
        Extension(f"fastloss.kernels.{name}", [str(KERNELS / f"{name}.pyx")], extra_link_args=posix, depends=headers)
        for name in ("cpu", "memory")
    ] + [
        Extension(
            f"fastloss.kernels.{source.stem}",
            [str(source)],
            extra_compile_args=[*FLAGS, *levels(platform.machine())[level]],
            extra_link_args=posix,
            depends=headers,
        )
        for level, source in write_sources(HERE / KERNELS, chosen).items()
        for source in [source.relative_to(HERE)]
    ]


class BuildKernels(build_ext):
    """Cython and the C compiler, run when extensions are built and only then; two at a time."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self):
        try:
            import numpy
            from Cython.Build import cythonize

            directives = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False}
            for extension, compiled in zip(
                self.extensions, cythonize(self.extensions, compiler_directives=directives, quiet=True), strict=True
            ):
                extension.sources = compiled.sources
                extension.include_dirs += [numpy.get_include(), str(KERNELS)]
                extension.define_macros += [
                    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                    ("CYTHON_INLINE", "inline __attribute__((always_inline))"),  # see kernels/inline.h
                ]
            super().run()
        except Exception as error:
            if os.environ.get("FASTLOSS_REQUIRE_COMPILER") == "1":
                raise
            print(f"\n{NOT_COMPILED}\n({type(error).__name__}: {error})\n", file=sys.stderr)


NOT_COMPILED = """\
fastloss: THE KERNELS WERE NOT COMPILED, for the reason given below; most often there is no C compiler. fastloss will run through Numba,
slower: pip install "fastloss[numba]". Or install a C compiler (Debian: apt-get install gcc libc6-dev; and Python's headers, if they are
missing) and install fastloss again."""


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildKernels})
