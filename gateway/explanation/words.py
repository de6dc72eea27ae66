"""Words for what a record says in tokens and numbers: reasons, outcomes, units.

Used of what was and of what would be, so reasons are phrases without a tense.

Rule: SENTENCES has every reason of `_fast/routes.EXCLUDED`.
Knows nothing of records; `page` and the admin port use it.
"""

from __future__ import annotations

import math

from gateway.errors import OUTCOMES

# Why a candidate could not be chosen.
SENTENCES = {
    "disabled": "Switched off, or of weight 0.",
    "not_wanted": "The request names another backend.",
    "capability": "Not able to do what the request needs.",
    "context": "Too small a context window for the request.",
    "tried": "Tried already for this request.",
    "cooling_down": "Pausing for a while, as it asked (Retry-After).",
    "breaker_open": "Breaker open, or all its probes out.",
    "unhealthy": "Failing its health checks.",
    "at_limit": "All its places taken.",
}
FALLBACKS = {
    "backend": "The route's fallback backend stood in.",
    "route": "Another route stood in.",
    "cached": "An earlier answer to the same request stood in.",
    "rule": "A constant answer of the configuration stood in.",
    "unavailable": "The fallback `unavailable` answered.",
}
OUTCOME_SENTENCES = {outcome.reason: outcome.sentence for outcome in OUTCOMES}
_UNITS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB"))


def reason_sentence(reason: str) -> str:
    """Why somebody was excluded."""
    return SENTENCES.get(reason, f"Excluded for `{reason}`.")


def outcome_sentence(reason: str) -> str:
    """What an outcome means; "" for a good one."""
    return OUTCOME_SENTENCES.get(reason, f"The outcome was `{reason}`.")


def duration(time_us: float) -> str:
    if time_us < 1000:
        return f"{time_us:.0f} µs"
    if time_us < 1_000_000:
        return f"{time_us / 1000:.3g} ms" if time_us < 100_000 else f"{time_us / 1000:.0f} ms"
    return f"{time_us / 1_000_000:.2f} s"


def size(size_bytes: int) -> str:
    for unit, name in _UNITS:
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f} {name}"
    return counted(size_bytes, "byte")


def money(usd: float) -> str:
    """Two decimals, or two digits of what is less than a cent."""
    usd = round(usd, 9)  # Why: the same amount, computed in two ways, is shown in one
    if usd == 0 or usd >= 0.01:
        return f"${usd:,.2f}"
    decimals = 1 - math.floor(math.log10(usd))
    return f"${usd:.{decimals}f}"


def share(part: float) -> str:
    return f"{100 * part:.3g} %"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def joined(words: list[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
