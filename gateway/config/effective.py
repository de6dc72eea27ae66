"""A configuration as plain data again: defaults filled in, units readable, secrets masked."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from gateway.config.schema import Config
from gateway.config.units import Duration, Secret, Share, Size

MASK = "***"


def effective(config: Config) -> dict[str, object]:
    """What is in force, in the words of the file; parses back to an equal configuration."""
    whole = {name: plain(getattr(config, name)) for name in config.__struct_fields__}
    del whole["defaults"]  # already laid under every backend and route
    return whole


def plain(value: object) -> object:
    """A value of the schema as the file would have it; secrets masked."""
    if isinstance(value, Secret):
        return MASK if value else ""
    if isinstance(value, Duration | Size | Share):
        return str(value)
    if isinstance(value, Struct):
        return {
            field.encode_name: plain(getattr(value, field.name))
            for field in msgspec.structs.fields(value)
        }
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value
