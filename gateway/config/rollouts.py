"""The part of the schema that is about experiments: rollouts, gates, shadows, flags, notices.

Comments beside the fields are the manual, as in `schema`, whose rules hold here. Steps
have Argo Rollouts' names, in camel case, so that a canary can be carried over as it is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gateway.config.kinds import (
    AtLeastOne,
    Count,
    Line,
    Money,
    Percent,
    Pointer,
    PolicyName,
    Weight,
)
from gateway.config.units import Duration, Secret, Share, Size

SECOND, MINUTE, HOUR = 10**9, 60 * 10**9, 3600 * 10**9
KIB, MIB = 2**10, 2**20

Hash = Literal["xxh3", "murmur3-flagd", "sha1-launchdarkly", "md5-eppo", "growthbook-v2"]
GateKind = Literal["guardrail", "signal"]
GateTest = Literal["sequential", "group_sequential", "bayesian", "kayenta"]
GateNeed = Literal["no_harm", "not_worse", "better"]
Quantile = Literal["p50", "p90", "p95", "p99"]
Operator = Literal[
    "in", "not_in", "prefix", "suffix", "contains", "matches", "exists", "absent", "above", "below"
]
Severity = Literal["info", "warn", "error"]
Score = Annotated[float, Meta(ge=0, le=100)]


class Condition(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"is_": "is"}
):
    """One thing that must hold of a request, or of a flag's context."""

    # `user`, `key`, `client`, `header:NAME`, `pointer:/json/pointer`; of a flag: an attribute
    field: str
    is_: Operator = "in"  # how it is compared with `values`; `matches` takes a pattern of RE2
    values: tuple[Any, ...] = ()  # what with; any one of them will do


