"""signatures; being written"""

from collections.abc import Sequence

from gateway.statistics.events import Side
from gateway.statistics.means import Moments


def log_e_scores(
    segments: Sequence[tuple[float, Moments, Moments]],
    *,
    margin: float = 0.0,
    direction: Side = "lower",
) -> float:
    """Exact evidence, from sums, that scores in [0, 1] are lower (higher) by more than `margin`.

    Each segment is (challenger's share of the traffic, champion, challenger); margin is
    absolute: with `lower` the null is mean of the challenger >= champion's - margin,
    with `higher` it is <= champion's + margin.
    """
    raise NotImplementedError
