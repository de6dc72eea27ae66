"""Loading modules with the collector at rest.

What is loaded at a start lives as long as the process, so that looking through it for garbage,
time and again while it grows, finds nothing: a fifth of a controller's start.

Knows nothing of what is loaded.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Within, no garbage is looked for."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
