"""signatures; being written"""

from typing import Literal, NamedTuple

Direction = Literal["either", "higher", "lower"]


class Interval(NamedTuple):
    """An estimate with its anytime-valid interval, and the evidence against the null.

    One-sided intervals have an infinite end. Where nothing can be said yet: nan, -inf, inf, 0.
    """

    estimate: float
    low: float
    high: float
    log_e: float
