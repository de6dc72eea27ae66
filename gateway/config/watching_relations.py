"""What contracts and the section `drift` say about themselves and about the rest of the file.

`check_contracts` and `check_drift` are called by `relations.check`, whose rules hold here.

Rule: what could only fail when a request comes, or when data drift, fails here: a pattern that
RE2 does not take, a condition of fields that are not listed, a default that would not do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from gateway.config.expressions import Condition, ExpressionError
from gateway.config.flag_relations import pattern_fault
from gateway.config.json_schema import fault_of, is_there
from gateway.config.problems import meant
from gateway.config.schema import Config, Route
from gateway.config.source import join
from gateway.config.watching import (
    DAY,
    MINUTE,
    ContractField,
    ContractRule,
    ContractSide,
    Drift,
    DriftLabels,
    DriftReference,
    DriftRule,
)

WEEK = 7 * DAY
MOST_FIELDS, MOST_RULES, MOST_CATEGORIES = 1000, 100, 10_000
MEASURED_SIGNALS = ("accept", "edit", "regenerate", "score", "task", "thumbs")
_BAD_ESCAPE = re.compile(r"~(?![01])")
_NUMERIC = frozenset({"number", "integer"})
_LONG = frozenset({"text", "list"})  # what has a length
_KINDS: dict[str, type | tuple[type, ...]] = {
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "text": str,
    "time": (str, int, float),
    "list": (list, tuple),
    "object": dict,
    "any": object,
}


class Findings(Protocol):
    """Where problems go; relations.Findings."""

    def wrong(self, message: str, path: str) -> None: ...
    def doubtful(self, message: str, path: str) -> None: ...
    def unknown(self, kind: str, name: str, known: Iterable[str], path: str) -> None: ...
    def is_written(self, path: str) -> bool: ...


_ANY = DriftReference(kind="pinned")


def check_contracts(config: Config, found: Findings) -> None:
    """The contract of each route."""
    for name, route in config.routes.items():
        contract, path = route.contract, f"{join('routes', name)}.contract"
        if contract is None:
            continue
        if contract.input is None and contract.output is None:
            found.doubtful("this contract says nothing of inputs or outputs", path)
        for key, side in (("input", contract.input), ("output", contract.output)):
            if side is not None:
                is_kserve = _protocol(route, config) == "kserve"
                _check_side(side, f"{path}.{key}", found, is_kserve=is_kserve)
        if contract.output is not None and contract.output.max > route.limits.hold:
            message = "answers longer than `limits.hold` are relayed, and cannot be checked"
            found.doubtful(message, f"{path}.output.max")


def _protocol(route: Route, config: Config) -> str:
    first = route.backends[0] if route.backends else ""
    name = first if isinstance(first, str) else first.backend
    return config.backends[name].protocol if name in config.backends else ""


def _check_side(side: ContractSide, path: str, found: Findings, *, is_kserve: bool) -> None:
    if not side.fields and side.schema is None and not side.rules:
        found.doubtful("nothing is asked of the data: `fields`, `rules` or `schema`", path)
    if _BAD_ESCAPE.search(side.at):
        found.wrong("in a pointer, `~` is written ~0 and `/` in a name ~1", f"{path}.at")
    if is_kserve and side.format in {"columns", "split"}:
        found.doubtful("a backend that speaks kserve is sent tensors", f"{path}.format")
    if len(side.fields) > MOST_FIELDS:
        found.wrong(f"at most {MOST_FIELDS} fields fit", f"{path}.fields")
    for name, field in side.fields.items():
        if isinstance(field, ContractField):
            _check_field(field, join(f"{path}.fields", name), found)
    if len(side.rules) > MOST_RULES:
        found.wrong(f"at most {MOST_RULES} rules fit", f"{path}.rules")
    for index, rule in enumerate(side.rules):
        _check_rule(rule, side, f"{path}.rules[{index}]", found)
    if side.schema is not None:
        _check_schema(side.schema, f"{path}.schema", found)


def _check_field(field: ContractField, path: str, found: Findings) -> None:
    for message, key in (*_bounds(field), *_texts(field), *_kinds(field)):
        found.wrong(message, f"{path}.{key}")
    if field.nulls >= 1.0:
        found.doubtful("every value may be null", f"{path}.nulls")


def _bounds(field: ContractField) -> Iterator[tuple[str, str]]:
    kind = field.of if field.type == "list" else field.type
    for key in ("min", "max"):
        if getattr(field, key) is not None and kind not in _NUMERIC:
            yield f"`{key}` is of numbers, this is {_named(field)}", key
    if field.min is not None and field.max is not None and field.min > field.max:
        yield "`max` is less than `min`", "max"
    for key in ("min_length", "max_length"):
        if getattr(field, key) is not None and field.type not in _LONG:
            yield f"`{key}` is of a text or a list, this is {_named(field)}", key
    low, high = field.min_length, field.max_length
    if low is not None and high is not None and low > high:
        yield "`max_length` is less than `min_length`", "max_length"


def _named(field: ContractField) -> str:
    return f"a list of {field.of}" if field.type == "list" else f"of type {field.type}"


def _texts(field: ContractField) -> Iterator[tuple[str, str]]:
    if field.pattern and field.type != "text":
        yield f"`pattern` is of a text, this is {_named(field)}", "pattern"
    elif fault := pattern_fault(field.pattern):
        yield fault, "pattern"
    if field.freshness and field.type != "time":
        yield f"`freshness` is of a time, this is {_named(field)}", "freshness"


def _kinds(field: ContractField) -> Iterator[tuple[str, str]]:
    if field.of != "any" and field.type != "list":
        yield f"`of` is for lists, this is {_named(field)}", "of"
    if field.categories and field.type in {"list", "object"}:
        yield f"`categories` are single values, this is {_named(field)}", "categories"
    if len(field.categories) > MOST_CATEGORIES:
        yield f"at most {MOST_CATEGORIES} categories fit", "categories"
    for index, value in enumerate(field.categories):
        if not isinstance(value, str | bool | int | float) or not _is_of(field.type, value):
            yield f"this is no value of a field {_named(field)}", f"categories[{index}]"
    if field.default is not None and not _is_of(field.type, field.default):
        yield f"this is no value of a field {_named(field)}", "default"
    elif field.default is not None and not _would_do(field):
        yield "the default itself would violate the contract", "default"


def _is_of(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind in {"boolean", "any"}
    return isinstance(value, _KINDS[kind])


def _would_do(field: ContractField) -> bool:
    value = field.default
    if field.categories and value not in field.categories:
        return False
    if field.type in _NUMERIC:
        return (field.min is None or value >= field.min) and (
            field.max is None or value <= field.max
        )
    if field.type in _LONG:
        return (field.min_length or 0) <= len(value) and (
            field.max_length is None or len(value) <= field.max_length
        )
    return True


def _check_rule(rule: str | ContractRule, side: ContractSide, path: str, found: Findings) -> None:
    texts = {"": rule} if isinstance(rule, str) else {".check": rule.check, ".when": rule.when}
    for key, text in texts.items():
        if not text and key == ".when":
            continue
        try:
            condition = Condition(text)
        except ExpressionError as error:
            found.wrong(str(error), f"{path}{key}")
            continue
        for name in sorted(condition.fields - side.fields.keys()) if side.fields else ():
            found.wrong(f"no field `{name}`{meant(name, side.fields)}", f"{path}{key}")


def _check_schema(schema: Any, path: str, found: Findings) -> None:
    if not is_there("jsonschema_rs"):
        message = "a JSON Schema needs jsonschema-rs: pip install inference-gateway[schemas]"
        found.wrong(message, path)
        return
    if fault := fault_of(schema):
        found.wrong(fault, path)


def check_drift(config: Config, found: Findings) -> None:
    """The section `drift`."""
    drift = config.drift
    if drift.enabled and any(rule.reference for rule in drift.rules.values()):
        if not config.log.enabled:
            found.doubtful("the rules look at the prediction log, which is off", "drift.rules")
        for name in drift.references.keys() - {rule.reference for rule in drift.rules.values()}:
            found.doubtful("no rule looks at this", join("drift.references", name))
    for name, reference in drift.references.items():
        _check_reference(reference, config, join("drift.references", name), found)
    for name, rule in drift.rules.items():
        _check_drift_rule(rule, config, join("drift.rules", name), found)
    for name, labels in drift.labels.items():
        path = join("drift.labels", name)
        if name not in config.routes:
            found.unknown("route", name, config.routes, path)
        elif not (labels.prediction.startswith("/") or _has_predictions(name, config)):
            message = (
                f"records of `{name}` hold no predictions: `record.predictions` of the route says"
                " where answers have them, or `prediction` is a pointer into the record"
            )
            found.doubtful(message, path)
        _check_labels(labels, path, found)
    if drift.labels and not (config.log.enabled and config.log.store.enabled):
        message = "labels and answers are read from the local store, which is off (`log.store`)"
        found.wrong(message, "drift.labels")
    _check_alerts(drift, config, found)
    for name, retraining in drift.retraining.items():
        _check_url(retraining.url.reveal(), f"{join('drift.retraining', name)}.url", found)
        if not retraining.secret:
            message = "without a `secret` its receiver cannot tell who asks for a training"
            found.doubtful(message, join("drift.retraining", name))
    if drift.consumer.source == "kafka" and config.log.kafka is None:
        found.wrong(
            "`log.kafka` says where the brokers are; it is missing", "drift.consumer.source"
        )


def _check_reference(reference: DriftReference, config: Config, path: str, found: Findings) -> None:
    if reference.route and reference.route not in config.routes:
        found.unknown("route", reference.route, config.routes, f"{path}.route")
    if reference.kind == "training":
        if not reference.file:
            found.wrong("a `training` reference needs `file`", path)
        elif not Path(reference.file).is_file():
            found.wrong(f"there is no file `{reference.file}`", f"{path}.file")
    elif reference.file:
        found.wrong("`file` is only for training data", f"{path}.file")
    if reference.kind == "before":
        if not MINUTE <= reference.length <= WEEK:
            found.wrong("expected 1 minute to 7 days, which are kept", f"{path}.length")
    elif reference.length != DAY:
        found.wrong("`length` is only for what came `before`", f"{path}.length")
    if reference.kind == "pinned":
        _check_stretch(reference, path, found)
        if not config.log.store.enabled and config.drift.consumer.source == "log":
            message = "recorded traffic is read from the local store, which is off"
            found.wrong(message, f"{path}.kind")
    elif reference.since or reference.until:
        found.wrong("`since` and `until` are only for a pinned stretch", path)


def _check_stretch(reference: DriftReference, path: str, found: Findings) -> None:
    moments = []
    for key in ("since", "until"):
        try:
            moments.append(_moment(getattr(reference, key)))
        except ValueError:
            found.wrong("expected a time such as 2026-11-01T00:00:00Z", f"{path}.{key}")
    if len(moments) == 2 and moments[0] >= moments[1]:
        found.wrong("`until` is not after `since`", f"{path}.until")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_drift_rule(rule: DriftRule, config: Config, path: str, found: Findings) -> None:
    drift = config.drift
    if rule.reference and rule.reference not in drift.references:
        hint = meant(rule.reference, drift.references)
        found.wrong(f"no reference `{rule.reference}`{hint}", f"{path}.reference")
    for index, name in enumerate(rule.routes):
        if name not in config.routes:
            found.unknown("route", name, config.routes, f"{path}.routes[{index}]")
    if rule.reference and drift.references.get(rule.reference, _ANY).kind == "training":
        for index, name in enumerate(rule.routes):
            if name in config.routes and not _has_features(name, config):
                message = "its records hold no features that training data could be compared with"
                remedy = f"say where they stand in a request: `routes.{name}.record.features`"
                found.doubtful(f"{message}; {remedy}", f"{path}.routes[{index}]")
    if not rule.fields:
        found.wrong("at least one field is needed, or `*` for all", f"{path}.fields")
    if rule.every > rule.window:
        found.wrong("`every` is longer than `window`: rows between would never be seen",
                    f"{path}.every")  # fmt: skip
    if rule.window > drift.consumer.keep:
        found.wrong("`window` is longer than `drift.consumer.keep`", f"{path}.window")
    if rule.opens > rule.of:
        found.wrong("`opens` is more than `of`", f"{path}.opens")
    if rule.test in {"adwin", "page_hinkley"}:
        if not is_there("river"):
            message = f"`{rule.test}` needs river: pip install inference-gateway[drift]"
            found.wrong(message, f"{path}.test")
        if not set(rule.routes or config.routes) & set(drift.labels):
            message = f"`{rule.test}` is of errors, and drift.labels has none of the routes"
            found.doubtful(message, f"{path}.test")
    _check_actions(rule, config, f"{path}.actions", found)


def _has_features(name: str, config: Config) -> bool:
    route = config.routes[name]
    return bool(route.record.features) or _protocol(route, config) in {"kserve", ""}


def _has_predictions(name: str, config: Config) -> bool:
    route = config.routes[name]
    return bool(route.record.predictions) or _protocol(route, config) in {"kserve", "http", ""}


def _check_labels(labels: DriftLabels, path: str, found: Findings) -> None:
    if labels.kind == "number" and labels.positive:
        found.wrong("`positive` names a class; this prediction is a number", f"{path}.positive")
    if labels.kind != "probability" and labels.threshold != DriftLabels().threshold:
        found.doubtful("`threshold` is of probabilities", f"{path}.threshold")
    for index, signal in enumerate(labels.signals):
        if signal not in MEASURED_SIGNALS:
            hint = meant(signal, MEASURED_SIGNALS)
            message = f"`{signal}` is no signal that has a mean{hint}"
            found.wrong(message, f"{path}.signals[{index}]")


def _check_actions(rule: DriftRule, config: Config, path: str, found: Findings) -> None:
    actions, known = rule.actions, config.drift.retraining
    if actions.retrain and actions.retrain not in known:
        hint = meant(actions.retrain, known)
        found.wrong(f"no entry `{actions.retrain}` in drift.retraining{hint}", f"{path}.retrain")
    switches = {f"backend.{name}" for name in config.backends}
    switches |= {f"route.{name}" for name in config.routes}
    switches |= {f"feature.{name}" for name in ("shadow", "rollouts", "cache", "flags")}
    for index, name in enumerate(actions.switch_off):
        if name not in switches:
            hint = meant(name, switches)
            found.wrong(f"no kill switch `{name}`{hint}", f"{path}.switch_off[{index}]")
    _check_shift(rule, config, f"{path}.weights", found)
    if actions.payload is not None and not isinstance(actions.payload, str) and not actions.payload:
        found.doubtful("0% of the bodies is no more than without it", f"{path}.payload")


def _check_shift(rule: DriftRule, config: Config, path: str, found: Findings) -> None:
    """The action `weights`: whom it names, and whether any route looks at weights."""
    shares = rule.actions.weights
    routes = {name: config.routes[name] for name in rule.routes or config.routes
              if name in config.routes}  # fmt: skip
    for name in shares:
        if name not in config.backends:
            found.unknown("backend", name, config.backends, join(path, name))
        elif not any(name in _candidates(route) for route in routes.values()):
            found.wrong("no route of this rule has this backend", join(path, name))
    if sum(shares.values()) > 1 + 1e-9:
        found.wrong("the shares are more than 100% together", path)
    meant_routes = {n: r for n, r in routes.items() if shares.keys() & set(_candidates(r))}
    deaf = [name for name, route in meant_routes.items() if route.policy != "weighted"]
    if deaf and len(deaf) == len(meant_routes):
        found.wrong(f"only the policy `weighted` looks at weights; {deaf[0]} has another", path)
    elif deaf:
        found.doubtful(f"nothing is shifted on {deaf[0]}: its policy is not `weighted`", path)


def _candidates(route: Route) -> tuple[str, ...]:
    return tuple(one if isinstance(one, str) else one.backend for one in route.backends)


def _check_alerts(drift: Drift, config: Config, found: Findings) -> None:
    alerts = drift.alerts
    for index, webhook in enumerate(alerts.webhooks):
        path = f"drift.alerts.webhooks[{index}]"
        _check_url(webhook.url.reveal(), f"{path}.url", found)
        if webhook.format == "json" and not webhook.secret:
            message = "without a `secret` its receiver cannot tell who sent an alert"
            found.doubtful(message, path)
        for at, name in enumerate(webhook.routes):
            if name not in config.routes:
                found.unknown("route", name, config.routes, f"{path}.routes[{at}]")
    if alerts.kafka_topic and config.log.kafka is None:
        message = "`log.kafka` says where the brokers are; it is missing"
        found.wrong(message, "drift.alerts.kafka_topic")
    if alerts.email is not None:
        if not alerts.email.to:
            found.wrong("at least one address is needed", "drift.alerts.email.to")
        if alerts.email.password and alerts.email.tls == "none":
            found.doubtful("the password is sent unencrypted", "drift.alerts.email.tls")


def _check_url(url: str, path: str, found: Findings) -> None:
    """Rule: the message never holds the URL, which may be a secret."""
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound or any(character.isspace() for character in url):
        found.wrong("expected a URL such as https://hooks.example.com/gateway", path)
