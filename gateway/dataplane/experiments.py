"""What experiments need of a request that the compiled path does not know: who is meant,
what an arm changes in a body.

Only requests of routes that have such arms come here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from gateway.plan import LayerPlan, RoutePlan, TargetsPlan
from gateway.targeting import matches

# _fast/layers.pxd
DRAWN, HEADER, ALLOWED, DENIED, UNTARGETED = range(5)

_SYSTEM = ("system", "developer")


def assigned(
    layer: LayerPlan, unit: bytes, number: int, look: Callable[[str], object]
) -> tuple[int, int]:
    """(arm, reason) of a request whose unit was drawn this arm."""
    who = unit.decode("utf-8", "replace")
    for targets in layer.targets:
        for header, value, arm in targets.headers:
            if look(f"header:{header}") == value:
                return _forced(layer, targets, arm), HEADER
        if who in targets.allow:
            return _forced(layer, targets, ""), ALLOWED
    if number == 0:
        return 0, DRAWN
    rollout = layer.arms[number - 1].rollout
    for targets in layer.targets:
        if targets.rollout == rollout:
            if who in targets.deny:
                return 0, DENIED
            if not matches(targets.audiences, targets.where, look, who):
                return 0, UNTARGETED
    return number, DRAWN


def _forced(layer: LayerPlan, targets: TargetsPlan, arm: str) -> int:
    """The number of a rollout's forced arm; "" is its first."""
    for at, forced in enumerate(layer.forced):
        if forced.rollout == targets.rollout and arm in {"", forced.arm}:
            return 1 + len(layer.arms) + at
    return 0


def patched(route: RoutePlan, operation: str, body: bytes) -> bytes | None:
    """The body as an arm wants it; None: it is no JSON object, and stays as it is."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(request, dict):
        return None
    if route.merge:
        request = merged(request, _decoded(route.merge))
    if route.prompt:
        _put_prompt(request, route.prompt, operation)
    return orjson.dumps(request)


def merged(under: Any, over: Any) -> Any:
    """JSON Merge Patch (RFC 7396)."""
    if not isinstance(over, dict):
        return over
    result = dict(under) if isinstance(under, dict) else {}
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _put_prompt(request: dict[str, Any], prompt: str, operation: str) -> None:
    """In place of the client's system prompt, where the operation has one."""
    if operation == "responses":
        request["instructions"] = prompt
        return
    messages = request.get("messages")
    if not isinstance(messages, list):
        return
    rest = [one for one in messages if not (isinstance(one, dict) and one.get("role") in _SYSTEM)]
    request["messages"] = [{"role": "system", "content": prompt}, *rest]


@lru_cache(maxsize=256)
def _decoded(text: bytes) -> Any:
    return msgspec.json.decode(text)
