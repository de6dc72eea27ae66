"""The text of the configuration that was applied last, so that a restart needs nothing else."""

from __future__ import annotations

from pathlib import Path

from gateway.config.file import write_private
from gateway.errors import StateError
from gateway.state.database import prepared

FILE_NAME = "last-good.yaml"


def store_last_good(directory: Path, text: str) -> None:
    """Keep the text, atomically, readable by its owner only."""
    try:
        write_private(prepared(directory) / FILE_NAME, text.encode())
    except OSError as error:
        raise StateError(
            f"cannot write to the state directory {directory}: {error.strerror}"
        ) from None


def load_last_good(directory: Path) -> str | None:
    """The text; None when there is none."""
    try:
        return (directory / FILE_NAME).read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise StateError(f"cannot read {directory / FILE_NAME}") from None
