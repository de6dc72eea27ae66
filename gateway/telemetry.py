"""What the gateway tells operators: the table of its metrics, and the form of its log lines.

`control.exposition` walks the table and writes the Prometheus text; `docs/metrics.md`
is printed from it (`python -m gateway.telemetry`); the alert rules in `deploy/prometheus`
are checked against it. A metric that is not in the table does not exist. Log lines are
the standard library's, as `key=value` or as JSON, one line an event.

Rule 1: names start with `gateway_`; units are seconds, bytes and USD; counters end in `_total`.
Rule 2: label values come from the plan and from fixed lists, never from a request, so the
        number of series is bounded by the configuration.
Rule 3: what a client asked (`request_*`, label `route`) and what a backend was asked
        (`attempt_*`, labels `route` and `backend`) are different metrics, so that a
        sum over either counts everything once.
Rule 4: a log line is one line whatever is logged: control characters are escaped, and
        what looks like a credential is cut out of it.

Knows nothing of how figures are gathered; `source` names the figure.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from typing import IO, Literal

from msgspec import Struct

Kind = Literal["counter", "gauge", "histogram"]

# Upper bounds in seconds. The board's own buckets are finer (0.8 % wide); a count at a
# bound is the count at the nearest edge of those, which is at most 0.4 % from it.
LATENCY_S = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0,
    600.0,
)  # fmt: skip
FIRST_BYTE_S = LATENCY_S[:14]
GAP_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
QUEUE_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OVERHEAD_S = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25,
)  # fmt: skip

BREAKER_STATES = ("closed", "open", "half_open")
STATUS_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
# Why a copy of a request was not sent; the order of _fast/mirror.pxd.
SKIPS = (
    "not_kept", "too_long", "not_capable", "draining", "log_full", "unhealthy", "breaker",
    "concurrency", "memory", "money", "defect",
)  # fmt: skip
RELOAD_RESULTS = ("applied", "unchanged", "refused")

NANO = 1e-9
MILLI = 1e-3


class Metric(Struct, frozen=True):
    """One metric; `source` is the figure it shows and `scale` turns that into the unit."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    source: str
    help: str
    scale: float = 1  # an integer keeps integers exact
    bounds_s: tuple[float, ...] = ()  # of a histogram, whose source is in nanoseconds


def counter(name: str, labels: tuple[str, ...], source: str, text: str, scale: float = 1) -> Metric:
    return Metric(f"gateway_{name}", "counter", labels, source, text, scale)


def gauge(name: str, labels: tuple[str, ...], source: str, text: str) -> Metric:
    return Metric(f"gateway_{name}", "gauge", labels, source, text)


def histogram(
    name: str, labels: tuple[str, ...], source: str, text: str, bounds_s: tuple[float, ...]
) -> Metric:
    return Metric(f"gateway_{name}", "histogram", labels, source, text, NANO, bounds_s)


ROUTE = ("route",)
ATTEMPT = ("route", "backend")
BACKEND = ("backend",)
WORKER = ("worker",)
PROCESS = ("process",)

# `source` is a field of the board's rows, here of a route's own row.
ROUTE_METRICS = (
    counter(
        "requests_total",
        ("route", "outcome"),
        "outcomes",
        "Requests that ended, by how they ended.",
    ),
    counter(
        "answers_total",
        ("route", "status"),
        "statuses",
        "Answers sent to clients, by class of status.",
    ),
    counter("requests_started_total", ROUTE, "requests", "Requests begun."),
    counter(
        "contract_anomalies_total",
        ("route", "side", "anomaly"),
        "anomalies",
        "Requests (side `input`) and answers (`output`) with this anomaly of the route's contract,"
        " or of the JSON that the request asks for.",
    ),
    counter("retries_total", ROUTE, "retries", "Further attempts after a failed one."),
    counter("hedges_total", ROUTE, "hedges", "Attempts sent beside a slow one."),
    counter(
        "fallbacks_total", ROUTE, "fallbacks", "Requests answered by the route's fallback chain."
    ),
    counter("streams_total", ROUTE, "streams", "Answers that were streams."),
    counter("request_bytes_total", ROUTE, "request_bytes", "Bytes of request bodies from clients."),
    counter("answer_bytes_total", ROUTE, "answer_bytes", "Bytes of answer bodies to clients."),
    gauge("requests_in_flight", ROUTE, "in_flight", "Requests under way now."),
    gauge("requests_queued", ROUTE, "queued", "Requests waiting for a backend now."),
    histogram(
        "request_duration_seconds",
        ROUTE,
        "total_ns",
        "From the complete request to the complete answer.",
        LATENCY_S,
    ),
    histogram(
        "request_first_byte_seconds",
        ROUTE,
        "first_byte_ns",
        "From the complete request to the first byte of the answer's body.",
        FIRST_BYTE_S,
    ),
    histogram(
        "request_gap_seconds", ROUTE, "gap_ns", "Between two pieces of a streamed answer.", GAP_S
    ),
    histogram(
        "request_queue_seconds", ROUTE, "queue_ns", "Waiting for a backend to become free.", QUEUE_S
    ),
    histogram(
        "request_overhead_seconds",
        ROUTE,
        "overhead_ns",
        "The gateway's own time: neither waiting nor the backend's.",
        OVERHEAD_S,
    ),
)

