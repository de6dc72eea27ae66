"""Libraries that are measured on the same rows, each in a virtual environment of its own.

Each has a script in `scripts/` that its own Python runs: it is given a file of rows and
prints lines of JSON.

Rule: a peer that is missing, or fails, is left out with a sentence, never an error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.drift.findings import Rate
from bench.load.peers import ENVIRONMENTS

SCRIPTS = Path(__file__).with_name("scripts")
LONGEST_S = 300


class Library(Struct, frozen=True, kw_only=True):
    """One of them."""

    name: str
    requirements: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Its environment."""
        return ENVIRONMENTS / f"drift-{self.name}"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"


# Why the bounds: releases of these that import nothing of pandas 3 or numpy 2 that is gone.
LIBRARIES = (
    Library(name="evidently", requirements=("evidently>=0.7", "pandas<3")),
    Library(name="nannyml", requirements=("nannyml>=0.13", "pandas<3", "statsmodels")),
    Library(name="whylogs", requirements=("whylogs[viz]>=1.6", "numpy<2", "pandas<3")),
    Library(name="river", requirements=("river>=0.22",)),
)


def install(library: Library) -> str:
    """Makes its environment; what was done, in one sentence."""
    subprocess.run([sys.executable, "-m", "venv", str(library.folder)], check=True)
    pip = [str(library.folder / "bin" / "pip"), "install", "--quiet", "--upgrade"]
    subprocess.run([*pip, *library.requirements], check=True)
    return f"{library.name}: {', '.join(library.requirements)} installed into {library.folder}"


def measured(library: Library, rows: Path) -> tuple[str, list[Rate]]:
    """(its version, its rates); RuntimeError with a sentence where there are none."""
    found = said(library, f"{library.name}_rates.py", str(rows))
    return found[0]["version"], list(_rates(library.name, found[1:]))


def said(
    library: Library, script: str, *arguments: str, longest_s: float = LONGEST_S
) -> list[dict[str, Any]]:
    """The lines of JSON of a script that its Python runs; RuntimeError where it cannot."""
    if not library.python.exists():
        raise RuntimeError(f"{library.name} is not installed; `python -m bench.drift --install`")
    command = [str(library.python), "-W", "ignore", str(SCRIPTS / script), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=longest_s,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{library.name} took more than {longest_s:.0f} s") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no output"])[-1]
        raise RuntimeError(f"{library.name} failed: {last}") from None
    return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]


def _rates(name: str, said: list[dict[str, object]]) -> Iterator[Rate]:
    for one in said:
        yield Rate(
            system=name,
            what=str(one["what"]),
            unit=str(one["unit"]),
            count=int(str(one["count"])),
            seconds=float(str(one["seconds"])),
            is_ours=False,
        )
