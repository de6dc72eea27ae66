"""The plan: the immutable, compiled form of the whole configuration.

Names are resolved to indexes, units to integers, defaults filled in, references
checked; nothing is left to look up or to parse while requests run. A plan is named
by its hash: SHA-256 over the canonical JSON of the configuration *before* `${NAME}`
is replaced, so that the hash may be published and never depends on a secret.

Rule 1: backends[i].index == i, routes[i].index == i.
Rule 2: a route's candidates are indexes into `backends`, all of one protocol.
Rule 3: times are nanoseconds, money is USD per token (or request) as a float, sizes are bytes.

Knows nothing of sockets; `dataplane.table` turns a plan into compiled objects, and
the controller does the same to explain a decision.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.config.watching import Contract

PPM = 1_000_000  # shares are parts per million

# Bits of BackendPlan.capabilities and of what a request needs.
CAPABILITIES: dict[str, int] = {
    name: 1 << bit
    for bit, name in enumerate(
        (
            "chat",
            "completions",
            "embeddings",
            "responses",
            "predict",
            "tools",
            "vision",
            "json_schema",
            "audio",
            "stream",
            "files",
            "images",
            "moderations",
            "rerank",
            "reasoning",
        )
    )
}

POLICIES = (
    "ordered",
    "weighted",
    "least_loaded",
    "cheapest",
    "fastest",
    "cheapest_within_slo",
    "balanced",
)


class TlsPlan(Struct, frozen=True, kw_only=True):
    """How to speak TLS to a backend: file paths, opened by the dialer."""

    ca: str = ""  # "" is the system's trust store
    certificate: str = ""
    key: str = ""
    server_name: str = ""  # SNI and name check; "" is the URL's host


class BreakerPlan(Struct, frozen=True, kw_only=True):
    consecutive: int  # failures in a row that open it; 0 never
    failure_share: float  # of the window's attempts; 1.0 never
    slow_share: float  # 1.0 never
    slow_ns: int  # an attempt slower than this is slow; 0 never
    window_ns: int  # at most 32 s
    minimum: int  # attempts in the window before shares count
    open_ns: int  # base open time; times ejections, jittered
    open_max_ns: int
    probes: int  # half-open attempts at once


class HealthPlan(Struct, frozen=True, kw_only=True):
    path: str
    interval_ns: int
    timeout_ns: int
    rise: int
    fall: int


class AdaptivePlan(Struct, frozen=True, kw_only=True):
    """Gradient2 limits (PROXY.md 1.8)."""

    initial: int
    floor: int
    ceiling: int
    queue: int  # slack added each update
    tolerance: float
    smoothing: float


class BackendPlan(Struct, frozen=True, kw_only=True):
    def __repr__(self) -> str:  # Safety: headers hold credentials
        return f"BackendPlan({self.index}, {self.name!r})"

    index: int
    cell: int  # of the board; the same across reloads for the same name
    name: str
    protocol: str  # "openai", "kserve", "http"
    scheme: str  # "http", "https", "unix"
    host: str  # name or address; for "unix" the socket's path
    port: int
    base_path: str  # before the operation's own path; no trailing slash
    authority: str  # Host header
    model: str
    version: str
    headers: tuple[tuple[str, str], ...]  # sent with each request, credentials included
    forward_headers: tuple[str, ...]  # client's credentials or cookies to pass on; lower case
    compression: bool  # pass accept-encoding on
    capabilities: int
    context_window: int  # tokens; 0 unknown
    input_usd: float  # per token
    cached_usd: float  # per cached input token
    output_usd: float
    request_usd: float
    quality: float  # 0 … 1, declared
    max_concurrency: int  # all workers together; 0 unlimited
    adaptive: AdaptivePlan | None
    connect_ns: int
    first_byte_ns: int
    idle_ns: int
    total_ns: int
    pool_idle: int  # idle connections a worker keeps
    pool_idle_ns: int
    pool_age_ns: int
    dns_ttl_ns: int
    slow_start_ns: int
    tls: TlsPlan | None
    breaker: BreakerPlan
    health: HealthPlan | None
    # where things are in this backend's JSON; "" not there. RFC 6901 pointers.
    path: str  # `http`: upstream path that replaces the client's; "" keeps it
    model_pointer: str  # `http`: where the model's name is written
    input_tokens_pointer: str
    output_tokens_pointer: str
    confidence_pointer: str
    version_pointer: str
    is_off: bool = False  # its kill switch: `disabled` wherever it is a candidate


class RetryPlan(Struct, frozen=True, kw_only=True):
    attempts: int  # in all, the first included
    budget_share: float
    budget_per_s: float
    backoff_ns: int
    backoff_max_ns: int
    statuses: tuple[int, ...]
    methods: tuple[str, ...]
    retry_after_max_ns: int  # longer cool-downs are clamped to this


class HedgePlan(Struct, frozen=True, kw_only=True):
    after_ns: int  # 0: after the backend's own p95 of first-byte time
    budget_share: float


class QueuePlan(Struct, frozen=True, kw_only=True):
    maximum: int
    max_wait_ns: int
    target_ns: int  # CoDel
    interval_ns: int
    status: int  # 503 or 429


class SloPlan(Struct, frozen=True, kw_only=True):
    metric: str  # "first_byte" or "total"
    quantile: int  # index into (p50, p90, p95, p99)
    limit_ns: int


class FallbackPlan(Struct, frozen=True, kw_only=True):
    kind: str  # "backend", "route", "cached", "rule", "unavailable"
    index: int = -1  # of the backend or route
    row: int = -1  # board row of (this route, the backend)
    status: int = 200
    content_type: str = "application/json"
    body: bytes = b""
    expression: Any = None  # what the body is worked out of for each request; None: it is constant


class MatchPlan(Struct, frozen=True, kw_only=True):
    path: str  # exact, or with one {model} or a trailing *
    methods: tuple[str, ...]


class RecordPlan(Struct, frozen=True, kw_only=True):
    """What a route's records say of bodies and headers."""

    payload: str  # "full", "sampled", "digest", "none"
    sample_ppm: int  # of "sampled": requests in a million whose bodies are kept
    max_bytes: int  # of one body
    headers: tuple[str, ...]  # request headers to keep; lower case
    features: str  # pointer to the inputs of a prediction; "" none
    predictions: str  # pointer to what the model answered; "" none
    redact_pointers: tuple[str, ...]
    redact_headers: tuple[str, ...]  # lower case
    redact_patterns: tuple[str, ...]
    is_encrypted: bool  # payloads are, with the log's key


