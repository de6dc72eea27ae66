"""Options that many verbs have: where the configuration is, and where the state."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_FILE = Path("gateway.yaml")

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")]
StateDirectory = Annotated[
    Path | None, typer.Option("--state", help="The state directory; default: as the file says.")
]
