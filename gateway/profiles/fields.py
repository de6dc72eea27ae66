"""What is frozen of a field: where its values fall, and in which units they are summed.

The cells of a profile are the field's bins (of numbers, between edges; of categories, one
each), then the special ones, in the order of SPECIALS. Zero has a bin of its own: its two
edges are 0 and the least number above it.

Rule: a Field never changes; profiles of another one do not add up with this one's.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway._fast import hash_of

Kind = Literal["numeric", "score", "boolean", "category", "text", "embedding"]
Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

SPECIALS = ("missing", "null", "nan", "above", "below", "unseen", "violation")
MISSING, NULL, NAN, ABOVE, BELOW, UNSEEN, VIOLATION = range(len(SPECIALS))
ORDERED: tuple[Kind, ...] = ("numeric", "score")
NAMED: tuple[Kind, ...] = ("boolean", "category")
LEAST_ABOVE_ZERO = 5e-324
BINS = 64
TOP = 256  # categories counted by name
FINE = 20  # the unit of sums is about 2^-FINE of the reference's spread


class Field(Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """One field. Text is measured: each measure is a numeric field of its own."""

    name: str  # of a feature; a pointer into the record where it begins with "/"
    kind: Kind
    # numbers
    edges: tuple[float, ...] = ()  # rising; bin b has what is at least edges[b - 1]
    low: float = 0.0  # of the reference, finite
    high: float = 0.0
    reach_below: float = 0.0  # how far its values below its first edge are from it, on average
    reach_above: float = 0.0
    center: float = 0.0
    unit: float = 1.0  # a power of two
    of: str = ""  # the text that is measured
    measure: str = ""  # one of texts.MEASURES, or languages.LANGUAGE
    # categories
    categories: tuple[str, ...] = ()  # most frequent first
    # embeddings
    dimensions: int = 0
    waves: int = 0  # pairs of cosine and sine
    width: float = 1.0  # of the kernel
    seed: int = 0
    spread: float = 0.0  # trace of the random features' covariance in the reference …
    spread_squared: float = 0.0  # … and of its square

    @property
    def is_ordered(self) -> bool:
        """Whether bins have an order."""
        return self.kind in ORDERED

    @property
    def bins(self) -> int:
        """Cells before the special ones; of embeddings one, for whole vectors."""
        if self.kind == "embedding":
            return 1
        return len(self.edges) + 1 if self.is_ordered else len(self.categories)

    @cached_property
    def cells(self) -> int:
        """All of them."""
        return self.bins + len(SPECIALS)

    @cached_property
    def identity(self) -> str:
        """What two fields have in common whose profiles add up: 16 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]

    @cached_property
    def padded_edges(self) -> Floats:
        """Edges and infinities, 2^k - 1 in all."""
        room = 1
        while room < len(self.edges) + 1:
            room *= 2
        padded = np.full(max(room, 2) - 1, np.inf)
        padded[: len(self.edges)] = self.edges
        return padded

    @cached_property
    def zero_bin(self) -> int:
        """The bin of zero alone."""
        return self.edges.index(LEAST_ABOVE_ZERO) if LEAST_ABOVE_ZERO in self.edges else -1

    @cached_property
    def outer_bins(self) -> tuple[int, int]:
        """How many bins are below all of the reference, and how many above."""
        above = math.nextafter(self.high, math.inf)
        has_below, has_above = self.low in self.edges, above in self.edges
        return (
            self.edges.index(self.low) + 1 if has_below else 0,
            len(self.edges) - self.edges.index(above) if has_above else 0,
        )

    @cached_property
    def words(self) -> tuple[Words, NDArray[np.intp]]:
        """The categories' hashes, rising, and the bin of each."""
        hashes = np.array([hash_of(name.encode()) for name in self.categories], np.uint64)
        order = np.argsort(hashes)
        return hashes[order], order

    @cached_property
    def frequencies(self) -> Floats:
        """Of the kernel's random features: waves by dimensions."""
        drawn = np.random.default_rng(self.seed).standard_normal((self.waves, self.dimensions))
        return drawn / self.width