class DrawPlan(Struct, frozen=True, kw_only=True):
    """How a unit's bucket is found."""

    unit: str  # request, user, key, client, header:NAME, pointer:/json/pointer
    salt: str
    hash: str


class ArmPlan(Struct, frozen=True, kw_only=True):
    """One arm of one rollout."""

    rollout: str
    arm: str  # "champion" or a challenger's name
    step: int
    share_ppm: int  # of all units of the layer


class TargetsPlan(Struct, frozen=True, kw_only=True):
    """Who takes part in a rollout, where that is not everybody."""

    rollout: str
    headers: tuple[tuple[str, str, str], ...]  # name, value, and the arm they lead to
    allow: frozenset[str]  # units
    deny: frozenset[str]
    audiences: tuple[AudiencePlan, ...]  # any of these
    where: tuple[ConditionPlan, ...]  # and all of these


class LayerPlan(Struct, frozen=True, kw_only=True):
    """One draw for each request.

    Arm 0 is nobody's: the route as it is. Arms 1 … n are `arms`; arm n + i is the i-th of
    `forced`, which is given by header or list, and whose requests are no evidence.
    """

    name: str
    draw: DrawPlan
    arms: tuple[ArmPlan, ...]
    ranges: tuple[tuple[int, int], ...]  # (until bucket, arm), in order, of all buckets
    forced: tuple[ArmPlan, ...]
    targets: tuple[TargetsPlan, ...]  # only of rollouts that do not take everybody
    holdouts: tuple[tuple[int, int], ...]  # buckets, for the reason in the record


class ConditionPlan(Struct, frozen=True, kw_only=True):
    field: str
    operator: str
    values: tuple[str | float | bool, ...]


class AudiencePlan(Struct, frozen=True, kw_only=True):
    name: str
    where: tuple[ConditionPlan, ...]
    units: frozenset[str]
    share_ppm: int


class ComparePlan(Struct, frozen=True, kw_only=True):
    ignore: tuple[str, ...]
    label: str
    number: str
    tolerance: float
    text: str
    similarity: float  # 0.0: texts are not judged
    schema: bytes  # JSON; b"" none
    judge: int  # route index; -1 none
    judge_prompt: str


class ShadowPlan(Struct, frozen=True, kw_only=True):
    """Copies of a route's requests to one backend."""

    name: str  # of the backend as configured
    backend: int  # index into Plan.backends: an entry of its own, `shadow:NAME`
    row: int  # board row
    sample_ppm: int  # of request ids
    max_concurrency: int  # all workers together
    max_bytes: int  # of one request or answer
    memory_bytes: int  # held by copies, each worker
    day_nano_usd: int  # 0 no limit
    total_ns: int
    rollout: str  # whose setMirrorRoute it is; "" the route's own
    merge: bytes  # JSON laid over the body; b"" none
    prompt: str
    compare: ComparePlan


class ContractPlan(Struct, frozen=True):
    """What requests and answers must be like; the data plane compiles it to types and tests."""

    hash: str  # of the section as configured: names what it says
    section: Contract

    def __hash__(self) -> int:  # Why: the section has mappings in it
        return hash(self.hash)