# `source` is a field of the board's rows, here of a candidate's row.
ATTEMPT_METRICS = (
    counter(
        "attempts_total",
        ("route", "backend", "outcome"),
        "outcomes",
        "Attempts that ended, by how they ended.",
    ),
    counter(
        "attempt_answers_total",
        ("route", "backend", "status"),
        "statuses",
        "Answers from backends, by class of status.",
    ),
    counter("attempts_started_total", ATTEMPT, "requests", "Attempts begun."),
    counter(
        "input_tokens_total",
        ATTEMPT,
        "input_tokens",
        "Tokens read by the model, cached ones included.",
    ),
    counter(
        "cached_tokens_total", ATTEMPT, "cached_tokens", "Input tokens the provider had cached."
    ),
    counter("output_tokens_total", ATTEMPT, "output_tokens", "Tokens written by the model."),
    counter(
        "cost_usd_total",
        ATTEMPT,
        "cost_nano_usd",
        "Price of the attempts, from their usage and the configured prices.",
        NANO,
    ),
    counter(
        "attempt_request_bytes_total",
        ATTEMPT,
        "request_bytes",
        "Bytes of request bodies sent to backends.",
    ),
    counter(
        "attempt_answer_bytes_total",
        ATTEMPT,
        "answer_bytes",
        "Bytes of answer bodies from backends.",
    ),
    histogram(
        "attempt_duration_seconds",
        ATTEMPT,
        "total_ns",
        "From the request sent to the complete answer.",
        LATENCY_S,
    ),
    histogram(
        "attempt_first_byte_seconds",
        ATTEMPT,
        "first_byte_ns",
        "From the request sent to the first byte of the answer's body.",
        FIRST_BYTE_S,
    ),
    histogram(
        "attempt_gap_seconds",
        ATTEMPT,
        "gap_ns",
        "Between two pieces of a backend's streamed answer.",
        GAP_S,
    ),
)

# `source` is a field of the board's rows, here of a row of copies. What was sent is among the
# attempts: their backend is `shadow:NAME`.
SHADOW_METRICS = (
    counter(
        "shadow_skipped_total",
        ("route", "backend", "reason"),
        "skips",
        "Copies of requests that were drawn and not sent, by why.",
    ),
    counter(
        "shadow_uncompared_total",
        ATTEMPT,
        "uncompared",
        "Answers to copies recorded without a look at the bodies, to save the worker's time.",
    ),
)

# `source` is a field of control.backends.BackendFigures.
BACKEND_METRICS = (
    gauge(
        "backend_up",
        BACKEND,
        "is_up",
        "1 if the backend is offered requests: breaker closed, healthy, not cooling down.",
    ),
    gauge("backend_healthy", BACKEND, "is_healthy", "0 while active health checks fail."),
    gauge(
        "backend_breaker_state",
        ("backend", "state"),
        "breaker",
        "1 for the state the breaker is in, 0 for the others.",
    ),
    gauge(
        "backend_cooldown_seconds",
        BACKEND,
        "cooldown_s",
        "Until the backend is asked again, by its own Retry-After or its breaker; 0 is now.",
    ),
    gauge("backend_ejections", BACKEND, "ejections", "Times in a row that the breaker has opened."),
    gauge(
        "backend_failure_ratio", BACKEND, "failure_share", "Share of recent attempts that failed."
    ),
    gauge("backend_in_flight", BACKEND, "in_flight", "Attempts under way now."),
    gauge(
        "backend_concurrency_limit",
        BACKEND,
        "limit",
        "Attempts allowed at once by all workers together; absent if unlimited.",
    ),
    gauge(
        "backend_remaining_capacity",
        BACKEND,
        "remaining",
        "Attempts that could start now; absent if unlimited.",
    ),
    gauge("backend_connections", BACKEND, "connections", "Open connections."),
    gauge(
        "backend_idle_connections",
        BACKEND,
        "idle_connections",
        "Open connections that wait in the pool.",
    ),
    gauge(
        "backend_bytes_per_token",
        BACKEND,
        "bytes_per_token",
        "Learned size of an input token; absent until known.",
    ),
)

