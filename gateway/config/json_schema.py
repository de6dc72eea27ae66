"""JSON Schemas that somebody else wrote: in the file, or in a client's request.

    validator_of(schema).is_valid(value)

Rule 1: nothing is fetched: a `$ref` that leads out of the schema is no JSON Schema here.
        Else whoever sends a request could have the gateway read files and URLs for him.
Rule 2: patterns take time that grows with the text alone, whatever they are.

Needs jsonschema-rs, an extra; it is imported when the first schema is read.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def is_there(module: str) -> bool:
    """Whether a package of an extra can be imported; it is."""
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def validator_of(schema: Any) -> Any:
    """A validator of jsonschema-rs; ValueError or TypeError where it is no schema."""
    import jsonschema_rs  # noqa: PLC0415 - an extra

    return jsonschema_rs.validator_for(
        schema, retriever=_nowhere, pattern_options=jsonschema_rs.RegexOptions()
    )


def fault_of(schema: Any) -> str:
    """What is wrong with a schema, as a sentence without its end; "" nothing is."""
    try:
        validator_of(schema)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        return f"this is no JSON Schema: {reason}"
    return ""


def _nowhere(_uri: str) -> Any:
    raise ValueError("schemas are not fetched; write it here")
