"""The part of the schema that is about watching models: contracts, drift, alerts, actions.

Comments beside the fields are the manual, as in `schema`, whose rules hold here. A contract
says what one request, or one answer, must be like; `drift` looks at many of them together.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gateway.config.kinds import AtLeastOne, Count, Line, Pointer
from gateway.config.units import Age, Duration, Secret, Share, Size

SECOND, MINUTE, HOUR = 10**9, 60 * 10**9, 3600 * 10**9
DAY = 24 * HOUR
KIB = 2**10

FieldType = Literal["number", "integer", "boolean", "text", "time", "list", "object", "any"]
Action = Literal["reject", "repair", "flag"]
RowFormat = Literal["auto", "rows", "columns", "split", "kserve"]
DriftTest = Literal[
    "auto",
    "psi",
    "ks",
    "js",
    "wasserstein",
    "chi_square",
    "hellinger",
    "l_infinity",
    "one_category",
    "mmd",
    "adwin",
    "page_hinkley",
]
AlertSeverity = Literal["critical", "warning", "info"]
Days = Annotated[float, Meta(gt=0, le=36_500)]
Effect = Annotated[float, Meta(ge=0, le=1_000)]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]


class ContractField(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one field must be like; `NAME: number` is short for `NAME: {type: number}`."""

    type: FieldType = "any"  # `time`: RFC 3339 text, or seconds (or milliseconds) since 1970
    of: FieldType = "any"  # type of the elements of a `list`
    required: bool = True  # a row without it violates the contract
    # a null is allowed where this is above 0%; `gateway drift` watches that there are no more
    nulls: Share = Share(0.0)
    min: float | None = None  # of numbers, or of the numbers in a list
    max: float | None = None  # likewise
    min_length: Count | None = None  # characters of a text, elements of a list
    max_length: Count | None = None  # likewise
    categories: tuple[Any, ...] = ()  # the only values that it may have
    pattern: str = ""  # of the whole text (RE2)
    freshness: Duration = Duration(0)  # a `time` must not be older; 0 may be
    default: Any = None  # what `repair` puts where the field is missing, null or wrong
    on_violation: Action | Literal[""] = ""  # default: as the contract says
    description: str = ""  # what it is


class ContractRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What fields of one row say about each other; text is short for `check`."""

    # such as `start <= end` or `total == price * count`; has and, or, not, in, + - * /
    check: str
    when: str = ""  # only judged where this holds, such as `kind == "return"`
    name: str = ""  # default: the check
    on_violation: Action | Literal[""] = ""  # default: as the contract says


class ContractSide(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What requests, or answers, must be like: fields, a JSON Schema, or both."""

    # where the rows stand in the body; default: `/inputs` and `/outputs` for kserve
    at: Pointer = ""
    # `rows`: an object, or a list of them; `columns`: an object of lists; `split`: `columns` and
    # `data`, as pandas and MLflow have it; `kserve`: tensors; default: kserve for kserve, else rows
    format: RowFormat = "auto"
    encoded: bool = False  # what stands there is a text that holds JSON, as in an LLM's answer
    fields: dict[str, FieldType | ContractField] = {}  # by name
    extra: Literal["allow", "flag", "reject"] = "flag"  # of fields that are not listed
    rules: tuple[str | ContractRule, ...] = ()  # between the fields of a row
    schema: Any = None  # JSON Schema (2020-12) of what stands there
    max: Size = Size(256 * KIB)  # a longer body cannot be checked, which is a violation
    on_violation: Action | Literal[""] = ""  # default: as the contract says


