"""Nanoseconds an operation, of kernels as the data plane calls them.

A bench gives Cython source with `def run(n)`-style functions that cimport the kernels;
it is compiled into a temporary folder with the release flags, so that what is measured
has no Python in its loop. Each figure is the best of several runs: the machine's noise
only ever adds.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

from Cython.Build import cythonize
from setuptools import Distribution, Extension

ROOT = Path(__file__).parents[2]
FLAGS = ["-O3", "-Wno-unused-function"]
RUNS = 7


def compiled(name: str, source: str) -> ModuleType:
    """The module of this Cython source, against the tree's .pxd files and built modules."""
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.pyx")
        path.write_text(source)
        extensions = cythonize(  # type: ignore[no-untyped-call]
            [Extension(name, [str(path)], extra_compile_args=FLAGS)],
            include_path=[str(ROOT)],
            build_dir=folder,
            quiet=True,
            compiler_directives={"language_level": 3, "cdivision": True},
        )
        build = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        build.build_lib = build.build_temp = folder
        build.ensure_finalized()
        build.run()
        # Safety: the module stays mapped when its file is gone.
        loader = ExtensionFileLoader(name, build.get_ext_fullpath(name))
        spec = spec_from_loader(name, loader)
        assert spec, "a loader of files gives a spec"
        module = module_from_spec(spec)
        loader.exec_module(module)
    return module


def report(name: str, run: Callable[[int], object], operations: int) -> None:
    """Print the best time of `run(operations)` as a JSON line."""
    best = min(_seconds(run, operations) for _ in range(RUNS))
    print(json.dumps({"name": name, "ns": round(best / operations * 1e9, 2)}))


def _seconds(run: Callable[[int], object], operations: int) -> float:
    start = time.perf_counter()
    run(operations)
    return time.perf_counter() - start
