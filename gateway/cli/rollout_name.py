"""The name of a rollout: as an argument, and as a path of the admin port."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

Name = Annotated[str, typer.Argument(help="The rollout's name.")]


def path_of(name: str) -> str:
    return f"/api/v1/rollouts/{quote(name, safe='')}"
