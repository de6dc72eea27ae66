"""signatures; being written. All counts of requests are the challenger's."""

from gateway.statistics.events import Side
from gateway.statistics.sequences import Direction


def events_needed(
    rate: float,
    ratio: float,
    share: float,
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Side = "higher",
    power: float = 0.8,
    seen: tuple[int, int] = (0, 0),
) -> int | None:
    """Further requests of the challenger until it would be told that its rate is `ratio` times `rate`.

    `seen`: events of challenger and champion so far in this segment. None: never.
    """
    raise NotImplementedError


def events_detectable(
    rate: float,
    requests: int,
    share: float,
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Side = "higher",
    power: float = 0.8,
) -> float | None:
    """The relative rate nearest to 1 that so many requests of the challenger would show. None: none."""
    raise NotImplementedError


def means_needed(
    deviation: float,
    effect: float,
    share: float,
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    power: float = 0.8,
    planned: float = 5000,
    seen: int = 0,
) -> int | None:
    """Further requests of the challenger until a difference of means `effect` would be told from margin."""
    raise NotImplementedError


def means_detectable(
    deviation: float,
    requests: int,
    share: float,
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    power: float = 0.8,
    planned: float = 5000,
) -> float | None:
    """The least difference of means beyond margin that so many requests of the challenger show."""
    raise NotImplementedError
