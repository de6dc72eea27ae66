"""What only many rows show: more nulls than `nulls` allows, required fields that go missing.

A share is too large when the exact binomial test says so at `alpha`: with the share that is
allowed, so many or more would be seen less often than that. One null of ten rows is no
anomaly under `nulls: 5%`; a hundred of a thousand are.

Pure, for the consumer of the log; scipy is imported when it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from gateway.config.watching import ContractField, ContractSide
from gateway.contracts import anomalies as names
from gateway.contracts.anomalies import Anomaly


class Counts(Struct, frozen=True, kw_only=True):
    """What was counted of one field in a stretch of time."""

    rows: int  # that could have had it
    nulls: int = 0
    missing: int = 0


def share_anomalies(
    side: ContractSide, counted: Mapping[str, Counts], *, alpha: float
) -> list[Anomaly]:
    """Of each field whose nulls or gaps are more than the contract allows."""
    found = []
    for name, counts in counted.items():
        section = side.fields.get(name)
        if section is None or counts.rows == 0:
            continue
        field = ContractField() if isinstance(section, str) else section
        present = counts.rows - counts.missing
        if is_above(counts.nulls, present, float(field.nulls), alpha):
            found.append(_anomaly(names.NULL, name, counts.nulls, present, float(field.nulls)))
        if field.required and is_above(counts.missing, counts.rows, 0.0, alpha):
            anomaly = names.MISSING if present == 0 else names.SOMETIMES_MISSING
            found.append(_anomaly(anomaly, name, counts.missing, counts.rows, 0.0))
    return found


def is_above(count: int, of: int, share: float, alpha: float) -> bool:
    """Whether so many of so many are more than this share explains."""
    if count == 0 or of == 0:
        return False
    if share == 0.0:
        return True
    from scipy.special import bdtrc  # noqa: PLC0415  slow to import

    return bool(bdtrc(count - 1, of, share) < alpha)


def _anomaly(anomaly: str, field: str, count: int, of: int, share: float) -> Anomaly:
    what = "null" if anomaly == names.NULL else "missing"
    return Anomaly(
        name=anomaly,
        field=field,
        pointer="",
        expected=f"at most {100 * share:g} % {what}",
        got=f"{count} of {of}",
    )
