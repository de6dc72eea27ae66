"""The manual and its printed copy."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.config import recording, rollouts, schema, watching
from gateway.config.manual import manual


def test_document_is_up_to_date() -> None:
    """Else run `python -m gateway.config.manual > docs/configuration.md`."""
    assert Path("docs/configuration.md").read_text() == manual()


def test_every_key_has_a_meaning_and_every_section_a_heading() -> None:
    found = (vars(schema) | vars(recording) | vars(rollouts) | vars(watching)).values()
    sections = [one for one in found if isinstance(one, msgspec.StructMeta)]
    keys = sum(len(one.__struct_fields__) for one in sections if one is not msgspec.Struct)
    rows = [line for line in manual().splitlines() if line.startswith("| `")]
    assert len(rows) == keys
    assert not [row for row in rows if row.endswith("|  |")]


def test_section_in_two_places_is_explained_once() -> None:
    assert manual().count("## backends.NAME.timeout\n") == 1
    assert "Also: `defaults.timeout`." in manual()
