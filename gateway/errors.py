"""Every error of the gateway: the exception tree, and the table of outcomes.

Exceptions serve the parts that may wait: configuration, control plane, prediction
log, start-up. The hot path raises none of them; it returns an `Outcome` (a number,
`_fast/outcome.pxd`), and `OUTCOMES` says once what each means to the client, to the
metrics and to the retry rules.

Rule 1: each leaf exception has one `reason` token, used in logs, metrics and headers.
Rule 2: OUTCOMES has exactly one entry for each value of the enum, in its order.
Rule 3: a sentence never holds data of the request, of the backend, or a secret.

Imports nothing of the gateway; everything else may import it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

Fault = Literal["nobody", "client", "gateway", "upstream"]


class Outcome(Struct, frozen=True):
    """What one value of the enum means outside of the hot path."""

    name: str  # the enum's name without its prefix, lower case
    status: int  # sent to the client; 0: the upstream's own answer was or is passed on
    reason: str  # metric label, log field and `x-gateway-reason`
    sentence: str  # the message in the client's error body
    fault: Fault
    retryable: bool  # another backend may be tried, if nothing went downstream


def _table(*rows: tuple[str, int, str, Fault, bool]) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(
            name=name,
            status=status,
            reason=name,
            sentence=sentence,
            fault=fault,
            retryable=retryable,
        )
        for name, status, sentence, fault, retryable in rows
    )


# Rule: index == value of the enum; append only, as the enum itself.
OUTCOMES: tuple[Outcome, ...] = _table(
    ("ok", 200, "", "nobody", False),
    ("bad_request", 400, "The request is not valid HTTP/1.1.", "client", False),
    ("bad_body", 400, "The request's body is malformed.", "client", False),
    ("head_too_large", 431, "The request's header fields are too large.", "client", False),
    ("uri_too_long", 414, "The request's target is too long.", "client", False),
    (
        "body_too_large",
        413,
        "The request's body is larger than this route allows.",
        "client",
        False,
    ),
    ("request_timeout", 408, "The request did not arrive in time.", "client", False),
    ("method_not_allowed", 405, "This path does not allow the method.", "client", False),
    ("expectation_failed", 417, "Only `Expect: 100-continue` is supported.", "client", False),
    ("coding_unknown", 501, "Only the transfer coding `chunked` is supported.", "client", False),
    ("version_unknown", 505, "Only HTTP/1.0 and HTTP/1.1 are supported.", "client", False),
    ("upgrade_refused", 400, "This route does not allow protocol upgrades.", "client", False),
    ("no_path", 404, "Nothing is served at this path.", "client", False),
    ("no_route", 404, "There is no model of this name.", "client", False),
    ("no_model", 400, "The request names no model.", "client", False),
    (
        "bad_override",
        400,
        "An x-gateway-* header is malformed or not allowed on this route.",
        "client",
        False,
    ),
    ("unauthenticated", 401, "A valid API key is required.", "client", False),
    ("forbidden", 403, "This API key may not use this model.", "client", False),
    ("rate_limited", 429, "The rate limit is reached; retry later.", "client", False),
    ("budget_spent", 402, "The budget of this API key is spent.", "client", False),
    ("not_capable", 422, "No backend of this model can do what is asked.", "client", False),
    ("overloaded", 503, "The gateway is at its limit; retry later.", "gateway", False),
    (
        "queue_full",
        503,
        "Too many requests are waiting for this model; retry later.",
        "gateway",
        False,
    ),
    (
        "queue_timeout",
        503,
        "No backend of this model became free in time; retry later.",
        "gateway",
        False,
    ),
    ("no_backend", 503, "No backend of this model is available; retry later.", "upstream", False),
    ("draining", 503, "This gateway is shutting down; retry.", "gateway", False),
    ("deadline", 504, "The request's time is up.", "upstream", False),
    ("client_closed", 499, "The client closed the connection.", "client", False),
    ("connect_failed", 502, "The backend could not be reached.", "upstream", True),
    ("connect_timeout", 504, "The backend could not be reached in time.", "upstream", True),
    ("tls_failed", 502, "The backend's TLS handshake failed.", "upstream", True),
    (
        "upstream_closed",
        502,
        "The backend closed the connection without an answer.",
        "upstream",
        True,
    ),
    ("first_byte_timeout", 504, "The backend did not begin its answer in time.", "upstream", True),
    ("idle_timeout", 504, "The backend's answer stalled.", "upstream", True),
    ("upstream_protocol", 502, "The backend's answer is not valid HTTP/1.1.", "upstream", True),
    ("truncated", 502, "The backend's answer was incomplete.", "upstream", True),
    ("answer_too_large", 502, "The backend's answer is larger than allowed.", "upstream", False),
    (
        "upstream_429",
        429,
        "Every backend of this model is rate limited; retry later.",
        "upstream",
        True,
    ),
    ("upstream_4xx", 0, "The backend refused the request.", "client", False),
    ("upstream_5xx", 0, "The backend failed.", "upstream", True),
    ("stream_error", 0, "The backend reported an error in its stream.", "upstream", True),
    ("cancelled", 499, "The attempt was cancelled.", "nobody", False),
    ("total_timeout", 504, "The backend did not finish its answer in time.", "upstream", True),
    ("log_full", 503, "The gateway cannot record requests now; retry later.", "gateway", False),
    ("switched_off", 503, "This model is switched off; retry later.", "nobody", False),
    ("contract_violated", 422, "The request violates its contract.", "client", False),
    ("answer_violated", 502, "The model's answer violates its contract.", "upstream", True),
)


class GatewayError(Exception):
    """The root: whatever the gateway itself raises on purpose."""

    reason: ClassVar[str] = "internal"


class Problem(Struct, frozen=True):
    """One thing that is wrong, or doubtful, in a configuration file."""

    message: str
    path: str = ""  # `routes.chat.backends[1]`; "" is the file as a whole
    line: int = 0  # from 1; 0 unknown

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.message}" + (f" - at {self.path}" if self.path else "")


class ConfigError(GatewayError, ValueError):
    """The configuration is wrong; holds every problem that was found."""

    reason = "config"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class StateError(GatewayError):
    """The state directory cannot be used."""

    reason = "state"


class Refused(GatewayError):
    """The client's fault, or ours by policy."""

    status: ClassVar[int] = 400


class BadRequest(Refused):
    status, reason = 400, "bad_request"


class HeadTooLarge(Refused):
    status, reason = 431, "head_too_large"


class BodyTooLarge(Refused):
    status, reason = 413, "body_too_large"


class NoRoute(Refused):
    status, reason = 404, "no_route"


class Overloaded(Refused):
    status, reason = 503, "overloaded"


class UpstreamError(GatewayError):
    """The model server's fault."""

    status: ClassVar[int] = 502


class ConnectFailed(UpstreamError):
    status, reason = 502, "connect_failed"


class UpstreamTimeout(UpstreamError):
    status, reason = 504, "first_byte_timeout"


class UpstreamProtocol(UpstreamError):
    status, reason = 502, "upstream_protocol"


class UpstreamClosed(UpstreamError):
    status, reason = 502, "upstream_closed"


class ControlError(GatewayError):
    """An admin request that cannot be done."""

    status: ClassVar[int] = 409


class StaleVersion(ControlError):
    status, reason = 409, "stale_version"


class UnknownRollout(ControlError):
    """There is no rollout of this name."""

    status, reason = 404, "unknown_rollout"


class IllegalTransition(ControlError):
    """The rollout is not in a phase that allows this."""

    status, reason = 409, "illegal_transition"
