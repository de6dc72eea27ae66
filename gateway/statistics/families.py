"""signatures; being written"""

from collections.abc import Sequence


def e_bh(log_e: Sequence[float], alpha: float) -> list[bool]:
    """Which are rejected, by e-BH."""
    raise NotImplementedError


def log_mean(log_e: Sequence[float]) -> float:
    """Average of e-values that may depend on each other: evidence against all nulls together."""
    raise NotImplementedError


def p_value(log_e: float) -> float:
    """Anytime-valid: min(1, 1/e)."""
    raise NotImplementedError
