"""What was in force last, so that a restart needs nothing else: the configuration's text, and
the delivery: where rollouts and switches stood.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.config.file import write_private
from gateway.errors import StateError
from gateway.messages import Delivery
from gateway.state.directory import prepared

FILE_NAME = "last-good.yaml"
DELIVERY_FILE_NAME = "delivery.json"


def store_last_good(directory: Path, text: str) -> None:
    """Keep the text, atomically, readable by its owner only."""
    _store(directory, FILE_NAME, text.encode())


def store_delivery(directory: Path, delivery: Delivery) -> None:
    """Keep where rollouts and switches stand."""
    _store(directory, DELIVERY_FILE_NAME, msgspec.json.encode(delivery))


def load_delivery(directory: Path) -> Delivery:
    """Where rollouts and switches stood; StateError when that cannot be told."""
    path = directory / DELIVERY_FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Delivery)
    except (FileNotFoundError, NotADirectoryError):
        return Delivery()
    except (OSError, msgspec.DecodeError):
        raise StateError(
            f"cannot read {path}; remove it to start with no rollout under way"
        ) from None


def _store(directory: Path, name: str, content: bytes) -> None:
    try:
        write_private(prepared(directory) / name, content)
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
