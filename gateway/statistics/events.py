"""signatures; being written"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from gateway.statistics.sequences import Interval

Side = Literal["higher", "lower"]


class Segment(NamedTuple):
    """Events of both arms while the challenger had one share of the requests."""

    share: float
    challenger: int
    champion: int


def log_e_events(
    challenger: float,
    champion: float,
    share: float,
    *,
    margin: float = 0.0,
    direction: Side = "higher",
    prior: tuple[float, float] | None = None,
) -> float:
    """Evidence that the challenger's event rate is higher (or lower) than 1 + margin times the champion's.

    The null: rate of the challenger <= (1 + margin) * rate of the champion; >= with `lower`.
    no_harm of errors: higher, margin; not_worse of errors: lower, margin; better: lower, 0.
    no_harm of accepts: lower, -margin.
    """
    raise NotImplementedError


class EventsProcess:
    """Evidence over segments of constant share; their e-values multiply."""

    def __init__(self, *, margin: float = 0.0, direction: Side = "higher") -> None:
        raise NotImplementedError

    def update(self, share: float, challenger: int, champion: int) -> float:
        """Adds a segment's counts (or more counts of the last one, when the share is equal); log e."""
        raise NotImplementedError

    @property
    def log_e(self) -> float:
        raise NotImplementedError


def log_e_segments(
    segments: Iterable[Segment], *, margin: float = 0.0, direction: Side = "higher"
) -> float:
    """The same, as one function."""
    raise NotImplementedError


def rate_ratio(segments: Iterable[Segment], alpha: float) -> Interval:
    """The challenger's event rate divided by the champion's, with its anytime-valid interval."""
    raise NotImplementedError
