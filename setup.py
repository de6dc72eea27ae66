"""The compiled extensions and their build kinds.

KIND=release  optimised, no checks (the default)
KIND=debug    bounds checks, FAST_DEBUG=1, signed overflow traps
KIND=asan     debug plus AddressSanitizer; run with its runtime preloaded (scripts/suite does)
KIND=none     no extensions: what installs the package before they are built in place
CI=true       what Cython warns of is an error; what the C compiler warns of always is
FAST_ONLY     comma-separated module names: build these alone (for development)
BUILD_JOBS    compilers at once; default: one a core

Each kind has its own folder in `build/`; `build_ext -i` puts one of them beside the sources.
"""

import filecmp
import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KINDS = ("release", "debug", "asan", "none")
KIND = os.environ.get("KIND", "release")
ONLY = {name for name in os.environ.get("FAST_ONLY", "").split(",") if name}
IS_CI = os.environ.get("CI") == "true"
JOBS = int(os.environ.get("BUILD_JOBS", "0")) or os.cpu_count() or 1

DIRECTIVES = {
    "language_level": 3,
    "embedsignature": True,
    "cdivision": KIND == "release",
    "boundscheck": KIND != "release",
    "wraparound": False,
    "initializedcheck": KIND != "release",
    "overflowcheck": False,  # hashes wrap on purpose; the C compiler checks what is signed
    "freethreading_compatible": False,
}
# Why no others: they take loop variables for unused (cython-lint knows better) and what is filled
# through a pointer for uninitialised (gcc knows better).
EXTRA_WARNINGS = {"warn.unreachable": True}
# Why traps: an overflow of a signed number ends in SIGILL with a traceback, and needs no runtime.
TRAPS = [
    "-fsanitize=signed-integer-overflow,shift,integer-divide-by-zero",
    "-fsanitize-undefined-trap-on-error",
]
CHECKED = ["-O1", "-g", "-DFAST_DEBUG=1", "-fno-wrapv", "-fno-omit-frame-pointer", *TRAPS]
COMPILE = {
    "release": ["-O3", "-g1"],
    "debug": CHECKED,
    "asan": [*CHECKED, "-fsanitize=address"],
}
LINK = {"release": [], "debug": [], "asan": ["-fsanitize=address"]}
WARNINGS = ["-Wall", "-Wsign-compare", "-Wno-unused-function", "-Wno-unreachable-code", "-Werror"]


class BuildExtensions(build_ext):
    """Keeps what each kind has built, so that changing the kind is a copy."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.parallel = JOBS
        self.build_temp = f"build/{KIND}/objects"

    def run(self) -> None:
        if self.inplace:
            self.build_lib = f"build/{KIND}/library"
        super().run()

    def copy_extensions_to_source(self) -> None:
        """Why removed first: a newer module of another kind would be left where it is,
        and one that a process has mapped must not be written over."""
        for ext in self.extensions:
            name = self.get_ext_filename(ext.name)
            place = Path(name)
            if place.exists() and not filecmp.cmp(place, Path(self.build_lib, name), shallow=False):
                place.unlink()
        super().copy_extensions_to_source()


def extensions() -> list[Extension]:
    """One extension a `.pyx`: one concept each, never an include."""
    sources = sorted(Path("gateway/_fast").glob("*.pyx"))
    return [
        Extension(
            f"gateway._fast.{source.stem}",
            [str(source)],
            extra_compile_args=COMPILE[KIND] + WARNINGS,
            extra_link_args=LINK[KIND],
        )
        for source in sources
        if not ONLY or source.stem in ONLY
    ]


def translated() -> list[Extension]:
    """The extensions as C."""
    from Cython.Build import cythonize  # noqa: PLC0415 - not needed with KIND=none
    from Cython.Compiler import Options  # noqa: PLC0415

    Options.warning_errors = IS_CI
    return cythonize(
        extensions(),
        build_dir=f"build/{KIND}",
        compiler_directives=DIRECTIVES | EXTRA_WARNINGS,
        nthreads=JOBS,
    )


if __name__ == "__main__":
    if KIND not in KINDS:
        raise SystemExit(f"KIND={KIND} is not one of {', '.join(KINDS)}")
    setup(
        ext_modules=[] if KIND == "none" else translated(),
        cmdclass={"build_ext": BuildExtensions},
    )
