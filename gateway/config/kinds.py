"""Kinds of single values that several sections of gateway.yaml share: numbers, texts, words."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
AtLeastOne = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Weight = Annotated[int, Meta(ge=0, le=1_000_000)]
Money = Annotated[float, Meta(ge=0, le=1_000_000)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Line = Annotated[str, Meta(pattern=r"^[ -~]*\Z")]  # may stand in a header
Pointer = Annotated[str, Meta(pattern=r"^(/[^\n]*)?\Z")]  # RFC 6901

PolicyName = Literal[
    "ordered",
    "weighted",
    "least_loaded",
    "cheapest",
    "fastest",
    "cheapest_within_slo",
    "balanced",
]
