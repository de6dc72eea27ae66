"""What rollouts say about each other, about routes, backends and the log.

`check_rollouts` is called by `relations.check`, whose rules hold here; `check_rollout` is for
one that is started by hand as well.

Rule: what could only show while traffic moves is refused before it does: an arm that cannot
      answer what the route is asked, a gate on what nobody counts, two rollouts that want the
      same requests.

Knows metrics by name only: `rollout.metrics` has the table, and a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from gateway.config import windows
from gateway.config.flag_relations import check_audience_names, check_conditions
from gateway.config.problems import meant
from gateway.config.recording_relations import is_credential_header
from gateway.config.rollouts import Arm, Gate, Rollout, Step
from gateway.config.schema import Backend, Config, Route
from gateway.config.shadow_relations import check_shadow
from gateway.config.source import join
from gateway.config.units import Duration

RESERVED = ("champion", "forced")
MOST_ARMS, MOST_STEPS, MOST_GATES = 16, 100, 32
MOST_VARIANTS, MOST_LAYERS = 64, 4  # of one route
LONGEST_NAME = 64

_ALWAYS = ("errors", "timeouts", "truncated", "rescued", "latency", "first_byte", "drift")
_OF_USAGE = ("refusals", "cut_off", "input_tokens", "output_tokens")
_OF_PRICES = ("cost", "cost_per_accept")
_OF_FEEDBACK = (
    "cost_per_accept",
    *(
        f"feedback.{signal}"
        for signal in ("accept", "thumbs", "task", "edit", "regenerate", "ticket", "score")
    ),
)
METRICS = tuple(
    dict.fromkeys(
        (*_ALWAYS, *_OF_USAGE, *_OF_PRICES, "schema_violations", "disagreement", *_OF_FEEDBACK)
    )
)
_OF_QUANTILES = ("latency", "first_byte")
_WITHOUT_BETTER = ("feedback.label", "feedback.comment")

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}", re.ASCII)
_FIELD_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_UNIT = re.compile(
    rf"request|user|key|client|session|header:{_FIELD_NAME}|pointer:(/.*)?", re.ASCII
)
_SCORE = re.compile(r"feedback\.score\.\S{1,128}")


class Findings(Protocol):
    """Where problems go; relations.Findings."""

    def wrong(self, message: str, path: str) -> None: ...
    def unknown(self, kind: str, name: str, known: Iterable[str], path: str) -> None: ...
    def doubtful(self, message: str, path: str) -> None: ...
    def is_written(self, path: str) -> bool: ...


def check_rollouts(config: Config, found: Findings) -> None:
    """The section `rollouts`."""
    for name, rollout in config.rollouts.items():
        check_rollout(name, rollout, config, join("rollouts", name), found)
    check_together(config.rollouts, config, found)


def used_backends(config: Config) -> Iterator[str]:
    """Backends that are asked by arms and shadows."""
    for rollout in config.rollouts.values():
        for arm in rollout.arms.values():
            yield from arm.backends
        if rollout.mirror:
            yield rollout.mirror.backend
    for route in config.routes.values():
        for shadow in route.shadow:
            yield shadow.backend


def check_rollout(name: str, rollout: Rollout, config: Config, path: str, found: Findings) -> None:
    """One rollout by itself, in its configuration."""
    _check_name("rollout", name, path, found)
    route = config.routes.get(rollout.route)
    if route is None:
        found.unknown("route", rollout.route, config.routes, f"{path}.route")
    _check_arms(rollout, route, config, path, found)
    _check_draw(rollout, path, found)
    _check_targets(rollout, config, path, found)
    _check_steps(rollout, path, found)
    _check_mirror(rollout, route, config, path, found)
    _check_gates(rollout, route, config, path, found)
    _check_pace(rollout, path, found)
    if not config.log.enabled:
        message = "the log is off, so nobody can tell later which request had which arm"
        found.doubtful(message, path)


def _check_name(kind: str, name: str, path: str, found: Findings) -> None:
    if not _NAME.fullmatch(name):
        found.wrong(
            f"the name of {'an' if kind == 'arm' else 'a'} {kind} has 1 to {LONGEST_NAME} letters,"
            " digits and . _ -, a letter or digit first",
            path,
        )


# -- arms


def _check_arms(
    rollout: Rollout, route: Route | None, config: Config, path: str, found: Findings
) -> None:
    if not rollout.arms:
        found.wrong("at least one challenger is needed, such as {new: {backends: [x]}}", path)
    if len(rollout.arms) > MOST_ARMS:
        found.wrong(f"at most {MOST_ARMS} arms", f"{path}.arms")
    for name, arm in rollout.arms.items():
        where = join(f"{path}.arms", name)
        if name in RESERVED:
            found.wrong(f"`{name}` is taken: the champion is the route as it is", where)
        _check_name("arm", name, where, found)
        _check_change(arm, route, where, found)
        _check_arm_backends(arm, route, config, where, found)
    if rollout.arms and not any(arm.share for arm in rollout.arms.values()):
        found.wrong("all shares are 0, so no arm gets anything", f"{path}.arms")


def _check_change(arm: Arm, route: Route | None, path: str, found: Findings) -> None:
    """That the arm does something else, and something that can be done."""
    if not (arm.backends or arm.policy or arm.merge is not None or arm.prompt):
        found.wrong("this arm changes nothing; give it backends, a policy, merge or a prompt", path)
    if arm.merge is not None and not isinstance(arm.merge, Mapping):
        found.wrong("expected an object, such as {temperature: 0.2}", f"{path}.merge")
    for key in ("model", "stream") if isinstance(arm.merge, Mapping) else ():
        if key in arm.merge:
            reason = "`backends` say which model" if key == "model" else "clients decide that"
            found.wrong(f"an arm cannot change `{key}`: {reason}", join(f"{path}.merge", key))
    if arm.policy == "cheapest_within_slo" and route and route.slo is None:
        found.wrong("the policy cheapest_within_slo needs the route's `slo`", f"{path}.policy")


def _check_arm_backends(
    arm: Arm, route: Route | None, config: Config, path: str, found: Findings
) -> None:
    for index, name in enumerate(arm.backends):
        where = f"{path}.backends[{index}]"
        if name in arm.backends[:index]:
            found.wrong(f"`{name}` is named twice", where)
        if name not in config.backends:
            found.unknown("backend", name, config.backends, where)
        elif route is not None:
            _check_protocol(config.backends[name], name, route, config, where, found)
    _check_weights(arm, route, path, found)
    own = _known(_candidates(route), config) if route else []
    if own and any(backend.protocol != "openai" for backend in own) and arm.prompt:
        found.wrong("only routes of the protocol openai have a system prompt", f"{path}.prompt")
    theirs = _known(arm.backends, config)
    if theirs and own:
        _check_capabilities(theirs, own, f"{path}.backends", found)


def _check_protocol(
    backend: Backend, name: str, route: Route, config: Config, path: str, found: Findings
) -> None:
    own = {one.protocol for one in _known(_candidates(route), config)}
    if own and backend.protocol not in own:
        message = f"`{name}` speaks {backend.protocol}, the route {' and '.join(sorted(own))}"
        found.wrong(message, path)


def _check_weights(arm: Arm, route: Route | None, path: str, found: Findings) -> None:
    if not arm.weights:
        return
    policy = arm.policy or (route.policy if route else "weighted")
    if len(arm.weights) != len(arm.backends):
        found.wrong("expected one weight for each of the arm's backends", f"{path}.weights")
    elif not sum(arm.weights):
        found.wrong("all weights are 0", f"{path}.weights")
    if policy != "weighted":
        found.doubtful(f"the policy {policy} does not look at weights", f"{path}.weights")


def _check_capabilities(
    theirs: Sequence[Backend], own: Sequence[Backend], path: str, found: Findings
) -> None:
    """That the arm can answer what the route can be asked."""
    if any(backend.capabilities is None for backend in theirs):
        return  # all that the protocol can carry
    able = {one for backend in theirs for one in backend.capabilities or ()}
    # Why only these: what nobody declared, nobody may ever have asked for.
    asked = {one for backend in own for one in backend.capabilities or ()}
    if asked - able - {"stream"}:
        missing = ", ".join(sorted(asked - able - {"stream"}))
        found.wrong(f"this arm cannot do what the route can: {missing}", path)
    elif any(backend.capabilities is None for backend in own):
        message = (
            "the route's backends declare no capabilities, these do: what they lack is rescued"
            " by the champion and counts as an error"
        )
        found.doubtful(message, path)


def _candidates(route: Route) -> tuple[str, ...]:
    return tuple(one if isinstance(one, str) else one.backend for one in route.backends)


def _known(names: Iterable[str], config: Config) -> list[Backend]:
    return [config.backends[name] for name in names if name in config.backends]


# -- who takes part


def _check_draw(rollout: Rollout, path: str, found: Findings) -> None:
    if not _UNIT.fullmatch(rollout.unit):
        message = (
            "expected request, user, key, client, session, header:NAME or pointer:/json/pointer"
        )
        found.wrong(message, f"{path}.unit")
    if rollout.start >= rollout.end:
        found.wrong("`end` is not above `start`, so nobody takes part", f"{path}.end")
    if rollout.holdout >= 1:
        found.wrong("all are held out, so nobody takes part", f"{path}.holdout")


def _check_targets(rollout: Rollout, config: Config, path: str, found: Findings) -> None:
    targets, where = rollout.targets, f"{path}.targets"
    check_audience_names(targets.audiences, config.audiences, f"{where}.audiences", found)
    check_conditions(targets.where, f"{where}.where", found)
    for index, unit in enumerate(targets.allow):
        if unit in targets.deny:
            found.wrong("this unit is in `deny` as well", f"{where}.allow[{index}]")
    if (targets.allow or targets.deny) and rollout.unit == "request":
        message = "the unit is `request`, which nobody knows before; set `unit`"
        found.wrong(message, f"{where}.{'allow' if targets.allow else 'deny'}")


def check_together(rollouts: Mapping[str, Rollout], config: Config, found: Findings) -> None:
    """What rollouts do to each other: in a layer, and on a route."""
    names = list(rollouts)
    for index, name in enumerate(names):
        for other in names[:index]:
            if _layer(name, rollouts[name]) == _layer(other, rollouts[other]):
                _check_neighbours(name, other, rollouts, found)
    for route in config.routes:
        here = {name: one for name, one in rollouts.items() if one.route == route}
        _check_number(here, join("routes", route), found)


def _layer(name: str, rollout: Rollout) -> str:
    return rollout.layer or name


def _check_neighbours(
    name: str, other: str, rollouts: Mapping[str, Rollout], found: Findings
) -> None:
    """Two rollouts of one layer: drawn alike, and each with a part of its own."""
    one, two = rollouts[name], rollouts[other]
    layer = _layer(name, one)
    path = join("rollouts", name)
    for key in ("unit", "hash"):
        if getattr(one, key) != getattr(two, key):
            message = f"the layer `{layer}` is drawn once: `{other}` has {getattr(two, key)}"
            found.wrong(message, f"{path}.{key}")
    if (one.salt or layer) != (two.salt or layer):
        found.wrong(
            f"the layer `{layer}` is drawn once: `{other}` has another salt", f"{path}.salt"
        )
    if one.start < two.end and two.start < one.end:
        message = (
            f"overlaps `{other}`, which has {two.start} to {two.end} of the layer `{layer}`;"
            " give them parts (start, end) that do not overlap, or other layers"
        )
        found.wrong(message, path)


def _check_number(rollouts: Mapping[str, Rollout], path: str, found: Findings) -> None:
    """Each combination of arms needs a variant of the route."""
    layers: dict[str, int] = {}
    for name, rollout in rollouts.items():
        layer = _layer(name, rollout)
        layers[layer] = layers.get(layer, 1) + 1 + len(rollout.arms) + _forced(rollout)
    combinations = 1
    for number in layers.values():
        combinations *= number
    if combinations > MOST_VARIANTS:
        message = (
            f"its rollouts make {combinations} combinations of arms, more than {MOST_VARIANTS};"
            " put some into one layer"
        )
        found.wrong(message, path)
    elif len(layers) > MOST_LAYERS:
        message = f"its rollouts are in {len(layers)} layers, more than {MOST_LAYERS}"
        found.wrong(message, path)


def _forced(rollout: Rollout) -> int:
    """How many arms may be given by header or list."""
    first = next(iter(rollout.arms), "")
    arms = {first} if rollout.targets.allow else set()
    for step in rollout.steps:
        if step.set_header_route and step.set_header_route.match:
            arms.add(step.set_header_route.arm or first)
    return len(arms)


# -- steps


def _check_steps(rollout: Rollout, path: str, found: Findings) -> None:
    if not rollout.steps:
        found.wrong("at least one step is needed, such as {setWeight: 5}", f"{path}.steps")
    if len(rollout.steps) > MOST_STEPS:
        found.wrong(f"at most {MOST_STEPS} steps", f"{path}.steps")
    names = {gate.name or gate.metric for gate in rollout.gates}
    weight = 0.0
    for index, step in enumerate(rollout.steps):
        where = f"{path}.steps[{index}]"
        _check_step(step, rollout, names, where, found)
        if step.set_weight is not None:
            if step.set_weight < weight:
                found.doubtful(f"the weight falls from {weight:g} %", f"{where}.setWeight")
            weight = step.set_weight
    gives = any(
        step.set_weight or step.set_mirror_route or step.set_header_route for step in rollout.steps
    )
    if rollout.steps and not gives:
        found.wrong("no step gives a challenger any request", f"{path}.steps")


def _check_step(step: Step, rollout: Rollout, gates: set[str], path: str, found: Findings) -> None:
    given = [key for key in step.__struct_fields__ if getattr(step, key) is not None]
    if len(given) != 1:
        found.wrong(
            "expected exactly one of setWeight, pause, analysis, setMirrorRoute and"
            f" setHeaderRoute, not {len(given)}",
            path,
        )
    for index, name in enumerate(step.analysis.gates if step.analysis else ()):
        if name not in gates:
            where = f"{path}.analysis.gates[{index}]"
            found.wrong(f"no gate `{name}`{meant(name, gates)}", where)
    if step.analysis and not gates:
        found.wrong("there are no gates that could pass", f"{path}.analysis")
    header = step.set_header_route
    if header is None:
        return
    if header.arm and header.arm not in rollout.arms:
        hint = meant(header.arm, rollout.arms)
        found.wrong(f"no arm `{header.arm}`{hint}", f"{path}.setHeaderRoute.arm")
    for index, match in enumerate(header.match):
        where = f"{path}.setHeaderRoute.match[{index}].headerName"
        if not re.fullmatch(_FIELD_NAME, match.header_name, re.ASCII):
            found.wrong("this is not a valid header name", where)
        elif is_credential_header(match.header_name):
            found.wrong("this header holds a secret, which no configuration may have", where)


def _check_mirror(
    rollout: Rollout, route: Route | None, config: Config, path: str, found: Findings
) -> None:
    mirrored = [index for index, step in enumerate(rollout.steps) if step.set_mirror_route]
    first = next(iter(rollout.arms.values()), None)
    for index in mirrored:
        if first is not None and not first.backends and rollout.mirror is None:
            message = "copies go to a backend of the first challenger, which names none"
            found.wrong(message, f"{path}.steps[{index}].setMirrorRoute")
    if rollout.mirror is None:
        return
    if not mirrored:
        found.doubtful("no step copies requests (setMirrorRoute)", f"{path}.mirror")
    if route is not None:
        check_shadow(rollout.mirror, rollout.route, config, f"{path}.mirror", found)


# -- gates


def _check_gates(
    rollout: Rollout, route: Route | None, config: Config, path: str, found: Findings
) -> None:
    if len(rollout.gates) > MOST_GATES:
        found.wrong(f"at most {MOST_GATES} gates", f"{path}.gates")
    names: set[str] = set()
    for index, gate in enumerate(rollout.gates):
        where = f"{path}.gates[{index}]"
        name = gate.name or gate.metric
        if name in names:
            found.wrong(f"there is a gate `{name}` already; give this one a `name`", where)
        names.add(name)
        if _check_metric(gate, where, found) and route is not None:
            _check_sources(gate, rollout, route, config, f"{where}.metric", found)
        _check_gate_numbers(gate, where, found)
    if not rollout.alpha:
        found.wrong("no evidence is ever enough for a chance of 0%", f"{path}.alpha")
    if rollout.standing and not any(gate.needs == "better" for gate in rollout.gates):
        message = "a standing rollout is promoted by a gate that `needs: better`, and has none"
        found.wrong(message, f"{path}.standing")
    if not rollout.gates:
        message = "without gates nothing but open breakers takes the challenger back"
        found.doubtful(message, f"{path}.gates")


def _check_metric(gate: Gate, path: str, found: Findings) -> bool:
    """Whether there is such a metric."""
    if gate.metric in METRICS or _SCORE.fullmatch(gate.metric):
        return True
    if gate.metric in _WITHOUT_BETTER:
        found.wrong(f"`{gate.metric}` has no better and no worse", f"{path}.metric")
    else:
        hint = meant(gate.metric, METRICS)
        found.wrong(f"no metric `{gate.metric}`{hint}", f"{path}.metric")
    return False


def _check_sources(
    gate: Gate, rollout: Rollout, route: Route, config: Config, path: str, found: Findings
) -> None:
    """That somebody counts what the gate looks at."""
    metric = gate.metric
    if (metric in _OF_FEEDBACK or _SCORE.fullmatch(metric)) and not config.log.enabled:
        found.wrong("feedback is joined to arms by the log, which is off (log.enabled)", path)
    if metric == "disagreement":
        if not config.log.enabled:
            found.wrong("pairs of answers are in the log, which is off (log.enabled)", path)
        if not _is_mirrored(rollout, route):
            message = "nothing is compared: no step copies requests (setMirrorRoute)"
            found.wrong(message, path)
    arms = {"the route": _candidates(route)} | {
        f"the arm `{name}`": arm.backends for name, arm in rollout.arms.items() if arm.backends
    }
    if metric in _OF_PRICES:
        for who, names in arms.items():
            _check_priced(who, names, config, path, found)
    if metric in _OF_USAGE:
        for who, names in arms.items():
            _check_counted(who, names, config, path, found)


def _is_mirrored(rollout: Rollout, route: Route) -> bool:
    steps = any(step.set_mirror_route for step in rollout.steps)
    own = {name for arm in rollout.arms.values() for name in arm.backends}
    return steps or any(shadow.backend in own for shadow in route.shadow)


def _check_priced(
    who: str, names: Iterable[str], config: Config, path: str, found: Findings
) -> None:
    for name in names:
        if name in config.backends and not _has_price(config.backends[name]):
            message = f"`{name}` of {who} has no price, so its requests would count as free"
            found.wrong(message, path)


def _has_price(backend: Backend) -> bool:
    return bool(backend.price.input or backend.price.output or backend.price.request)


def _check_counted(
    who: str, names: Iterable[str], config: Config, path: str, found: Findings
) -> None:
    for backend in _known(names, config):
        usage = backend.http.usage if backend.http else None
        is_told = backend.protocol == "openai" or (usage and (usage.input or usage.output))
        if not is_told:
            found.wrong(f"answers of {who} say nothing of tokens and finish reasons", path)
            return


def _check_gate_numbers(gate: Gate, path: str, found: Findings) -> None:
    if gate.alpha is not None and not gate.alpha:
        found.wrong("no evidence is ever enough for a chance of 0%", f"{path}.alpha")
    if 0 < gate.maximum < gate.minimum:
        found.wrong("`maximum` is below `minimum`", f"{path}.maximum")
    if gate.test == "group_sequential" and not gate.maximum:
        message = "the test group_sequential needs `maximum`: how many answers are planned"
        found.wrong(message, f"{path}.test")
    if gate.marginal_score > gate.pass_score:
        found.wrong("`marginal_score` is above `pass_score`", f"{path}.marginal_score")
    is_feedback = gate.metric in _OF_FEEDBACK or gate.metric.startswith("feedback.")
    if gate.matured and not is_feedback:
        found.doubtful("only feedback matures, so this does nothing", f"{path}.matured")
    if gate.metric not in _OF_QUANTILES and found.is_written(f"{path}.quantile"):
        found.doubtful("only latency and first_byte have quantiles", f"{path}.quantile")
    if gate.test != "sequential" and gate.metric == "disagreement":
        found.wrong("pairs of answers are tested by `sequential` only", f"{path}.test")
    if gate.metric in {"drift", "disagreement"} and gate.needs == "better":
        found.wrong(f"a challenger's {gate.metric} cannot be better", f"{path}.needs")


# -- when


def _check_pace(rollout: Rollout, path: str, found: Findings) -> None:
    for index, text in enumerate(rollout.windows):
        fault = windows.fault(text)
        if fault:
            found.wrong(fault, f"{path}.windows[{index}]")
    shortest = rollout.minimum.time
    if 0 < rollout.deadline < shortest:
        message = f"the deadline is before the end of a step, which takes {Duration(shortest)}"
        found.wrong(message, f"{path}.deadline")