# `source` is a field of control.parts.Worker.
WORKER_METRICS = (
    gauge("worker_up", WORKER, "is_up", "1 while the worker serves."),
    gauge(
        "worker_plan_current", WORKER, "is_current", "1 if the worker serves on the plan in force."
    ),
    gauge(
        "worker_heartbeat_age_seconds",
        WORKER,
        "heartbeat_age_s",
        "Since the worker last said that it lives.",
    ),
)

# `source` is a field of control.processes.Usage.
PROCESS_METRICS = (
    gauge("process_resident_memory_bytes", PROCESS, "resident_bytes", "Resident memory."),
    counter("process_cpu_seconds_total", PROCESS, "cpu_s", "CPU time, user and system."),
    gauge("process_open_fds", PROCESS, "open_fds", "Open file descriptors."),
    gauge("process_max_fds", PROCESS, "max_fds", "Limit of open file descriptors."),
    gauge(
        "process_start_time_seconds",
        PROCESS,
        "started_at_s",
        "When the process started, in seconds since 1970.",
    ),
)

# `source` is a field of log.figures.LogFigures, or is made of some in control.log.
LOG_METRICS = (
    gauge("log_shipper_up", (), "is_shipping", "1 while the shipper runs."),
    counter(
        "log_appended_total",
        (),
        "appended",
        "Records and feedback that are or were in the log, by their numbers.",
    ),
    gauge("log_segment_bytes", (), "segment_bytes", "Size of all segments, as allocated."),
    gauge("log_max_bytes", (), "max_bytes", "What they may take: log.max_size."),
    gauge("log_sealed_segments", (), "sealed_segments", "Sealed segments that wait for a sink."),
    counter("log_segments_sealed_total", (), "sealed", "Segments sealed."),
    counter("log_segments_delivered_total", (), "removed", "Segments that every sink has had."),
    counter(
        "log_segments_dropped_total",
        (),
        "made_room",
        "Segments deleted by the shipper, not delivered, to stay below log.max_size.",
    ),
    counter(
        "log_segments_damaged_total",
        (),
        "damaged_segments",
        "Segments with records behind damage, which were put aside.",
    ),
    counter(
        "log_cut_bytes_total",
        (),
        "cut_bytes",
        "Bytes of unfinished or damaged ends of segments, cut off or put aside.",
    ),
    gauge("log_failing", (), "is_failing", "1 while segments cannot be sealed, synced or deleted."),
)

SINK = ("sink",)

# `source` is a field of log.figures.SinkFigures.
SINK_METRICS = (
    counter("log_sink_appended_total", SINK, "appended", "Records that the sink should have."),
    counter(
        "log_sink_shipped_total",
        SINK,
        "shipped",
        "Records that it acknowledged, each counted once.",
    ),
    gauge("log_sink_waiting", SINK, "waiting", "Records that wait for it on disk."),
    counter(
        "log_sink_dropped_total", SINK, "dropped", "Records that were gone before it had them."
    ),
    gauge("log_sink_waiting_bytes", SINK, "waiting_bytes", "Bytes that wait for it on disk."),
    gauge(
        "log_sink_lag_seconds",
        SINK,
        "lag_s",
        "For how long the oldest waiting record could have been delivered; 0 if none waits.",
    ),
    gauge("log_sink_failures", SINK, "failures", "Deliveries in a row that failed."),
    counter("log_sink_retries_total", SINK, "retries", "Deliveries tried again."),
    counter(
        "log_sink_dead_letters_total",
        SINK,
        "dead_letters",
        "Records put aside as the other end would never take them.",
    ),
    counter(
        "log_sink_damaged_lines_total", SINK, "damaged_lines", "Lines that were none, passed over."
    ),
)

# `source` is a key of control.parts.Parts.drift_lines.
COUNTED_METRICS = (
    counter(
        "drift_lines_total",
        ("result",),
        "results",
        "Lines of the prediction log by what became of them where they are counted for `drift`.",
    ),
)

