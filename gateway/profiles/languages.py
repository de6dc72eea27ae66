"""Which language texts are in: by CLD2, where it is installed (the extra `language`).

The field `NAME#language` counts the codes of ISO 639 as categories. CLD2 was chosen of four: on
short texts of eleven languages all of them were right, at 5 us a text (CLD2), 23 (fastText's small
model), 56 (py3langid) and 330 (lingua, its fast mode). What it needs is in the package: nothing is
fetched.

Cost: 5 to 10 us a text; of each the first BYTES are read, and one that comes again soon is known.
Rule: the same text is always the same language, so counts do not depend on how lines are batched.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

LANGUAGE = "language"  # the measure
UNKNOWN = "unknown"  # too short, mixed, no language
BYTES = 256
REMEMBERED = 4096  # texts of at most BYTES

# What CLD2 takes for an error stands for a space.
_PRINTABLE = bytes(at if at >= 0x20 and at != 0x7F else 0x20 for at in range(256))

log = logging.getLogger(__name__)


def languages(texts: Sequence[bytes]) -> list[str] | None:
    """The language of each text in UTF-8; None where the extra is missing, which is told once."""
    if is_there():
        return [_language(text[:BYTES]) for text in texts]
    _tell()
    return None


def is_there() -> bool:
    """Whether the extra is installed."""
    return _cld2() is not None


@lru_cache(maxsize=REMEMBERED)
def _language(text: bytes) -> str:
    cld2 = _cld2()
    # Why decoded: it may have been cut within a character, which CLD2 takes for an error.
    whole = text.decode(errors="ignore").encode().translate(_PRINTABLE)
    try:
        is_reliable, _bytes, found = cld2.detect(whole, isPlainText=True)
    except cld2.error:  # other characters that it does not take
        return UNKNOWN
    return str(found[0][1]) if is_reliable else UNKNOWN


@lru_cache(maxsize=1)
def _cld2() -> Any:
    try:
        return import_module("pycld2")
    except ImportError:
        return None


@lru_cache(maxsize=1)
def _tell() -> None:
    log.warning("languages of texts are not counted: pip install 'inference-gateway[language]'")
