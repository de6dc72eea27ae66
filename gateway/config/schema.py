"""The schema of gateway.yaml, and its manual: every key, its default, what it means.

One Struct a section, one comment a key; `docs/configuration.md` is printed from this
file. All defaults of the gateway are the ones written here (PROXY: connection and
retry figures follow Envoy and Finagle, see docs/configuration.md), and nowhere else.

Rule 1: immutable; a change is a new value.
Rule 2: what one field can say about itself is in its type; what fields say about
        each other is in `relations`.

Knows nothing of YAML, files or the environment. Who uses a section is given that
section, never the whole.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gateway.config.kinds import AtLeastOne, Count, Line, Money, Pointer, PolicyName, Weight
from gateway.config.recording import Log, Recording, Registry
from gateway.config.rollouts import Audience, Flag, Notices, Rollout, Shadow
from gateway.config.units import Duration, Secret, Share, Size
from gateway.config.watching import Contract, Drift

SECOND, MINUTE = 10**9, 60 * 10**9
KIB, MIB = 2**10, 2**20

Port = Annotated[int, Meta(ge=0, le=65535)]
Status = Annotated[int, Meta(ge=200, le=599)]
FailureStatus = Annotated[int, Meta(ge=400, le=599)]
Level = Annotated[int, Meta(ge=0, le=7)]
Factor = Annotated[float, Meta(ge=0, le=1000)]
Path = Annotated[str, Meta(pattern=r"^/[!-~]*\Z")]
PathOrNone = Annotated[str, Meta(pattern=r"^(/[!-~]*)?\Z")]

Protocol = Literal["openai", "kserve", "http"]
Capability = Literal[
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
]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Override = Literal["policy", "backend", "timeout", "priority", "capabilities"]


class ListenTls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS towards clients."""

    certificate: str  # PEM file with the server's certificate chain; read again when it changes
    key: str  # PEM file with its private key
    client_ca: str = ""  # PEM file; when given, clients must show a certificate signed by it


