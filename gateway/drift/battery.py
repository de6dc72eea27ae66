"""Tests of current profiles against a reference's, all fields in one pass.

Each test has a statistic, a p-value from its null at these sample sizes, and an effect: what
is left of the statistic when what chance gives is taken away (`verdict`).

Cost: 50 us for 20 numeric fields (docs/drift.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gateway._fast import adjusted_into
from gateway.drift.control import FAMILIES, Control, adjusted, factor, family_shares
from gateway.drift.groups import Embeddings, Group, Numbers, joined
from gateway.drift.qualities import Qualities
from gateway.drift.verdict import LEAST, NAMED, NUMERIC, Limits, Outcome, Test, Verdict
from gateway.profiles.fields import NAMED as NAMED_KINDS
from gateway.profiles.fields import Floats
from gateway.profiles.profile import Profile

OF_QUALITIES = 1 / 8  # of alpha


class Battery:
    """The tests of one reference."""

    def __init__(
        self,
        reference: Mapping[str, Profile],
        *,
        limits: Limits | None = None,
        least: int = LEAST,
        numeric: Sequence[Test] = NUMERIC,
        named: Sequence[Test] = NAMED,
    ) -> None:
        self.limits = limits or Limits()
        self.least = least
        ordered = [one for one in reference.values() if one.field.is_ordered]
        categories = [one for one in reference.values() if one.field.kind in NAMED_KINDS]
        embeddings = [one for one in reference.values() if one.field.kind == "embedding"]
        self._groups: list[Group] = []
        if ordered:
            usual = tuple(numeric) == NUMERIC
            self._groups.append(Numbers(ordered) if usual else Group(ordered, numeric))
        if categories:
            self._groups.append(Group(categories, named))
        if embeddings:
            self._groups.append(Embeddings(embeddings))
        self._empty = [Profile(one.field) for one in (*ordered, *categories, *embeddings)]
        self._cuts = np.cumsum([len(group.fields) for group in self._groups])[:-1]
        self._share = family_shares([FAMILIES[one.field.kind] for one in self._empty])
        self._order = [one.field.name for one in self._empty]
        self._qualities = Qualities(self._empty, [reference[name] for name in self._order])

    @property
    def fields(self) -> tuple[str, ...]:
        """Names, in the order they are tested."""
        return tuple(self._order)

    def look(
        self, current: Mapping[str, Profile], alpha: float, *, control: Control = "bh"
    ) -> Verdict:
        """What is unlike the reference. If nothing is, anything is said with probability alpha.

        An eighth of alpha is for the shares of what is none, where there is any: tests of counts
        that are few are seldom wrong, and of what is there they are sure at once.
        """
        profiles = [current.get(one.field.name, one) for one in self._empty]
        counts = joined(profiles)
        outcomes: list[Outcome] = []
        at = cell = 0
        for group in self._groups:
            end, last = at + len(group.fields), cell + group.size
            outcomes.append(group.look(counts[cell:last], profiles[at:end], self.least))
            at, cell = end, last
        parts = self._adjusted_parts(outcomes, control)
        qualities = self._qualities.changed(
            counts, alpha * OF_QUALITIES, control, self.least, self.limits.share
        )
        # Why the whole: those tests are made given how many there are in all, so that none at
        # all decides nothing about the values.
        of_values = alpha if qualities is None else alpha * (1 - OF_QUALITIES)
        drifting: set[str] = set()
        for outcome, part in zip(outcomes, parts, strict=True):
            if float(part.min()) <= of_values:
                is_one = outcome.drifting(of_values, part, self.limits).tolist()
                drifting |= {f.name for f, is_ in zip(outcome.fields, is_one, strict=True) if is_}
        broken: dict[str, tuple[str, ...]] = {}
        for one in qualities or ():
            if one.is_drift:
                broken[one.field] = (*broken.get(one.field, ()), one.test)
        return Verdict(
            of_values,
            self.limits,
            tuple(outcomes),
            tuple(parts),
            frozenset(drifting),
            broken,
            qualities or (),
        )

    def _adjusted_parts(self, outcomes: Sequence[Outcome], control: Control) -> list[Floats]:
        """Adjusted p-values of all fields, by outcome; each family has an equal share of alpha."""
        p = outcomes[0].p if len(outcomes) == 1 else np.concatenate([one.p for one in outcomes])
        # Why never less than p: weights are relative, and one field's must not make up for it.
        if control == "bonferroni":
            whole = np.maximum(adjusted(np.minimum(p * self._share, 1.0), control), p)
        else:
            whole = np.empty(p.size)
            adjusted_into(whole, p, p.size, factor(control, p.size), self._share)
        return [whole] if len(outcomes) == 1 else np.split(whole, self._cuts)
