"""The state directory, which whoever keeps something there makes if it is not there.

Apart from `database`, so that the supervisor, which keeps files only, does not load it.
"""

from __future__ import annotations

from pathlib import Path

from gateway.errors import StateError

DATABASE = "gateway.sqlite"


def prepared(directory: Path) -> Path:
    """The state directory, made if it is not there."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"cannot make the state directory {directory}: {error.strerror}") from None
    return directory
