"""Two answers to one request compared, as a ComparePlan says.

What agrees is decided by what is configured: label, number, text; all of it must. Where
nothing is configured: by the label, else by the document where its protocol has one that
two good answers share (kserve, http), else by nothing: two texts are not judged by default.

Rule 1: every figure is the copy's minus the client's.
Rule 2: bodies are compared when both answers are good and both bodies are here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from gateway.comparison.answers import Answer
from gateway.comparison.differences import Differences
from gateway.comparison.pointers import MISSING, found, steps_of
from gateway.comparison.readings import Reading, cosine, label_of, number_of, read
from gateway.comparison.texts import measure, similarity
from gateway.config.json_schema import validator_of
from gateway.messages import Comparison
from gateway.plan import ComparePlan

_NANO = 1e-9

Meets = Callable[[Any], bool]


class Readings(Struct, frozen=True):
    """Both answers, read."""

    client: Reading
    shadow: Reading


class Comparer:
    """Compares the answers of one route and one backend."""

    def __init__(self, plan: ComparePlan, protocol: str) -> None:
        self._plan = plan
        self._protocol = protocol
        self._ignore = tuple(map(steps_of, plan.ignore))
        self._label, self._number = steps_of(plan.label), steps_of(plan.number)
        self._text = steps_of(plan.text)
        self._meets = _validator(plan.schema) if plan.schema else None
        self._measure = measure()

    def read(self, client: Answer, shadow: Answer, operation: str) -> Readings | None:
        """What both say; None where that cannot be compared."""
        theirs = read(client, self._protocol, operation)
        ours = read(shadow, self._protocol, operation) if theirs is not None else None
        if theirs is None or ours is None:
            return None
        return Readings(self._pointed(theirs), self._pointed(ours))

    def compare(
        self, of: str, client: Answer, shadow: Answer, readings: Readings | None
    ) -> Comparison:
        """The comparison; without readings it is of figures alone."""
        figures = figures_of(of, client, shadow)
        if readings is None:
            return figures
        theirs, ours = readings.client, readings.shadow
        differences = Differences(self._plan.tolerance, self._ignore)
        if theirs.document is not MISSING and ours.document is not MISSING:
            differences.compare(theirs.document, ours.document)
        alike = self._alike(theirs, ours)
        number = _minus(ours.number, theirs.number)
        labels = _pair(theirs.label, ours.label)
        return msgspec.structs.replace(
            figures,
            agrees=self._agrees(differences, alike, number, labels, readings),
            schema=self._validity(theirs, ours),
            differences=tuple(differences.shown),
            difference_count=differences.count,
            number=number,
            labels=labels,
            similarity=alike,
        )

    def _pointed(self, reading: Reading) -> Reading:
        """With what the configuration points to in place of the protocol's own."""
        if self._label:
            reading.label = label_of(found(reading.whole, self._label))
        if self._number:
            reading.number = number_of(found(reading.whole, self._number))
        if self._text:
            text = found(reading.whole, self._text)
            reading.text = text if isinstance(text, str) else None
        return reading

    def _alike(self, theirs: Reading, ours: Reading) -> float | None:
        if theirs.vector is not None and ours.vector is not None:
            return cosine(theirs.vector, ours.vector)
        if theirs.text is None or ours.text is None:
            return None
        return similarity(theirs.text, ours.text, self._measure)

    def _agrees(
        self,
        differences: Differences,
        alike: float | None,
        number: float | None,
        labels: tuple[str, str] | None,
        readings: Readings,
    ) -> bool | None:
        plan, said = self._plan, list[bool | None]()
        if plan.label:
            said.append(None if labels is None else labels[0] == labels[1])
        if plan.number:
            said.append(None if number is None else abs(number) <= plan.tolerance)
        if plan.similarity:
            said.append(None if alike is None else alike >= plan.similarity)
        if not said and labels is not None:
            said.append(labels[0] == labels[1])
        if not said and self._protocol != "openai" and readings.client.document is not MISSING:
            is_same = not differences.count and differences.is_complete
            said.append(is_same if is_same or differences.count else None)
        if not said or None in said:
            return None
        return all(said)

    def _validity(self, theirs: Reading, ours: Reading) -> tuple[bool, bool] | None:
        if self._meets is None:
            return None
        return self._is_valid(theirs.structured), self._is_valid(ours.structured)

    def _is_valid(self, value: Any) -> bool:
        return value is not MISSING and self._meets is not None and self._meets(value)


def figures_of(of: str, client: Answer, shadow: Answer) -> Comparison:
    """What needs no body."""
    first_byte_us = 0
    if client.first_byte_ns and shadow.first_byte_ns:
        first_byte_us = shadow.first_byte_ns // 1000 - client.first_byte_ns // 1000
    return Comparison(
        of=of,
        backend=client.backend,
        outcome=client.outcome,
        status=client.status,
        latency_us=shadow.total_ns // 1000 - client.total_ns // 1000,
        first_byte_us=first_byte_us,
        cost_usd=round((shadow.nano_usd - client.nano_usd) * _NANO, 9),
        output_tokens=max(shadow.output_tokens, 0) - max(client.output_tokens, 0),
    )


def _validator(schema: bytes) -> Meets:
    meets: Meets = validator_of(msgspec.json.decode(schema)).is_valid
    return meets


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _pair(theirs: str | None, ours: str | None) -> tuple[str, str] | None:
    """Both labels; one that is not there is empty."""
    return None if theirs is None and ours is None else (theirs or "", ours or "")