def numeric_field(name: str, values: Floats, *, kind: Kind = "numeric", bins: int = BINS) -> Field:
    """Frozen on the finite values of a reference."""
    finite = np.sort(values[np.isfinite(values)])
    if not finite.size:
        return Field(name=name, kind=kind, edges=(0.0, LEAST_ABOVE_ZERO))
    low, high = float(finite[0]) + 0.0, float(finite[-1]) + 0.0
    center = float(np.median(finite))
    edges = _edges(finite, bins)
    inside = [edge for edge in edges if low < edge < high] or [high]
    below, above = finite[finite < inside[0]], finite[finite >= inside[-1]]
    return Field(
        name=name,
        kind=kind,
        edges=edges,
        low=low,
        high=high,
        reach_below=float(np.mean(inside[0] - below)) if below.size else 0.0,
        reach_above=float(np.mean(above - inside[-1])) if above.size else 0.0,
        center=center,
        unit=_unit(finite, center),
    )


def _edges(finite: Floats, bins: int) -> tuple[float, ...]:
    """Quantiles of the reference, its range and both edges of zero; of few values both of each.

    What is below all of the reference, or above, is in bins of its own: the outermost.
    """
    wanted = max(bins - 5, 1)
    distinct = np.unique(finite)
    if distinct.size <= wanted // 2:
        # Why both: what lies between two of them would count as the lower one.
        edges = np.concatenate([distinct, np.nextafter(distinct, np.inf)])
    else:
        if distinct.size > wanted:
            ranks = np.arange(1, wanted + 1) / (wanted + 1)
            distinct = np.unique(np.quantile(finite, ranks, method="inverted_cdf"))
        inside = distinct[distinct > finite[0]]
        edges = np.concatenate([finite[:1], inside, np.nextafter(finite[-1:], np.inf)])
    return tuple(np.unique([*edges, 0.0, LEAST_ABOVE_ZERO]).tolist())


def _unit(finite: Floats, center: float) -> float:
    """A power of two far below the spread, which an outlier does not move."""
    quartiles = np.quantile(finite, (0.25, 0.75))
    spread = float(quartiles[1] - quartiles[0]) or float(np.std(finite)) or abs(center) or 1.0
    exponent = int(np.clip(np.floor(np.log2(spread)) - FINE, -1000, 900))
    return float(np.ldexp(1.0, exponent))


def category_field(
    name: str, values: Sequence[str], counts: Sequence[int], *, top: int = TOP
) -> Field:
    """The most frequent values of a reference; of equally frequent ones the first by name."""
    order = sorted(range(len(values)), key=lambda at: (-counts[at], values[at]))
    return Field(name=name, kind="category", categories=tuple(values[at] for at in order[:top]))


def boolean_field(name: str) -> Field:
    """False and true, as JSON writes them."""
    return Field(name=name, kind="boolean", categories=("false", "true"))


def embedding_field(
    name: str, vectors: Floats, *, waves: int = 256, seed: int = 20_261_121
) -> Field:
    """Measured by random Fourier features of a Gaussian kernel, as wide as vectors are apart."""
    rng = np.random.default_rng(seed)
    some = vectors[np.isfinite(vectors).all(axis=1)]
    pairs = rng.integers(0, max(len(some), 1), (2, 1000))
    apart = np.linalg.norm(some[pairs[0]] - some[pairs[1]], axis=1) if len(some) else np.ones(1)
    apart = apart[apart > 0]
    width = float(np.median(apart)) if apart.size else 1.0
    plain = Field(
        name=name,
        kind="embedding",
        dimensions=vectors.shape[1],
        waves=waves,
        width=width,
        seed=seed,
    )
    if len(some) < 2:
        return plain
    covariance = np.cov(features_of(plain, some), rowvar=False)
    return msgspec.structs.replace(
        plain, spread=float(np.trace(covariance)), spread_squared=float(np.sum(covariance**2))
    )


def features_of(field: Field, vectors: Floats) -> Floats:
    """Random Fourier features: their inner products are about the kernel's."""
    phases = vectors @ field.frequencies.T
    features: Floats = np.concatenate([np.cos(phases), np.sin(phases)], axis=1)
    features /= np.sqrt(field.waves)
    return features