class Audience(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named kind of callers."""

    where: tuple[Condition, ...] = ()  # all of these hold
    units: tuple[str, ...] = ()  # or the unit is one of these
    share: Share = Share(1.0)  # of those, drawn by hash of the unit


class Targets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who takes part in a rollout."""

    audiences: tuple[str, ...] = ()  # any of these; default: everybody
    where: tuple[Condition, ...] = ()  # and all of these hold
    allow: tuple[str, ...] = ()  # units that always get the first challenger, outside the evidence
    deny: tuple[str, ...] = ()  # units that never take part


class Arm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a challenger does otherwise than the route as it is configured."""

    backends: tuple[str, ...] = ()  # its candidates; default: the route's own
    weights: tuple[Weight, ...] = ()  # of them, for `weighted`
    policy: PolicyName | Literal[""] = ""  # default: the route's own
    merge: Any = None  # laid over each request's JSON body (RFC 7396), such as {temperature: 0.2}
    prompt: str = ""  # the system prompt, in place of the client's own
    share: Weight = 1  # of the challengers' part, where there are several


class Compare(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a shadow's answer is compared with the one that the client got."""

    ignore: tuple[Pointer, ...] = ()  # members that may differ; ids and times always may
    label: Pointer = ""  # the class that both should agree on; default: where the protocol has it
    number: Pointer = ""  # a number to compare, such as /outputs/0/data/0
    tolerance: float = 0.0  # numbers this near to each other agree
    text: Pointer = ""  # the text to compare; default: the protocol's answer text
    similarity: Share = Share(0.0)  # texts at least so similar agree; 0% texts are not judged
    schema: Any = None  # JSON Schema that both answers' JSON must meet
    judge: str = ""  # a route that is asked which answer is better
    judge_prompt: str = ""  # what it is told; default: a plain instruction


class Shadow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A copy of requests sent to a backend whose answers no client sees."""

    backend: str  # name of a backend
    sample: Share = Share(0.1)  # of the route's requests, drawn by request id
    max_concurrency: AtLeastOne = 16  # copies at once, all workers; more are skipped
    max_body: Size = Size(256 * KIB)  # longest request and answer; a longer request is skipped
    max_memory: Size = Size(32 * MIB)  # held for copies under way, each worker
    max_usd_per_day: Money = 0.0  # spent on copies, UTC day; 0 no limit
    timeout: Duration = Duration(60 * SECOND)  # of a copy
    compare: Compare = Compare()  # with the client's answer


class Pause(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Wait; without a duration, until somebody promotes."""

    duration: Duration = Duration(0)  # 0: until `gateway rollout promote`


class Mirror(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Copies to the challenger; 0 ends it."""

    percentage: Percent = 100.0  # of the route's requests


class HeaderMatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A request header with a value."""

    header_name: Line  # its name
    header_value: str  # exactly


class HeaderRoute(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests with these headers get the challenger, outside the evidence; none ends it."""

    match: tuple[HeaderMatch, ...] = ()  # any of them
    arm: str = ""  # default: the first challenger


class Analysis(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Go on only when these gates pass, at the present weight."""

    gates: tuple[str, ...] = ()  # by name; default: all
    duration: Duration = Duration(0)  # and not before


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One step of a rollout; exactly one of these."""

    set_weight: Percent | None = None  # percent of the units that get a challenger
    pause: Pause | None = None  # wait
    analysis: Analysis | None = None  # wait for gates
    set_mirror_route: Mirror | None = None  # copy requests to the challenger
    set_header_route: HeaderRoute | None = None  # send some requests to the challenger


class Gate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule on evidence: what the challenger must not do, or must do better."""

    # errors, timeouts, truncated, rescued, refusals, cut_off, schema_violations, latency,
    # first_byte, cost, cost_per_accept, input_tokens, output_tokens, disagreement, drift,
    # feedback.SIGNAL
    metric: str
    name: str = ""  # default: the metric
    kind: GateKind = "guardrail"  # `guardrail` rolls back; `signal` holds
    test: GateTest = "sequential"  # only `sequential` stays valid however often one looks
    needs: GateNeed = "no_harm"  # what it takes to pass
    margin: Share = Share(0.0)  # worse than the champion by less than this share is no harm
    quantile: Quantile = "p99"  # of latency and first_byte
    alpha: Share | None = None  # chance of a false alarm; default: the rollout's
    minimum: AtLeastOne = 100  # answers of each arm before it may pass
    maximum: Count = 0  # answers after which it is inconclusive; 0 none
    matured: Duration = Duration(0)  # only answers this old count: feedback comes late
    pass_score: Score = 95.0  # of `kayenta`
    marginal_score: Score = 75.0  # of `kayenta`


class Minimum(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each weight must have seen before the next one."""

    time: Duration = Duration(5 * MINUTE)  # at least
    samples: Count = 500  # answers of the challenger, at least


class Rollout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Moving a route's traffic from the champion, which is the route as it is, to a challenger."""

    route: str  # whose traffic
    arms: dict[str, Arm]  # challengers by name; several share the weight
    # what is kept on one side: request, user, key, client, header:NAME, pointer:/json/pointer
    unit: str = "request"
    layer: Line = ""  # rollouts of one layer exclude each other; default: a layer of its own
    start: Share = Share(0.0)  # the part of the layer's units that it may take …
    end: Share = Share(1.0)  # … up to here
    holdout: Share = Share(0.0)  # of these, kept out of the evidence and on the champion
    salt: Line = ""  # of the hash that draws; default: the layer's name
    hash: Hash = "xxh3"  # others draw as the system one comes from
    targets: Targets = Targets()  # who takes part
    # default: setWeight 1, 5, 25, 50, 100
    steps: tuple[Step, ...] = (
        Step(set_weight=1.0),
        Step(set_weight=5.0),
        Step(set_weight=25.0),
        Step(set_weight=50.0),
        Step(set_weight=100.0),
    )
    # default: guardrails on errors and timeouts, and on latency beyond 20 %
    gates: tuple[Gate, ...] = (
        Gate(metric="errors"),
        Gate(metric="timeouts"),
        Gate(metric="latency", margin=Share(0.2)),
    )
    minimum: Minimum = Minimum()  # for each weight
    alpha: Share = Share(0.05)  # chance that a challenger as good as the champion is rolled back
    standing: bool = False  # champion–challenger: stay until a `better` gate passes, then promote
    autostart: bool = True  # begin when it appears in the file; else by `gateway rollout start`
    confirm: Literal["never", "promotion", "every_step"] = "never"  # a person says go on
    windows: tuple[str, ...] = ()  # weight rises only then, such as `Mon-Fri 09:00-17:00 UTC`
    deadline: Duration = Duration(0)  # without progress for so long it is aborted; 0 never
    on_srm: Literal["hold", "rollback", "warn"] = "hold"  # when the arms' shares are not as drawn
    dry_run: bool = False  # decide and write down, but move nothing
    mirror: Shadow | None = None  # limits and comparison of setMirrorRoute


class SplitRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of a flag; the first that applies decides."""

    audiences: tuple[str, ...] = ()  # any of these; default: everybody
    where: tuple[Condition, ...] = ()  # and all of these hold
    variant: str = ""  # what it serves
    split: dict[str, Weight] = {}  # or: variants with their weights, drawn by the unit


class Flag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that applications ask for, by OpenFeature's remote evaluation protocol."""

    variants: dict[str, Any]  # by name; all booleans, texts, numbers or objects
    default: str  # variant when no rule applies
    enabled: bool = True  # off: the application's own default
    unit: str = "targetingKey"  # attribute of the context that splits are drawn by
    salt: Line = ""  # default: the flag's name
    hash: Hash = "xxh3"  # others draw as the system one comes from
    rules: tuple[SplitRule, ...] = ()  # in order
    description: str = ""  # what it is for


class Webhook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who is told what rollouts do."""

    url: Secret  # http:// or https://; a secret, as Slack's are
    format: Literal["json", "slack"] = "json"  # shape of the body
    secret: Secret = Secret("")  # signs the body: HMAC-SHA256 in x-gateway-signature
    severity: Severity = "info"  # the least that is told
    events: tuple[str, ...] = ()  # such as rolled_back; default: all


class Notices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told what rollouts do."""

    webhooks: tuple[Webhook, ...] = ()  # in any order; each has a queue of its own
    timeout: Duration = Duration(5 * SECOND)  # of one call
    attempts: Annotated[int, Meta(ge=1, le=20)] = 5  # with back-off