class RoutePlan(Struct, frozen=True, kw_only=True):
    index: int
    name: str
    protocol: str
    policy: str
    candidates: tuple[int, ...]  # backend indexes
    weights: tuple[int, ...]  # parallel; for `weighted`
    rows: tuple[int, ...]  # board rows of the candidates, parallel
    row: int  # the route's own board row
    larger_context: tuple[int, ...]  # backends to try after a context-length 400
    larger_context_rows: tuple[int, ...]  # their board rows, parallel
    content_filter: tuple[int, ...]  # backends to try after a content-filter 400
    content_filter_rows: tuple[int, ...]  # their board rows, parallel
    slo: SloPlan | None
    balance: tuple[float, float, float]  # cost, latency, quality
    exploration: float  # share of requests sent to a random eligible candidate
    sticky: str  # "", "header:x-session", "user", "pointer:/session", "client"
    panic_share: float  # below this share of usable candidates, breakers are ignored
    retry: RetryPlan
    hedge: HedgePlan | None
    queue: QueuePlan
    fallback: tuple[FallbackPlan, ...]
    first_byte_ns: int  # a first byte later than this fails over; 0: the backend's own
    total_ns: int
    body_bytes: int  # request bodies
    replay_bytes: int  # bodies up to this are kept for retries
    hold_bytes: int  # answers up to this are held until complete
    priority: int  # default; 0 … 7, 0 is the highest
    overrides: tuple[str, ...]  # x-gateway-* headers that clients may use
    websocket: bool
    matches: tuple[MatchPlan, ...]
    cache_entries: int  # of the last-good-answer cache; 0 none
    cache_bytes: int
    cache_ttl_ns: int
    record: RecordPlan
    is_off: bool = False  # its kill switch: refused with `switched_off`
    shadows: tuple[ShadowPlan, ...] = ()
    layers: tuple[LayerPlan, ...] = ()
    # What a request is served by that was given arm a of layer 0, b of layer 1, …: the variant
    # at a + b * (arms of layer 0) + …, counting from 0. Number 0 is this route itself and is
    # not repeated here, so that variant v is variants[v - 1]. They have no layers themselves.
    variants: tuple[RoutePlan, ...] = ()
    arm: str = ""  # of a variant: its arms, as `rollout:arm`, joined by `+`
    merge: bytes = b""  # JSON laid over the request's body (RFC 7396)
    prompt: str = ""  # the system prompt
    contract: ContractPlan | None = None


def row_name(route: str, arm: str) -> str:
    """The name under which a route, or one of its variants, has its rows on the board."""
    return f"{route}|{arm}" if arm else route


class LimitsPlan(Struct, frozen=True, kw_only=True):
    connections: int  # each worker
    in_flight: int  # exchanges, each worker
    buffered_bytes: int  # held bodies and answers, each worker
    head_bytes: int
    head_fields: int
    target_bytes: int
    head_ns: int  # absolute deadline for a head
    body_grace_ns: int
    body_bytes_per_s: int
    keepalive_ns: int
    connection_requests: int  # then `connection: close`; 0 unlimited


class CorsPlan(Struct, frozen=True, kw_only=True):
    origins: tuple[str, ...]  # "*" allows any
    headers: str
    methods: str
    max_age_s: int


class ForwardedPlan(Struct, frozen=True, kw_only=True):
    x_forwarded: bool
    forwarded: bool
    trusted: tuple[str, ...]  # networks whose own headers are extended


class DrainPlan(Struct, frozen=True, kw_only=True):
    lame_duck_ns: int
    hard_stop_ns: int


class SplitRulePlan(Struct, frozen=True, kw_only=True):
    audiences: tuple[AudiencePlan, ...]
    where: tuple[ConditionPlan, ...]
    variants: tuple[
        tuple[str, int], ...
    ]  # (variant, until ppm), sorted; the last ends at 1,000,000


class FlagPlan(Struct, frozen=True, kw_only=True):
    key: str
    kind: str  # boolean, string, number, object
    variants: tuple[tuple[str, bytes], ...]  # name and JSON
    default: str
    enabled: bool
    forced: str  # everybody gets this variant; "" nobody is forced
    draw: DrawPlan
    rules: tuple[SplitRulePlan, ...]


class LogPlan(Struct, frozen=True, kw_only=True):
    """How a process writes the prediction log."""

    def __repr__(self) -> str:  # Safety: `key` is a secret
        return f"LogPlan({self.directory!r})"

    enabled: bool
    directory: str
    gateway: str  # its name in records
    segment_bytes: int
    segment_age_ns: int
    syncs_always: bool  # every record reaches the disk before its answer leaves
    max_bytes: int  # of what waits to be delivered
    sheds: bool  # at the limit: refuse requests; else drop the oldest records
    user_header: str  # lower case; "" none
    key: bytes  # AES-256 for payloads; b"" none


class Plan(Struct, frozen=True, kw_only=True):
    hash: str
    backends: tuple[BackendPlan, ...]
    routes: tuple[RoutePlan, ...]
    default_route: int  # for calls that name no model; -1 none
    limits: LimitsPlan
    cors: CorsPlan | None
    forwarded: ForwardedPlan
    drain: DrainPlan
    server_header: str
    log: LogPlan
    flags: tuple[FlagPlan, ...] = ()
    off: tuple[str, ...] = ()  # kill switches that are thrown