# `source` is a field of control.exposition.Whole.
WHOLE_METRICS = (
    counter(
        "refusals_total",
        ("outcome",),
        "refusals",
        "Requests refused before a route was found for them, by why.",
    ),
    counter(
        "records_total",
        (),
        "records",
        "Lines that the workers have written to the prediction log.",
    ),
    counter("record_bytes_total", (), "record_bytes", "Their bytes."),
    counter(
        "records_dropped_total",
        (),
        "records_dropped",
        "Lines that found no room in the prediction log.",
    ),
    gauge("build_info", ("version", "python"), "build", "Always 1; the labels say what runs."),
    gauge("plan_info", ("plan",), "plan", "Always 1; the label is the hash of the plan in force."),
    gauge(
        "draining",
        (),
        "is_draining",
        "1 while the gateway finishes what it has and takes nothing new.",
    ),
    counter(
        "config_reloads_total",
        ("result",),
        "reloads",
        "Configurations offered since the controller started, by what became of them.",
    ),
    gauge(
        "config_last_reload_successful",
        (),
        "is_last_reload_good",
        "0 if the last configuration offered was refused.",
    ),
    gauge(
        "config_last_reload_timestamp_seconds",
        (),
        "last_applied_at_s",
        "When a plan was last put in force, in seconds since 1970.",
    ),
    gauge(
        "config_last_propagation_seconds",
        (),
        "last_propagation_s",
        "From the offer of the last change to the last worker that served on it.",
    ),
    gauge("switch_off", ("switch",), "switches_off", "1 while this kill switch is thrown."),
)

ROLLOUT = ("rollout",)

# `source` is a field of rollout.parts.Figures.
ROLLOUT_METRICS = (
    gauge(
        "rollout_phase",
        ("rollout", "phase"),
        "phase",
        "1 for the phase the rollout is in, 0 for the others.",
    ),
    gauge("rollout_step", ROLLOUT, "step", "Steps taken; 0 before the first."),
    gauge(
        "rollout_weight_ratio",
        ("rollout", "arm"),
        "weight",
        "Part of the rollout's units that the arm gets, 0 to 1.",
    ),
    gauge(
        "rollout_gate_verdict",
        ("rollout", "arm", "gate", "verdict"),
        "verdict",
        "1 for what the gate says of the challenger, 0 for what it does not.",
    ),
    gauge(
        "rollout_propagation_seconds",
        ROLLOUT,
        "propagation_s",
        "From the last verdict that moved something to the last worker that serves on it.",
    ),
    gauge(
        "rollout_pending",
        ROLLOUT,
        "is_pending",
        "1 while what was decided is not in force on every worker.",
    ),
    counter(
        "rollout_decisions_total",
        ("event",),
        "decisions",
        "Decisions since the controller started, by what they were.",
    ),
    counter(
        "rollout_failures_total",
        (),
        "failures",
        "Looks and deliveries of rollouts that failed since the controller started.",
    ),
)

WEBHOOK = ("webhook",)

# `source` is a field of notices.receiver.ReceiverFigures; `webhook` is its host and port.
NOTICE_METRICS = (
    counter("notices_told_total", WEBHOOK, "told", "Notices that the webhook took."),
    counter(
        "notices_given_up_total",
        WEBHOOK,
        "given_up",
        "Notices that the webhook did not take, however often they were offered.",
    ),
    counter(
        "notices_dropped_total",
        WEBHOOK,
        "dropped",
        "Notices that did not fit into the webhook's queue any more.",
    ),
    gauge("notices_waiting", WEBHOOK, "waiting", "Notices that are to be told to the webhook."),
)

# `source` is a key of what `gateway.control.exposition` counts of alerts.
ALERT_METRICS = (
    gauge("alerts_open", ("severity",), "open", "Alerts that are open."),
    counter(
        "alerts_turned_away_total",
        (),
        "turned_away",
        "Findings for which there was no room, since the controller started.",
    ),
)

LOOK = ("route", "rule")

# `source` is a field of alerts.looked.LookFigures.
DRIFT_METRICS = (
    counter(
        "drift_looks_total",
        LOOK,
        "looks",
        "Looks of a rule of `drift.rules` that came in, since the controller started.",
    ),
    counter("drift_looks_found_total", LOOK, "found", "Those of them that found something."),
    gauge("drift_findings", LOOK, "findings", "What the latest look found: fields, mostly."),
    Metric(
        "gateway_drift_last_look_timestamp_seconds",
        "gauge",
        LOOK,
        "at_ms",
        "Until when the data of the latest look are, in seconds since 1970.",
        MILLI,
    ),
)

