"""The JSON Schema of a line of the log: a Record or Feedback of gateway/messages.py.

Descriptions are the comments beside the fields, as in docs/records.md. Unknown members are
allowed, since a newer gateway may add some.
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from gateway import messages
from gateway.config.manual import comments_in
from gateway.messages import RECORD_VERSION, Feedback, Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def line_schema() -> dict[str, Any]:
    """The schema, as JSON Schema 2020-12."""
    alternatives, definitions = msgspec.json.schema_components(
        (Record, Feedback), ref_template="#/$defs/{name}"
    )
    for (section, field), comment in comments_in(inspect.getsource(messages)).items():
        if comment and section in definitions:
            definitions[section]["properties"][field]["description"] = comment
    definitions["Feedback"]["properties"]["kind"] = {"const": "feedback"}
    definitions["Record"]["properties"]["kind"] |= {"not": {"const": "feedback"}}
    for name in ("Record", "Feedback"):
        definitions[name]["properties"]["v"] |= {"const": RECORD_VERSION}
    return {
        "$schema": DIALECT,
        "title": "A line of the prediction log",
        "oneOf": list(alternatives),
        "$defs": definitions,
    }
