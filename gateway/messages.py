"""Every value that crosses from one process of the gateway to another, or leaves it.

Between controller and workers, over the link: a worker says Hello, the controller
answers with the Offer in force where the worker has another, the worker answers
Applied or Declined, and says when it is Draining. The Offer is also the file that a worker
reads when it starts, so that it needs nobody.

Rule 1: an Offer holds the configuration as written, `${NAME}` not replaced: each process
        compiles it with the environment it inherited, so no secret travels.
Rule 2: places on the board travel along, so that the same name has the same place in
        every process, whenever it started.

The prediction log: one Record an exchange, one Feedback a signal. `_fast.record` writes
them, field by field in the order given here; everyone else reads them with these types.

Rule 3: RECORD_VERSION rises when a field changes its meaning or goes; a new field that a
        reader may miss does not raise it.

Knows nothing of sockets and files; `link` moves the first, `log` keeps the second.
"""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType

RECORD_VERSION = 1


class Places(Struct, frozen=True):
    """Where things are on the board.

    `shadow:NAME` is a backend as it is seen by copies of requests. A variant of a route has
    rows of its own, under `ROUTE|ARM`.
    """

    cells: dict[str, int] = {}  # by backend
    rows: dict[str, dict[str, int]] = {}  # by route, then backend; "" is the route's own row


class HeaderMatch(Struct, frozen=True):
    """A request header that leads to an arm."""

    name: str  # lower case
    value: str
    arm: str


class Standing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a rollout stands: what workers need to know of it."""

    spec: str  # hash of the rollout as declared; another one does not stand here
    step: int = 0  # index into its steps
    weights: dict[str, int] = {}  # by challenger: parts per million of its units
    mirror_ppm: int = 0  # of the route's requests, copied to the first challenger
    headers: tuple[HeaderMatch, ...] = ()


class Hold(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an alert changes on a route while it is open."""

    route: str
    weights: dict[str, int] = {}  # of backends: parts per million of the route's requests
    payload_ppm: int = 0  # of the requests whose bodies are kept, at least


