"""What can go wrong with a payload."""

from __future__ import annotations

from typing import ClassVar

from gateway.errors import GatewayError


class PayloadError(GatewayError):
    """A payload cannot be cleaned, encrypted or read as configured."""

    reason: ClassVar[str] = "payload"