# `source` is a key of what `gateway.control.exposition` takes of the watch.
WATCH_METRICS = (
    gauge(
        "drift_data_timestamp_seconds",
        (),
        "data_until_s",
        "Up to when the controller has profiles to look at, in seconds since 1970.",
    ),
    gauge("drift_rules", (), "rules", "Pairs of a rule and a route that the controller looks at."),
    gauge(
        "drift_problems", (), "problems", "References and looks that cannot be had; status has why."
    ),
    counter(
        "drift_looks_skipped_total", (), "skipped", "Looks that were not made: too far in arrears."
    ),
)

# Upper bounds in seconds of a member's flush: one transaction a partition.
FLUSH_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

# Of `gateway drift watch --metrics`; `source` is a key of what `run.member_metrics` finds.
MEMBER_METRICS = (
    counter(
        "watch_lines_total",
        ("result",),
        "results",
        "Lines of the log by what became of them: committed by this member since it started.",
    ),
    counter(
        "watch_lost_total",
        (),
        "missed",
        "Records that were gone before this member read them, since it started.",
    ),
    gauge(
        "watch_lag",
        ("partition",),
        "lags",
        "Records that are there and not counted, by partition of the records' topic that is its.",
    ),
    gauge("watch_partitions", (), "partitions", "Partitions that are its."),
    gauge("watch_topic_partitions", (), "of", "Partitions that the records' topic has."),
    counter(
        "watch_rebalances_total",
        (),
        "rebalances",
        "Rebalances of the group that it came out of, its joining among them.",
    ),
    counter(
        "watch_fenced_total",
        (),
        "fenced",
        "Flushes that were refused since another member has the partition.",
    ),
    histogram(
        "watch_flush_seconds",
        (),
        "flushes",
        "Time of a flush that was committed: one transaction a partition.",
        FLUSH_S,
    ),
    counter("watch_flush_failures_total", (), "failed_flushes", "Flushes that were not."),
    gauge("watch_leads", (), "leads", "1 on the member that makes the group's looks."),
    counter("watch_looks_total", (), "looks", "Looks that it told a gateway."),
    gauge(
        "watch_last_look_timestamp_seconds",
        (),
        "looked_at_s",
        "When it told the last one, in seconds since 1970; of data up to then or before.",
    ),
    gauge(
        "watch_data_timestamp_seconds",
        (),
        "data_until_s",
        "Up to when all partitions are counted, in seconds since 1970; where it leads.",
    ),
    gauge("watch_learning", (), "learning", "Routes whose fields are still to be learned."),
    gauge(
        "watch_problems",
        (),
        "problems",
        "What is wrong now, in sentences on its standard error: brokers, references, looks.",
    ),
)

GROUPS: tuple[tuple[str, tuple[Metric, ...]], ...] = (
    ("Requests, by route", ROUTE_METRICS),
    ("Attempts, by route and backend", ATTEMPT_METRICS),
    ("Copies of requests, by route and backend", SHADOW_METRICS),
    ("Backends", BACKEND_METRICS),
    ("Workers", WORKER_METRICS),
    ("Processes", PROCESS_METRICS),
    ("Prediction log, by its shipper", LOG_METRICS),
    ("Sinks of the prediction log", SINK_METRICS),
    ("Counting for drift", COUNTED_METRICS),
    ("Rollouts", ROLLOUT_METRICS),
    ("Receivers of what rollouts do and of alerts", NOTICE_METRICS),
    ("Alerts", ALERT_METRICS),
    ("Looks of drift, by route and rule", DRIFT_METRICS),
    ("The watch of the controller", WATCH_METRICS),
    ("The gateway", WHOLE_METRICS),
    ("A member of the group that watches, on its own port", MEMBER_METRICS),
)
METRICS = tuple(metric for _, group in GROUPS for metric in group)


