"""Weights as parts of a million buckets, in order."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.plan import PPM

Parts = tuple[tuple[str, int], ...]  # (name, the bucket before which it ends)


def split_of(weights: Sequence[tuple[str, int]]) -> Parts:
    """Where each part of all buckets ends, by weight; parts of nothing are left out.

    Rounded as a whole, so that the last part ends at a million exactly.
    """
    total = sum(weight for _name, weight in weights)
    parts, so_far = [], 0
    for name, weight in weights:
        so_far += weight
        if weight:
            # Why rounded up: bucket < ⌈k·10⁶/n⌉ holds exactly where bucket/10⁶ < k/n does.
            parts.append((name, -(-so_far * PPM // total)))
    return tuple(parts)


def part_at(parts: Sequence[tuple[str, int]], bucket: int) -> str:
    """The part that a bucket belongs to."""
    return next(name for name, until in parts if bucket < until)
