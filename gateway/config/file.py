"""Writing a configuration file without ever leaving half of one."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.errors import ConfigError, Problem


def replace_text(path: Path, text: str, *, stamp: str) -> Path:
    """Put the text in place of the file's, atomically; the old file is kept, its path returned.

    `stamp` makes the kept file's name unique, such as `20260131-120000`.
    """
    target = path.resolve()  # Why: a link, as Kubernetes makes them, stays a link
    backup = target.with_name(f"{target.name}.{stamp}.bak")
    fresh = target.with_name(f".{target.name}.{stamp}.new")
    try:
        mode = target.stat().st_mode & 0o777
        _write(backup, target.read_bytes(), mode)
        _write(fresh, text.encode(), mode)
        fresh.replace(target)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ConfigError((Problem(f"cannot write {path}: {error.strerror}"),)) from None
    return backup


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, atomically."""
    fresh = path.with_name(f".{path.name}.new")
    _write(fresh, content, 0o600)
    fresh.replace(path)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
