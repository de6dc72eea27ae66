"""What the control plane needs of the rest of the gateway, as protocols.

`run` makes the real parts and passes them in one `Parts`; tests pass fakes. Nothing here
is implemented, and the control plane imports none of what implements it.

Rule: a method that changes something takes the author, for the history.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from gateway.alerts.desk import Taken
from gateway.alerts.finding import Look
from gateway.alerts.looked import LookFigures
from gateway.alerts.views import AlertView
from gateway.config.watching import DriftLabels
from gateway.control.figures import BoardView
from gateway.drift.performance_view import PerformanceView
from gateway.drift.report_view import DriftOverview, RouteReports
from gateway.explanation.explanation import RecordExplanation
from gateway.log.figures import LogFigures
from gateway.messages import Delivery, Feedback
from gateway.notices.receiver import ReceiverFigures
from gateway.plan import Plan
from gateway.production.answer import Production
from gateway.rollout.decisions import Decision, Entry
from gateway.rollout.desk import View
from gateway.rollout.parts import Figures as RolloutFigures
from gateway.state.alerts import KeptDeed
from gateway.store.filters import Filter
from gateway.store.search import Found
from gateway.store.stats import Stats


class Worker(Struct, frozen=True):
    """One worker process."""

    slot: int
    pid: int  # 0: not running, about to be restarted
    is_up: bool
    plan: str  # hash of the plan it serves on; "" none yet
    is_current: bool  # that is the plan in force
    heartbeat_age_s: float


class Version(Struct, frozen=True, kw_only=True):
    """One configuration that was offered to the gateway."""

    hash: str  # of its plan
    author: str  # `file`, `signal`, `api`, a name
    at: str  # RFC 3339, UTC
    outcome: str  # "applied" or "refused"
    detail: str = ""  # why it was refused; what was switched, forced or moved
    is_current: bool = False


class Change(Struct, frozen=True):
    """What became of a configuration that was offered and accepted."""

    hash: str  # of the plan now in force
    previous: str
    is_changed: bool  # False: it was in force already
    notes: tuple[str, ...] = ()  # what needs a restart to take effect, for one
    propagation_s: float = 0.0  # until the last worker said that it serves on it


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that is to be explained, not sent."""

    path: str = ""  # default: the usual one of the route's protocol
    headers: dict[str, str] = {}
    body: Any = None  # JSON, as the client would send it


class Candidate(Struct, frozen=True, kw_only=True):
    """One candidate backend in the eyes of the policy."""

    backend: str
    is_eligible: bool
    reason: str = ""  # why it is excluded, one token; "" if it is not
    sentence: str = ""  # the same for people
    probability: float = 0.0  # of being the first choice
    score: float | None = None  # what the policy compares, the lowest wins; null if it does not
    expected_usd: float | None = None  # price of a successful answer
    predicted_s: float | None = None  # latency, at the SLO's quantile
    load: float | None = None
    weight: float | None = None  # after slow start


class Explanation(Struct, frozen=True, kw_only=True):
    """How a route would treat a request now."""

    route: str
    policy: str
    choice: str | None  # the likeliest backend; null if it would be refused or would wait
    refusal: str = ""  # the reason token then
    is_panic: bool = False  # too few candidates are usable, so breakers are ignored
    is_exploring: bool = False  # drawn at random to learn, not by the policy
    needs: tuple[str, ...] = ()  # capabilities the request needs
    input_tokens: float | None = None  # estimate
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()  # stickiness, overrides, what was assumed


class Configuration(Protocol):
    """The configuration in force, its history, and the ways to change it."""

    @property
    def plan(self) -> Plan: ...
    @property
    def effective(self) -> Mapping[str, object]: ...  # as config.effective: secrets masked
    @property
    def failure(self) -> Version | None: ...  # the last one offered, if it was refused
    @property
    def reloads(self) -> Mapping[str, int]: ...  # by telemetry.RELOAD_RESULTS
    @property
    def applied_at_s(self) -> float: ...  # seconds since 1970
    @property
    def propagation_s(self) -> float: ...  # of the last change, to the last worker
    @property
    def delivery(self) -> Delivery: ...

    def history(self) -> Sequence[Version]: ...  # the newest first
    def text(self, plan_hash: str) -> str: ...  # masked; StateError if unknown or ambiguous
    async def reload(self, author: str) -> Change: ...
    async def replace(self, text: str, author: str) -> Change: ...
    async def rollback(self, plan_hash: str, author: str) -> Change: ...
    async def deliver(self, change: Callable[[Delivery], Delivery], author: str) -> Change: ...


class Workers(Protocol):
    """The processes of the gateway."""

    @property
    def is_draining(self) -> bool: ...
    def seats(self) -> Sequence[Worker]: ...
    def processes(self) -> Mapping[str, int]: ...  # name → pid, such as "worker-0", "controller"
    def drain(self) -> None: ...


class Explainer(Protocol):
    """Answers for a request what a worker would do with it."""

    def explain(self, route: str, question: Question) -> Explanation: ...


class InForce(Protocol):
    """What is in production, now or at a moment; it may take a while, so not on the loop."""

    def at(self, moment: str = ..., route: str = ...) -> Production: ...


class FeedbackLog(Protocol):
    """The prediction log, as far as feedback goes into it."""

    def append(self, feedback: Feedback) -> int: ...  # fills in where; gives its `seq`


