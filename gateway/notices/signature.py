"""Who wrote a notice, and when: `x-gateway-signature: t=SECONDS,v1=HEXADECIMAL`.

v1 is HMAC-SHA256, keyed with the webhook's secret, over the time in decimal digits, a dot
and the body as it was sent. Whoever receives it compares in constant time and refuses what
is older than some minutes, so that a copy that was overheard cannot be sent again; within
that time `x-gateway-delivery` tells copies.

`is_genuine` is what a receiver does; the gateway only signs.
"""

from __future__ import annotations

import hashlib
import hmac
import re

HEADER = "x-gateway-signature"
TOLERANCE_S = 300

_FORM = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})", re.ASCII)


def signature(secret: str, at_s: int, body: bytes) -> str:
    """The header's value."""
    return f"t={at_s},v1={_digest(secret, at_s, body)}"


def is_genuine(
    header: str, secret: str, body: bytes, now_s: float, tolerance_s: float = TOLERANCE_S
) -> bool:
    """Whether who knows the secret signed this body, not long ago."""
    found = _FORM.fullmatch(header)
    if found is None or not secret:
        return False
    at_s = int(found[1])
    is_right = hmac.compare_digest(found[2], _digest(secret, at_s, body))
    return is_right and abs(now_s - at_s) <= tolerance_s


def _digest(secret: str, at_s: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