class Delivery(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What changes without the file: where rollouts stand, what people switched."""

    specs: dict[str, str] = {}  # rollouts that are not in the file: YAML by name
    rollouts: dict[str, Standing] = {}  # by name
    off: tuple[str, ...] = ()  # kill switches: route.NAME, backend.NAME, feature.NAME; sorted
    flags: dict[str, str] = {}  # by key: the variant that everybody gets, "" for off
    holds: dict[str, Hold] = {}  # by who holds: `alert:7`


class Offer(Struct, frozen=True, kw_only=True, tag="offer"):
    """A configuration to serve on."""

    hash: str
    text: str
    places: Places
    generation: int  # grows by one with each that was accepted
    delivery: Delivery = Delivery()


class Hello(Struct, frozen=True, kw_only=True, tag="hello"):
    """A worker is there; the first message of each connection."""

    slot: int  # which of the configured workers it is
    seat: int  # its place on the board
    pid: int
    hash: str  # of the plan it serves on
    generation: int


class Applied(Struct, frozen=True, tag="applied"):
    """The worker serves on this plan from now on."""

    hash: str
    generation: int


class Declined(Struct, frozen=True, tag="declined"):
    """The worker goes on with the plan it has."""

    hash: str
    generation: int
    sentence: str  # why


class Draining(Struct, frozen=True, tag="draining"):
    """The worker finishes what it has and takes nothing new."""


FromWorker = Hello | Applied | Declined | Draining
FromController = Offer


# The prediction log. One line of JSON each; docs/records.md is printed from here.


class Candidate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was known of one candidate when it was, or was not, chosen."""

    backend: str
    excluded: str = ""  # why it could not be chosen, by routes.EXCLUDED; "" it could
    # what the policy looked at; only what it needed is there
    weight: float | None = None  # after slow start
    load_us: float | None = None  # peak-EWMA of first bytes × (in flight + 1)
    expected_usd: float | None = None  # of a successful answer
    predicted_us: float | None = None  # latency; 0 unknown
    stale: bool = False  # nothing is known of its latency, or nothing recent
    score: float | None = None  # what `balanced` and sticky requests compare; the lowest wins


class Decision(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One choice among the candidates of a route: what was asked, known, drawn and chosen."""

    route: str
    arm: str = ""  # of the route's variant: `rollout:arm`, joined by `+`
    policy: str
    at_us: int  # since the request was read
    candidates: tuple[Candidate, ...]
    chosen: str = ""  # backend; "" nobody could be
    probability: float = 0.0  # that the procedure had of choosing it
    exploring: bool = False  # chosen to find out, not by the policy
    panic: bool = False  # breakers and health were ignored
    # what was asked
    capabilities: tuple[str, ...] = ()
    input_bytes: int = 0
    output_tokens: int = 0  # at most; 0 not said
    required: str = ""  # the one backend the request named
    sticky: str = ""  # hash of what the request sticks to, 16 hexadecimal digits
    tried: tuple[str, ...] = ()  # backends that failed this request before
    draw: str = ""  # state of the generator before the draw, 16 hexadecimal digits


class AttemptRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try at one backend. Times are microseconds since the request was read."""

    backend: str
    outcome: str  # reason token of errors.OUTCOMES
    begun_us: int
    ended_us: int
    status: int = 0  # of the answer; 0 none came
    sent_us: int = 0  # the request's last byte was written; 0 never
    first_byte_us: int = 0  # of the answer's body; 0 never
    reused: bool = False  # on an idle connection
    hedge: bool = False  # beside a slow one
    request_bytes: int = 0
    answer_bytes: int = 0
    cost_usd: float = 0.0


class Assignment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The arm of one rollout or experiment that the request was given."""

    layer: str
    salt: str
    bucket: int  # 0 … 999,999
    arm: str  # "" none: holdout, denied, not among the targets, or beyond the rollout's part
    rollout: str = ""
    step: int = 0
    unit: str = ""  # what was hashed: request, user, …; never its value
    reason: str = ""  # "" drawn; header, allowed, denied, untargeted, holdout


class Timing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the time went, in microseconds."""

    total_us: int  # last byte of the request to the end of the answer
    queue_us: int = 0
    upstream_us: int = 0  # in attempts
    gateway_us: int = 0  # total - queue - upstream
    read_us: int = 0  # first byte of the request's head to its last byte
    first_byte_us: int = 0  # until the answer's first byte was there
    gaps: int = 0  # between pieces of a relayed answer
    gap_max_us: int = 0


class TokenUsage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens, as the backend reported them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


class Price(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the cost was computed from: USD per million tokens, and per request."""

    source: str  # "config"
    input: float = 0.0
    output: float = 0.0
    cached: float = 0.0
    request: float = 0.0


class Payload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One body: its size, and what the route's policy lets the record keep of it."""

    bytes: int  # as received or sent, before anything was cut or taken out
    xxh3: str = ""  # XXH3-64 of the whole body, 16 hexadecimal digits; "" not computed
    type: str = ""  # of `body`: "json", "text", "base64", "encrypted"; "" no body
    body: Raw | UnsetType = UNSET
    truncated: bool = False  # only the beginning is here
    redacted: int = 0  # places that were taken out


class Comparison(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A shadow's answer beside the one that the client got. Differences: shadow minus client's."""

    of: str  # id of the record with the client's answer
    backend: str  # whose answer the client got
    agrees: bool | None = None  # by label, number or text, as configured; None not comparable
    outcome: str = ""  # of the client's answer
    status: int = 0
    latency_us: int = 0
    first_byte_us: int = 0
    cost_usd: float = 0.0
    output_tokens: int = 0
    schema: tuple[bool, bool] | None = None  # the client's answer is valid, the shadow's is
    differences: tuple[str, ...] = ()  # JSON pointers, the first of them
    difference_count: int = 0
    number: float | None = None  # the compared number's difference
    labels: tuple[str, str] | None = None  # the client's, the shadow's
    similarity: float | None = None  # of texts, 0 to 1
    judge: str = ""  # client, shadow, tie; "" not asked


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange: what was asked, who could answer and who did, when, at what cost."""

    v: int  # RECORD_VERSION
    id: str  # UUIDv7; what consumers remove duplicates by
    request_id: str  # the answer's x-request-id: the client's own, else `id`
    time: str  # when the head was read: RFC 3339, UTC, microseconds
    kind: str  # prediction, shadow, refusal, cancelled
    gateway: str
    worker: int
    stream: str  # of the log: one a process; with `seq` the place of this line
    seq: int  # from 1, without gaps
    plan: str  # hash of the plan
    outcome: str  # reason token of errors.OUTCOMES
    status: int  # sent to the client; 0 none
    timing: Timing
    request: Payload
    response: Payload
    route: str = ""
    protocol: str = ""
    operation: str = ""
    method: str = ""
    path: str = ""  # only where no operation was found
    model: str = ""  # the name that the client used
    user: str = ""
    trace_id: str = ""
    streamed: bool = False
    backend: str = ""  # whose answer it was
    backend_model: str = ""  # its own name for the model
    version: str = ""  # of the model: as the answer said, else as configured
    decisions: tuple[Decision, ...] = ()
    attempts: tuple[AttemptRecord, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    comparison: Comparison | None = None  # of a shadow
    fallback: str = ""  # backend, route, cached, rule, unavailable; "" none was used
    cache: str = ""  # verdict of the caches; "" not asked
    usage: TokenUsage | None = None
    cost_usd: float = 0.0
    price: Price | None = None
    finish_reason: str = ""  # stop, length, tools, filter, other; "" not said
    confidence: float | None = None
    # what violates a contract, or is not the JSON that was asked for: `input:NAME:/pointer`,
    # `output:…`; names as in docs/contracts.md
    anomalies: tuple[str, ...] = ()
    # json_object, json_schema: what the request asked for, where the answer was held against it
    response_format: str = ""
    features: Raw | UnsetType = UNSET  # inputs of a prediction, as JSON
    predictions: Raw | UnsetType = UNSET  # what the model answered to them, as JSON
    headers: dict[str, str] = {}


class Feedback(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Signals of the product on an earlier request; a line of the log like a record."""

    v: int  # RECORD_VERSION
    id: str  # UUIDv7, or derived from the client's idempotency key
    time: str
    kind: str  # "feedback"
    gateway: str
    worker: int
    stream: str
    seq: int
    request_id: str  # of the record it is about: its id or request_id
    signal: str  # accept, edit, regenerate, ticket, task, thumbs, score, label, comment
    value: Raw | UnsetType = UNSET  # by signal: a boolean, a number, a label
    comment: str = ""
    source: str = ""  # who says so
    happened_at: str = ""  # when, if not now
