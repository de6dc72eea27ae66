"""`gateway version`."""

from __future__ import annotations

import json
import platform
from typing import Annotated

import typer

from gateway import __version__
from gateway.cli.verbs import verb_app

app = verb_app()


@app.command()
def version(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the version."""
    python = platform.python_version()
    if as_json:
        print(json.dumps({"version": __version__, "python": python}))
    else:
        print(f"gateway {__version__} (Python {python}, {platform.system()} {platform.machine()})")
