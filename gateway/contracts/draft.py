"""From recorded lines to the YAML of a contract, to be read, edited and kept in the file.

Where rows stand in a body is found by the shapes that model servers know: KServe's tensors,
TF Serving's `instances` and `inputs`, MLflow's `dataframe_records` and `dataframe_split`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from gateway.contracts.inference import Inference
from gateway.contracts.rows import Misfit, Row, rows_of

_SHAPES = (
    ("/inputs", "kserve"),
    ("/outputs", "kserve"),
    ("/instances", "rows"),
    ("/dataframe_records", "rows"),
    ("/dataframe_split", "split"),
    ("/predictions", "rows"),
    ("/inputs", "columns"),
    ("", "rows"),
)
# Where records have features and predictions from, unless they are told.
_USUAL: dict[str, dict[str, str]] = {
    "input": {"kserve": "/inputs"},
    "output": {"kserve": "/outputs", "http": "/predictions"},
}
_NOTHING: frozenset[str] = frozenset()


class Draft(Struct, frozen=True, kw_only=True):
    """What was learnt of one side."""

    at: str
    style: str
    inference: Inference
    records: int
    unread: int  # records whose rows were not found there


def learn(lines: Iterable[bytes], which: str, at: str) -> Draft | None:
    """From lines of the log, `input` or `output`; None: no line has what is needed.

    `at` is where features, or predictions, stood in their bodies; "": where they do by default.
    """
    inference = Inference()
    place: tuple[str, str] | None = None
    records = unread = 0
    for value, stood in _values(lines, which, at):
        if place is None:
            place = _place_of(value, stood)
        rows = [] if place is None else _rows(value, stood, place)
        records += 1
        if rows:
            inference.add(rows)
        else:
            unread += 1
    if place is None:
        return None
    return Draft(at=place[0], style=place[1], inference=inference, records=records, unread=unread)


def _values(lines: Iterable[bytes], which: str, at: str) -> Iterator[tuple[Any, str]]:
    """What of each line holds rows, and where that stood in its body."""
    kept, body = ("features", "request") if which == "input" else ("predictions", "response")
    for line in lines:
        record = msgspec.json.decode(line)
        if kept in record and (which == "input" or record["outcome"] == "ok"):
            yield record[kept], at or _USUAL[which].get(record.get("protocol", ""), "")
            continue
        part = record.get(body, {})
        if part.get("type") == "json" and not part.get("redacted") and record["outcome"] == "ok":
            yield part["body"], ""


def _place_of(value: Any, at: str) -> tuple[str, str] | None:
    for pointer, style in _SHAPES:
        if pointer.startswith(at) and _rows(value, at, (pointer, style)):
            return pointer, style
    return (at, "rows") if at and _rows(value, at, (at, "rows")) else None


def _rows(value: Any, at: str, place: tuple[str, str]) -> list[Row]:
    pointer, style = place
    for token in pointer.removeprefix(at).split("/")[1:]:
        if not isinstance(value, dict) or token not in value:
            return []
        value = value[token]
    rows = rows_of(value, style, pointer, _NOTHING)
    return [] if isinstance(rows, Misfit) else list(rows)


def yaml_of(route: str, drafts: dict[str, Draft], version: str) -> str:
    """The section of the configuration, with what each line rests on as a comment."""
    lines = ["routes:", f"  {_flow(route)}:", "    contract:"]
    lines.append("      on_violation: flag  # then reject, or repair, when you trust it")
    lines.append(f"      version: {_flow(version)}")
    for which, draft in drafts.items():
        unread = f", {draft.unread} without rows there" if draft.unread else ""
        rows = draft.inference.rows
        lines.append(f"      {which}:  # from {draft.records} records, {rows} rows{unread}")
        if draft.at:
            lines.append(f"        at: {_flow(draft.at)}")
        if draft.style != "rows":
            lines.append(f"        format: {draft.style}")
        lines.append("        fields:")
        remarks = draft.inference.remarks()
        for name, field in draft.inference.fields().items():
            section = field["type"] if len(field) == 1 else field
            lines.append(f"          {_flow(name)}: {_flow(section)}  # {remarks[name]}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    text: str = yaml.safe_dump(
        value, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")
