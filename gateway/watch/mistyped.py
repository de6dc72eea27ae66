"""Which lines have a value of another type than the reference's fields."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.profiles.extraction import Batch, Extraction
from gateway.profiles.fields import Field
from gateway.profiles.profile import (
    JSON_ARRAY,
    JSON_NULL,
    JSON_NUMBER,
    JSON_STRING,
    Kinds,
)

Mask = NDArray[np.bool_]


def mistyped(extraction: Extraction, batch: Batch, fields: Sequence[Field]) -> Mask:
    """Of each line of the batch, whether one of the fields is of another type in it."""
    found = np.zeros(batch.lines.kinds.shape[1], np.bool_)
    for field in fields:
        kinds, lines = extraction.kinds(batch, field)
        is_wrong = _is_wrong(kinds, field).any(axis=0)
        found[is_wrong if lines is None else lines[is_wrong]] = True
    return found


def _is_wrong(kinds: Kinds, field: Field) -> Mask:
    """As `Profile` counts a violation."""
    if field.kind == "category" and not field.measure:
        is_wrong: Mask = kinds >= JSON_ARRAY
    elif field.kind == "boolean":
        is_wrong = kinds >= JSON_NUMBER
    else:
        wanted = JSON_STRING if field.measure else JSON_NUMBER
        is_wrong = (kinds > JSON_NULL) & (kinds != wanted)
    return is_wrong
