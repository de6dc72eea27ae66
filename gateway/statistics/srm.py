"""signatures; being written"""

from collections.abc import Sequence


def log_e_srm(counts: Sequence[int], shares: Sequence[float], *, weight: float = 100.0) -> float:
    """Evidence that units are not shared out as drawn; segments of other shares: add their log e.

    inf when an arm without a share has units.
    """
    raise NotImplementedError