class Contract(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a route's requests and answers must be like, and what becomes of others."""

    input: ContractSide | None = None  # of requests
    output: ContractSide | None = None  # of answers that are held whole; streams are not checked
    # `reject`: a wrong request is answered 422, a wrong answer is a failed attempt; `repair`:
    # defaults are filled in, what has none is rejected; `flag`: the record says it, that is all
    on_violation: Action = "flag"
    version: Line = ""  # of the contract itself, for records and reports


class DriftReference(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What current data are compared with."""

    # `training`: a file; `pinned`: a stretch of recorded traffic; `last_week`: the same hour a
    # week ago; `champion`: the champion in the same minutes; `before`: what came before the window
    kind: Literal["training", "pinned", "last_week", "champion", "before"]
    file: str = ""  # of `training`: CSV, Parquet, or a profile as JSON
    since: Line = ""  # of `pinned`: RFC 3339, UTC
    until: Line = ""  # of `pinned`: likewise
    route: str = ""  # whose traffic `pinned` takes; default: the route that is looked at
    length: Age = Age(DAY)  # of `before`: how far back from the window; 7 days at most


class DriftActions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an alert does beside telling; each is asked for, none is a default."""

    retrain: str = ""  # call this entry of `drift.retraining`
    rollout: Literal["", "hold", "rollback"] = ""  # of rollouts on the route that are under way
    # kill switches held off while the alert is open, such as `backend.NAME`: the route's other
    # backends, or its fallback chain, answer meanwhile
    switch_off: tuple[str, ...] = ()
    # share of the route's requests that these backends have while the alert is open; the others
    # divide the rest as they are weighted
    weights: dict[str, Share] = {}
    # bodies that records of the route keep while the alert is open: all, or a share of them
    payload: Literal["full"] | Share | None = None


class DriftRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One watch: which fields of which routes, against what, and when it matters."""

    # name of an entry of `drift.references`; default: none, others look, and say what they found
    # by `POST /api/v1/alerts/looks`
    reference: str = ""
    routes: tuple[str, ...] = ()  # default: all
    # names or patterns with `*`: `amount`, `prediction.*`, `llm.output_tokens`, `feedback.thumbs`;
    # `traffic.requests`, which `*` alone does not mean: whether requests stop or fall
    fields: tuple[Line, ...] = ("*",)
    test: DriftTest = "auto"  # default: by the kind of the field
    effect: Effect | None = None  # a smaller change is none, however certain; default: by the test
    window: Duration = Duration(HOUR)  # of data that are looked at together
    every: Duration = Duration(5 * MINUTE)  # how often
    minimum: Count = 0  # rows in the window; 0: as many as the test needs
    false_alarm_days: Days = 30.0  # expected time between false alarms of the whole rule, in days
    opens: AtLeastOne = 2  # looks that must find it …
    of: AtLeastOne = 3  # … of the last so many
    closes: AtLeastOne = 3  # looks in a row that find nothing end the alert
    severity: AlertSeverity = "warning"  # critical: somebody is called; info: dashboards only
    runbook: Line = ""  # URL; default: the gateway's own text for this kind of alert
    actions: DriftActions = DriftActions()  # default: none


class DriftWebhook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who is told of alerts."""

    url: Secret  # http:// or https://; a secret, as Slack's are
    format: Literal["json", "slack", "alertmanager"] = "json"  # shape of the body
    secret: Secret = Secret("")  # signs the body: HMAC-SHA256 in x-gateway-signature
    severity: AlertSeverity = "warning"  # the least that is told
    routes: tuple[str, ...] = ()  # default: all


class DriftEmail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Alerts by e-mail."""

    host: Line  # of the SMTP server
    port: PortNumber = 587  # of it
    tls: Literal["starttls", "tls", "none"] = "starttls"  # how the connection is protected
    username: Line = ""  # as whom; default: nobody
    password: Secret = Secret("")  # with what
    sender: Line  # from whom
    to: tuple[Line, ...]  # to whom
    severity: AlertSeverity = "warning"  # the least that is told


class DriftAlerts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told, and how often."""

    webhooks: tuple[DriftWebhook, ...] = ()  # in any order; each has a queue of its own
    email: DriftEmail | None = None  # default: none
    kafka_topic: Line = ""  # on the brokers of `log.kafka`; default: none
    group: Duration = Duration(MINUTE)  # alerts of one cause within this time are one message
    repeat: Duration = Duration(24 * HOUR)  # an alert that stays open is told again after this
    resolved: bool = True  # tell also when it is over
    # URL under which docs/runbooks is published, for links to its pages; default: the paths
    runbooks: Line = ""
    timeout: Duration = Duration(5 * SECOND)  # of one call
    attempts: Annotated[int, Meta(ge=1, le=20)] = 5  # with back-off


class Retraining(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook that starts a training: it is sent the evidence and the data's window."""

    url: Secret  # http:// or https://
    secret: Secret = Secret("")  # signs the body: HMAC-SHA256 in x-gateway-signature
    at_most_every: Duration = Duration(24 * HOUR)  # however many alerts ask for it


class DriftLabels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What feedback says of predictions: for accuracy, calibration, business figures."""

    signal: Line = "label"  # feedback with the truth
    # what it is compared with: a name such as `prediction.score`, or a pointer into the record
    # such as `/finish_reason`; default: the only one there is
    prediction: Line = ""
    kind: Literal["class", "probability", "number"] = "class"  # of that prediction
    positive: Line = ""  # the label whose probability it is; default: 1, true, yes
    threshold: Share = Share(0.5)  # of a probability, from which it counts as positive
    # labels come late: only answers this old count, and of each the labels it had at that age
    matured: Age = Age(24 * HOUR)
    # feedback whose mean is watched beside: `thumbs`, `task`, `accept`, `score`, `edit`
    signals: tuple[Line, ...] = ()


class DriftConsumer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the data come from, and what is kept of them."""

    # `log`: the shipper counts the local log, the controller looks; `kafka`: `gateway drift watch`,
    # a consumer group, does both
    source: Literal["log", "kafka"] = "log"
    group: Line = "gateway-drift"  # of `kafka`: its consumer group
    state_topic: Line = "gateway.drift"  # of `kafka`: compacted, holds profiles and offsets
    lateness: Duration = Duration(10 * MINUTE)  # rows that come later count as late, not lost
    keep: Duration = Duration(24 * HOUR)  # minutes kept as minutes; older ones are summed to hours
    bins: Annotated[int, Meta(ge=4, le=1024)] = 64  # of numeric fields, by reference quantiles
    top: Annotated[int, Meta(ge=1, le=10_000)] = 64  # categories counted by name, in each field
    fields: AtLeastOne = 1000  # most fields of a route; more are counted together


class Drift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Watching data and predictions for change."""

    enabled: bool = True  # off: nothing is read
    references: dict[str, DriftReference] = {}  # by name
    rules: dict[str, DriftRule] = {}  # by name; default: none, nothing is watched
    labels: dict[str, DriftLabels] = {}  # by route
    alerts: DriftAlerts = DriftAlerts()  # who is told
    retraining: dict[str, Retraining] = {}  # by name
    consumer: DriftConsumer = DriftConsumer()  # where data come from