class Listen(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The data port: client traffic only."""

    host: str = "0.0.0.0"  # address to listen on; `::` takes IPv6 and IPv4  # noqa: S104
    port: Port = 8080  # 0 takes any free port
    backlog: AtLeastOne = 4096  # connections the kernel may hold before a worker accepts them
    unix: str = ""  # path of a Unix socket to listen on as well
    tls: ListenTls | None = None  # serve HTTPS instead of HTTP


class Admin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The admin port: dashboard, API and metrics."""

    host: str = "127.0.0.1"  # keep it on loopback, or set a token
    port: Port = 8081  # 0 takes any free port
    token: Secret = Secret("")  # bearer token; required when host is not loopback


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one worker process, whatever the route."""

    connections: AtLeastOne = 20_000  # open client connections; more are closed at once
    in_flight: AtLeastOne = 20_000  # requests under way; more are answered 503
    buffered: Size = Size(256 * MIB)  # held request bodies and answers together
    head: Size = Size(32 * KIB)  # request line and header fields; 431 above
    head_fields: AtLeastOne = 100  # number of header fields; 431 above
    target: Size = Size(8 * KIB)  # path and query; 414 above
    head_timeout: Duration = Duration(10 * SECOND)  # a head must be complete within this time
    body_grace: Duration = Duration(10 * SECOND)  # after it a body must keep to body_rate
    body_rate: Size = Size(KIB)  # slowest body accepted, bytes per second; 0 any
    keepalive: Duration = Duration(75 * SECOND)  # an idle client connection is closed after this
    connection_requests: Count = 0  # close a client connection after so many; 0 never


class Cors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers to browsers of other origins."""

    origins: tuple[Line, ...]  # origins allowed, such as https://app.example.com, or `*`
    headers: Line = "*"  # access-control-allow-headers
    methods: Line = "GET, POST, OPTIONS"  # access-control-allow-methods
    max_age: Duration = Duration(10 * MINUTE)  # how long a browser may keep the answer


class Forwarded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Headers that tell a backend who called."""

    x_forwarded: bool = False  # send x-forwarded-for, -proto and -host
    forwarded: bool = False  # send `forwarded` (RFC 7239)
    trusted: tuple[
        str, ...
    ] = ()  # networks (CIDR) whose own such headers are extended, not replaced


class Drain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a worker stops."""

    lame_duck: Duration = Duration(5 * SECOND)  # /readyz says 503, requests are still served
    hard_stop: Duration = Duration(2 * MINUTE)  # what still runs then is ended


class Timeout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one attempt at a backend."""

    connect: Duration = Duration(2 * SECOND)  # TCP and TLS handshakes
    first_byte: Duration = Duration(60 * SECOND)  # request sent to first byte of the answer's body
    idle: Duration = Duration(30 * SECOND)  # longest gap between two pieces of an answer
    total: Duration = Duration(10 * MINUTE)  # the whole attempt


class Breaker(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a backend is given a rest; decided on the attempts of all workers together."""

    consecutive: Count = 5  # failures in a row that open it; 0 never
    failure_share: Share = Share(0.2)  # failed attempts of the window that open it; 100% never
    slow_share: Share = Share(1.0)  # slow attempts of the window that open it; 100% never
    slow: Duration = Duration(0)  # an attempt whose first byte takes longer is slow; 0 never
    window: Duration = Duration(30 * SECOND)  # sliding window of the shares, at most 32s
    minimum: AtLeastOne = 20  # attempts in the window before the shares count
    open: Duration = Duration(10 * SECOND)  # first open time; grows with each opening, jittered
    open_max: Duration = Duration(5 * MINUTE)  # longest open time
    probes: AtLeastOne = 1  # trial requests at once while half open


class Health(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Active checks; each backend is asked by one worker at a time."""

    # from the host's root; default: `/v2/health/ready` (kserve), `/models` (openai) below the URL
    path: PathOrNone = ""
    interval: Duration = Duration(10 * SECOND)  # time between two checks
    timeout: Duration = Duration(2 * SECOND)  # a check slower than this failed
    rise: AtLeastOne = 2  # good checks in a row that make a backend healthy
    fall: AtLeastOne = 3  # bad checks in a row that make it unhealthy


class Adaptive(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A concurrency limit that follows the backend's latency (Gradient2)."""

    initial: AtLeastOne = 20  # limit to begin with
    floor: AtLeastOne = 4  # never below
    ceiling: AtLeastOne = 1000  # never above; nor above a max_concurrency that is a number
    queue: Count = 4  # slack added with each update
    tolerance: Annotated[float, Meta(ge=1, le=10)] = 1.5  # slow-down that is still taken as normal
    smoothing: Annotated[float, Meta(gt=0, le=1)] = 0.2  # weight of a new estimate


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an answer costs, in USD; leave a part out if it is free."""

    input: Money = 0.0  # per million input tokens
    output: Money = 0.0  # per million output tokens
    cached: Money | None = None  # per million cached input tokens; default: as input
    request: Money = 0.0  # per request


class Pool(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Idle connections that a worker keeps to a backend."""

    idle: Count = 64  # at most so many
    idle_timeout: Duration = Duration(15 * SECOND)  # shorter than the backend's own keep-alive time
    max_age: Duration = Duration(60 * MINUTE)  # a connection is not used beyond this age


class BackendTls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS towards a backend; the check of its certificate cannot be switched off."""

    ca: str = ""  # PEM file of the authorities to trust; default: the system's
    certificate: str = ""  # PEM file with our client certificate
    key: str = ""  # PEM file with its private key
    server_name: str = ""  # name to ask for and to check; default: the URL's host


class Usage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an answer counts its tokens (JSON pointers)."""

    input: Pointer = ""  # such as /usage/prompt_tokens
    output: Pointer = ""  # such as /usage/completion_tokens


class HttpShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where things are in the requests and answers of a backend that speaks `http`."""

    path: PathOrNone = ""  # path to call, below the URL's; default: the client's own
    model: Pointer = ""  # where the request names the model, such as /model
    usage: Usage = Usage()  # where the answer counts tokens
    confidence: Pointer = ""  # where the answer states its confidence
    version: Pointer = ""  # where the answer states the model's version


class Backend(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One deployment of one model version at one URL."""

    protocol: Protocol  # wire format it speaks
    url: str  # http://, https:// or unix:///path.sock:/base; everything before the operation's path
    model: Line = ""  # its own name for the model; default: the backend's key
    version: Line = ""  # version of the model, for records and headers
    api_key: Secret = Secret("")  # sent as `authorization: Bearer KEY`
    headers: dict[str, Secret] = {}  # further headers sent with each request
    forward: tuple[str, ...] = ()  # client headers passed on although they carry credentials
    compression: bool = False  # let the backend compress its answers when the client accepts it
    # what it can do; default: all that its protocol can carry; chat, completions and
    # responses imply `stream`
    capabilities: tuple[Capability, ...] | None = None
    context_window: Count = 0  # tokens of input and output together; 0 unknown
    price: Price = Price()  # what it costs
    quality: Share = Share(0.5)  # declared quality, used by the policy `balanced`
    max_concurrency: Count | Literal["adaptive"] = 0  # requests at once, all workers; 0 unlimited
    adaptive: Adaptive | None = None  # settings of max_concurrency: adaptive
    timeout: Timeout = Timeout()  # limits of one attempt
    pool: Pool = Pool()  # idle connections
    dns_ttl: Duration = Duration(30 * SECOND)  # addresses are resolved again after this
    slow_start: Duration = Duration(0)  # a backend that came back gets its full share after this
    tls: BackendTls | None = None  # for https URLs
    breaker: Breaker = Breaker()  # when it is given a rest
    health: Health | None = None  # active checks; default none
    http: HttpShape | None = None  # only for protocol http
    registry: Registry | None = None  # where the model version comes from


class Slo(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The latency a route promises; exactly one of these."""

    first_byte_p50: Duration | None = None  # median time to the answer's first byte
    first_byte_p90: Duration | None = None  # nine in ten
    first_byte_p95: Duration | None = None  # 95 in a hundred
    first_byte_p99: Duration | None = None  # 99 in a hundred
    total_p50: Duration | None = None  # median time to the complete answer
    total_p90: Duration | None = None  # nine in ten
    total_p95: Duration | None = None  # 95 in a hundred
    total_p99: Duration | None = None  # 99 in a hundred


class Balance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights of the policy `balanced`; only their ratio matters."""

    cost: Factor = 1.0  # expected price of the answer
    latency: Factor = 1.0  # predicted latency
    quality: Factor = 1.0  # declared quality


class Retry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Further attempts, made only while nothing has gone to the client."""

    attempts: Annotated[int, Meta(ge=1, le=10)] = 2  # in all, the first included
    budget: Share = Share(0.2)  # retries allowed, as a share of the route's requests
    budget_per_s: Factor = 3.0  # retries per second allowed beside that
    backoff: Duration = Duration(25 * 10**6)  # base of the jittered pause before the same backend
    backoff_max: Duration = Duration(250 * 10**6)  # longest pause
    statuses: tuple[FailureStatus, ...] = (408, 429, 500, 502, 503, 504, 529)  # answers to retry
    methods: tuple[Method, ...] = ("GET", "HEAD", "POST", "PUT")  # requests that may be repeated
    retry_after_max: Duration = Duration(5 * MINUTE)  # longest Retry-After of a backend we obey


class Hedge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second attempt when the first is slow; the loser is cancelled."""

    after: Duration = Duration(0)  # 0: after the backend's own p95 of first-byte time
    budget: Share = Share(0.02)  # hedges allowed, as a share of the route's requests


class Queue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests that wait for a backend with a free slot."""

    max: Count | None = None  # waiting at once, each worker; default: twice the candidates' limits
    max_wait: Duration = Duration(
        2 * SECOND
    )  # longest wait, and never beyond a quarter of the deadline
    target: Duration = Duration(50 * 10**6)  # wait that is still healthy (CoDel)
    interval: Duration = Duration(SECOND)  # above target for so long: requests are dropped
    status: Literal[429, 503] = 503  # answer of a refusal


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer of the gateway's own: a constant, or one that looks at the request."""

    status: Status = 200  # its status
    # a mapping or list is sent as JSON, text as it stands; `{$get: /pointer, $else: …}` and
    # `{$if: [/pointer, ">", 1000], $then: …, $else: …}` in it are worked out for each request
    body: Any = ""
    content_type: Line = ""  # default: application/json, or text/plain for text


class FallbackStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a fallback chain; exactly one of these."""

    backend: str = ""  # name of a backend
    route: str = ""  # name of a route, which is then followed as if it had been asked for
    rule: Rule | None = None  # an answer of the gateway's own


class WeightedBackend(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A candidate with its weight."""

    backend: str  # name of a backend
    weight: Weight = 1  # share of the requests under the policy `weighted`


class RouteTimeout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of a whole request, all attempts included."""

    first_byte: Duration = Duration(0)  # fail over after this; 0: the backend's own
    total: Duration = Duration(10 * MINUTE)  # deadline of the request


class RouteLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes of one request and its answer."""

    body: Size = Size(8 * MIB)  # largest request body; 413 above
    replay: Size = Size(MIB)  # bodies up to this are kept, so that they can be retried
    hold: Size = Size(
        4 * MIB
    )  # answers up to this are held until complete, so that they can be retried


class Match(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paths that lead to a route when the request names no model."""

    path: Path  # exact, or with one `{model}`, or with a trailing `*`
    methods: tuple[Method, ...] = ("POST",)  # methods that match


class Cache(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Good answers kept for the fallback `cached`."""

    entries: AtLeastOne = 1024  # answers kept, each worker
    bytes: Size = Size(64 * MIB)  # and their size together
    ttl: Duration = Duration(60 * MINUTE)  # oldest answer that is still served


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public model name that clients ask for."""

    backends: tuple[str | WeightedBackend, ...]  # candidates, all of one protocol, best first
    policy: PolicyName = "ordered"  # how one of them is picked
    slo: Slo | None = None  # needed by cheapest_within_slo
    balance: Balance = Balance()  # weights of `balanced`
    exploration: Share = Share(0.0)  # requests sent to a random usable candidate
    # the same backend for the same `user`, `client`, `header:NAME` or `pointer:/json/pointer`
    sticky: str = ""
    panic: Share = Share(0.0)  # fewer usable candidates than this: breakers are ignored; 0 never
    retry: Retry = Retry()  # further attempts
    hedge: Hedge | None = None  # a second attempt at once; default none
    queue: Queue = Queue()  # waiting for a free slot
    fallback: tuple[
        str | FallbackStep, ...
    ] = ()  # when all fails: backend, route, cached, rule, unavailable
    larger_context: tuple[str, ...] = ()  # backends to try when the input is too long for the first
    content_filter: tuple[str, ...] = ()  # backends to try when a content filter refuses
    timeout: RouteTimeout = RouteTimeout()  # limits of the whole request
    limits: RouteLimits = RouteLimits()  # sizes
    priority: Level = 4  # 0 is served first, 7 last
    overrides: tuple[Override, ...] = ()  # x-gateway-* request headers that clients may use
    websocket: bool = False  # tunnel WebSocket upgrades
    match: tuple[Match, ...] = ()  # paths that lead here
    cache: Cache | None = None  # settings of the fallback `cached`
    record: Recording = Recording()  # what its records say
    shadow: tuple[Shadow, ...] = ()  # copies of requests, to backends that no client hears of
    contract: Contract | None = None  # what requests and answers must be like; default: anything


class Defaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings for every backend and route that does not say otherwise, key by key."""

    timeout: Timeout = Timeout()  # under each backend's timeout
    breaker: Breaker = Breaker()  # under each backend's breaker
    retry: Retry = Retry()  # under each route's retry
    queue: Queue = Queue()  # under each route's queue
    record: Recording = Recording()  # under each route's record


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    listen: Listen = Listen()  # the data port
    admin: Admin = Admin()  # the admin port
    workers: Annotated[int, Meta(ge=0, le=1024)] = 0  # worker processes; 0: one for each CPU core
    state: str = "./state"  # directory for what must survive a restart
    name: Line = ""  # of this gateway, in its records; default: the host's name
    limits: Limits = Limits()  # bounds of one worker
    cors: Cors | None = None  # answers to browsers of other origins; default none
    forwarded: Forwarded = Forwarded()  # headers that tell a backend who called
    drain: Drain = Drain()  # how a worker stops
    log: Log = Log()  # the prediction log
    server_header: Line = ""  # `server` header of our answers; default none
    defaults: Defaults = Defaults()  # for every backend and route
    default_route: str = ""  # route of requests that name no model
    backends: dict[str, Backend]  # by name
    routes: dict[str, Route]  # by public model name
    rollouts: dict[str, Rollout] = {}  # by name
    audiences: dict[str, Audience] = {}  # kinds of callers, by name
    flags: dict[str, Flag] = {}  # by key
    notices: Notices = Notices()  # who is told what rollouts do
    drift: Drift = Drift()  # watching data and predictions for change