def document() -> str:
    """`docs/metrics.md`."""
    lines = [
        "# Metrics",
        "",
        "Generated by `python -m gateway.telemetry > docs/metrics.md`; do not edit.",
        "",
        "`GET /metrics` on the admin port answers in the Prometheus text format, or in OpenMetrics"
        " if `Accept` asks for it.",
        "A member of `gateway drift watch` answers on `--metrics HOST:PORT` with the last section,"
        " `gateway_process_*` and `gateway_build_info`; its partitions are labels, too.",
        "Units are seconds, bytes and USD.",
        "Label values come from the configuration, so the number of series is bounded by it.",
        "Metrics by `route` count what clients asked; metrics by `route` and `backend` count"
        " attempts, of which a request may need several.",
        "Counts at a histogram's bound are exact to within 0.4 % of that bound.",
        "A series of a histogram appears with its first observation.",
    ]
    for title, group in GROUPS:
        lines += ["", f"## {title}", "", "| name | kind | labels | meaning |", "| --- " * 4 + "|"]
        for m in group:
            labels = ", ".join(f"`{label}`" for label in m.labels)
            lines.append(f"| `{m.name}` | {m.kind} | {labels} | {m.help} |")
    return "\n".join(lines) + "\n"


Plain = str | int | float | bool | None

# What looks like a credential, and what stays of it. A net under the rule that secrets are
# never logged, not a replacement: field names first, then the shapes providers use.
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), kept)
    for pattern, kept in (
        (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}", r"\1 [redacted]"),
        (
            r"""(?i)\b((?:[a-z0-9_-]*api[-_]?key|password|passwd|secret|token|authorization"""
            r"""|proxy-authorization|cookie)\\?["']?\s*[:=]\s*\\?["']?)"""
            r"""(?!\$\{|(?:bearer|basic)\b|\[redacted)[^\s"',;&\\}\]]+""",
            r"\1[redacted]",
        ),
        (r"\bsk-[A-Za-z0-9_-]{6,}", "[redacted]"),
        (r"\bgw_[A-Za-z0-9]+_[A-Za-z0-9_]{6,}", "[redacted]"),
        (r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*", "[redacted]"),
        (r"\bAKIA[0-9A-Z]{12,}", "[redacted]"),
        (r"\bAIza[A-Za-z0-9_-]{20,}", "[redacted]"),
        (r"\b(hf|ghp|gho|xox[bp])[_-][A-Za-z0-9_-]{10,}", "[redacted]"),
        (r"(://)[^/\s:@\"']+:[^/\s@\"']+@", r"\1[redacted]@"),
    )
)
_SECRET_NAME = re.compile(
    r"(?i)[a-z0-9_-]*(api[-_]?key|password|passwd|secret|authorization|cookie)|token"
)
# Control characters, line separators, text direction marks and lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN_VALUE = re.compile(r"""[^\s"'=\\]+""")
_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redacted(text: str) -> str:
    """The text without what looks like a credential."""
    for pattern, kept in _SECRETS:
        text = pattern.sub(kept, text)
    return text


def escaped(text: str) -> str:
    r"""The text on one line, every control character as `\uXXXX`."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _clean(key: str, value: object) -> Plain:
    if _SECRET_NAME.fullmatch(key):
        return "[redacted]"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redacted(str(value))


class LineFormatter(logging.Formatter):
    """A record's fields in their order, `extra=` ones last; the subclass writes them as a line."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: _clean(key, value) for key, value in self.fields(record).items()}
        return escaped(self.line(fields))

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        fields: dict[str, object] = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {k: v for k, v in vars(record).items() if k not in _RECORD_FIELDS}
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return fields

    def line(self, fields: Mapping[str, Plain]) -> str:
        raise NotImplementedError


class JsonFormatter(LineFormatter):
    """One JSON object a line."""

    def line(self, fields: Mapping[str, Plain]) -> str:
        return json.dumps(fields, ensure_ascii=False)


class KeyValueFormatter(LineFormatter):
    """`key=value` pairs; a value that is not one plain word is quoted as JSON quotes it."""

    def line(self, fields: Mapping[str, Plain]) -> str:
        return " ".join(f"{key}={self.value(value)}" for key, value in fields.items())

    def value(self, value: Plain) -> str:
        text = value if isinstance(value, str) else json.dumps(value)
        if _PLAIN_VALUE.fullmatch(text):
            return text
        return json.dumps(text, ensure_ascii=False)


LOG_FORMATS: dict[str, type[LineFormatter]] = {"text": KeyValueFormatter, "json": JsonFormatter}


def set_up_logging(form: str, level: str, stream: IO[str] | None = None) -> None:
    """Sends every log line of the process to the stream (standard error) in one form.

    Why: uvicorn sets up loggers of its own unless told not to (`log_config=None`).
    """
    output = logging.StreamHandler(stream)
    output.setFormatter(LOG_FORMATS[form]())
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level.upper())


if __name__ == "__main__":
    print(document(), end="")