class FlagAnswer(Protocol):
    """What a client of OpenFeature's remote evaluation is told."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...  # JSON; b"" with 304
    @property
    def etag(self) -> str: ...  # "" none


# Method, path, body and If-None-Match.
FlagAnswers = Callable[[str, str, bytes, str], FlagAnswer]


class Records(Protocol):
    """The prediction log, as far as it is read; NoRecord where there is none of this id."""

    def line(self, key: str) -> bytes: ...  # as it was written
    def explanation(self, key: str) -> RecordExplanation: ...


class Searches(Protocol):
    """The prediction log, as far as it is searched; Fault where the question is wrong."""

    async def search(self, wanted: Filter, limit: int) -> Found: ...
    async def stats(self, wanted: Filter, by: tuple[str, ...], *, with_feedback: bool) -> Stats: ...


class Rollouts(Protocol):
    """What the desk shows and is told; UnknownRollout and IllegalTransition say no."""

    def rollouts(self) -> Sequence[View]: ...
    def view(self, name: str) -> View: ...
    def history(self, name: str) -> Sequence[Decision]: ...  # the oldest first
    def decisions(self, after: int = ..., limit: int = ...) -> Sequence[Entry]: ...
    def figures(self) -> RolloutFigures: ...
    async def start(self, name: str, actor: str, text: str = ...) -> View: ...
    async def promote(self, name: str, actor: str, *, full: bool = ...) -> View: ...
    async def pause(self, name: str, actor: str) -> View: ...
    async def resume(self, name: str, actor: str) -> View: ...
    async def abort(self, name: str, actor: str, reason: str = ...) -> View: ...
    async def retry(self, name: str, actor: str) -> View: ...
    async def undo(self, name: str, actor: str) -> View: ...
    async def confirm(self, name: str, actor: str) -> View: ...


class Alerts(Protocol):
    """Alerts: what comes in, is shown and said; UnknownAlert and BadLook say no."""

    @property
    def turned_away(self) -> int: ...
    def alerts(self, limit: int = ..., *, is_all: bool = ...) -> Sequence[AlertView]: ...
    def alert(self, number: int) -> AlertView: ...
    def deeds(self, after: int = ..., limit: int = ..., alert: int = ...) -> Sequence[KeptDeed]: ...
    def looks(self) -> tuple[LookFigures, ...]: ...
    def receivers(self) -> tuple[ReceiverFigures, ...]: ...
    async def look(self, look: Look) -> Taken: ...
    async def silence(self, number: int, for_s: float, actor: str) -> AlertView: ...
    async def resolve(self, number: int, actor: str) -> AlertView: ...


class WatchStanding(Protocol):
    """How the watch over profiles stands."""

    @property
    def watermark(self) -> int: ...  # minute since 1970 up to which data are there; 0 none
    @property
    def rules(self) -> int: ...  # pairs of a rule and a route that are looked at
    @property
    def skipped(self) -> int: ...  # looks that were too far in arrears
    @property
    def learning(self) -> Sequence[str]: ...  # routes whose fields are still to be learned
    @property
    def problems(self) -> Sequence[str]: ...  # sentences


class DriftReports(Protocol):
    """What the rules of `drift` say of what was counted; GatewayError says why not."""

    async def overview(self) -> DriftOverview: ...
    async def reports(self, route: str) -> RouteReports: ...
    # `asked` has rule, version and arm, "" any; None: there is nothing to draw
    async def drawn(self, route: str, asked: Mapping[str, str], form: str) -> bytes | None: ...


class Performance(Protocol):
    """What labels say of predictions; StoreError where the store cannot say."""

    def labels_of(self, route: str) -> DriftLabels | None: ...
    async def show(self, route: str, last_s: float) -> PerformanceView: ...


class Parts(Struct, frozen=True, kw_only=True):
    """Everything the control plane works with."""

    configuration: Configuration
    workers: Workers
    explainer: Explainer
    board: BoardView
    host: str = "127.0.0.1"  # of the admin listener, as configured
    token: str = ""  # "" none; then the listener must be on loopback
    now_ns: Callable[[], int] = time.monotonic_ns
    now_s: Callable[[], float] = time.time
    started_ns: int = 0  # of `now_ns`: when the gateway began, not the controller
    data_url: str = ""  # of the data port, for the hint on the status page
    feedback: FeedbackLog | None = None  # None: the prediction log is off
    redact: Callable[[str], str] | None = None  # goes over texts before they are logged
    production: InForce | None = None  # None: there is no state directory to look in
    drift_lines: Callable[[], Mapping[str, int]] = dict  # that were counted, by result
    log_figures: Callable[[], LogFigures | None] = lambda: None  # the shipper's; None: it is away
    records: Records | None = None  # None: the local store is off
    searches: Searches | None = None  # the same
    alerts: Alerts | None = None  # None: nobody looks after alerts
    watch: Callable[[], WatchStanding | None] = lambda: None  # None: it looks at nothing
    drift: DriftReports | None = None  # None: there is no state directory to look in
    performance: Performance | None = None  # None: there is no store to look in
    rollouts: Rollouts | None = None  # None: nobody looks after rollouts
    webhooks: Callable[[], tuple[ReceiverFigures, ...]] = tuple  # how each is doing
    flags: FlagAnswers | None = None  # None: nobody evaluates them here
