"""The slow paths of the data plane: what few requests need, in Python.

The compiled table calls these for a path it sees for the first time, a refusal, a
cross-origin caller, an override, a backend that may see the client's credentials.
None of them is on the way of an ordinary request.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

import orjson

from gateway._fast import Operation, Route, Table, Worker
from gateway.config.rules import evaluated
from gateway.config.units import Duration
from gateway.dataplane.answers import answer_key
from gateway.dataplane.checking import VIOLATED, Checks, Findings
from gateway.dataplane.experiments import assigned, patched
from gateway.dataplane.recording import RecordedParts
from gateway.errors import OUTCOMES, Outcome
from gateway.flags.evaluation import Flags
from gateway.flags.ofrep import answer as answer_flags
from gateway.plan import CAPABILITIES, POLICIES, BackendPlan, FallbackPlan, Plan, RoutePlan
from gateway.protocols import BY_NAME, WIRE_FORMATS
from gateway.protocols.http import Http

Refusal = tuple[int, bytes, bytes]  # status, content type, body
Found = tuple[Operation, Route | None, bytes | None]

_UNAVAILABLE = Outcome(
    name="unavailable",
    status=503,
    reason="no_prediction_available",
    sentence="No prediction is available right now.",
    fault="upstream",
    retryable=False,
)
_NO_FLAGS = b'{"errorDetails":"Flags cannot be evaluated now."}'
_CREDENTIALS = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie")


class SlowPaths(RecordedParts):
    """One for each plan."""

    answer_key = staticmethod(answer_key)
    assigned = staticmethod(assigned)
    patched = staticmethod(patched)

    def __init__(self, plan: Plan, *, is_secure: bool = False) -> None:
        super().__init__(plan)
        self._plan = plan
        self._scheme = "https" if is_secure else "http"  # as clients speak to this gateway
        self._matches = [
            (_matcher(match.path), match.methods, index)
            for index, route in enumerate(plan.routes)
            for match in route.matches
        ]
        self._protocols = {route.name: route.protocol for route in plan.routes}
        self._flags = Flags(plan.flags, plan.off)
        checks = Checks(plan)
        self.checked = checks.checked
        self.checked_answer = checks.checked_answer
        self._trusted = [ipaddress.ip_network(network) for network in plan.forwarded.trusted]

    def resolve(self, table: Table, method: bytes, path: bytes) -> Found | None:
        """What a path means: an operation, the route if the path says it, the model's name."""
        text = path.decode("latin-1")
        for matches, methods, index in self._matches:
            if method.decode("latin-1") in methods and matches(text):
                return self._matched(table.routes_by_index[index], text)
        for wire_format in WIRE_FORMATS:
            found = wire_format.resolve(method.decode("latin-1"), text)
            if found is not None:
                operation, model = found
                name = None if model is None else model.encode()
                return operation, table.routes.get(name) if name else None, name
        return None

    def _matched(self, route: Route, path: str) -> Found | None:
        if route.protocol == "http":
            return Http().matched(path), route, None
        found = BY_NAME[route.protocol].resolve("POST", path)
        return (found[0], route, None) if found else None

    def refusal(self, protocol: str | None, outcome: int | str, detail: str) -> Refusal:
        """The answer to a request that gets none from a backend, in its protocol's shape."""
        row = _UNAVAILABLE if isinstance(outcome, str) else OUTCOMES[outcome]
        status = row.status or 502
        wire_format = BY_NAME[protocol or "openai"]
        sentence = self._sentence(row, detail, wire_format.name)
        return status, wire_format.content_type, wire_format.error(status, row, sentence)

    def contract_refusal(self, protocol: str | None, findings: Findings) -> Refusal:
        """422: which places violate the contract, and what was expected there."""
        wire_format, row = BY_NAME[protocol or "openai"], VIOLATED
        body = wire_format.error(row.status, row, findings.complaint, findings.place)
        return row.status, wire_format.content_type, body

    def _sentence(self, row: Outcome, model: str, protocol: str) -> str:
        """The outcome's own, but for a model that is not there, or is spoken to otherwise."""
        if row.reason != "no_route":
            return row.sentence
        if not model and self._plan.default_route >= 0:
            model = self._plan.routes[self._plan.default_route].name
        other = self._protocols.get(model, protocol)
        if other != protocol:
            return f"The model `{model}` is served by the protocol {other}, not by {protocol}."
        return f"The model `{model}` does not exist." if model else row.sentence

    def flags(
        self,
        worker: Worker,
        method: bytes,
        path: bytes,
        body: bytes | None,
        if_none_match: bytes | None,
    ) -> tuple[int, bytes, bytes]:
        """Status, header fields and body for a client of OpenFeature's remote evaluation."""
        try:
            found = answer_flags(
                self._flags,
                method.decode("latin-1"),
                path.decode("latin-1"),
                body or b"",
                (if_none_match or b"").decode("latin-1"),
            )
        except Exception as error:  # noqa: BLE001  Why: an application has its own defaults
            worker.report(error)
            return 500, b"content-type: application/json\r\n", _NO_FLAGS
        return found.status, found.fields(), found.body

    def rule_body(self, step: FallbackPlan, body: bytes | None) -> bytes:
        """What a rule that looks at the request answers to this one."""
        try:
            request = orjson.loads(body or b"null")
        except orjson.JSONDecodeError:
            request = None
        return orjson.dumps(evaluated(step.expression, request))

    def stream_error(self, protocol: str, outcome: int, kind: int) -> bytes:
        """The event that tells a client that its stream went wrong."""
        return BY_NAME[protocol].stream_error(OUTCOMES[outcome], ndjson=kind == 1)

    def cors(self, origin: bytes) -> bytes | None:
        """The fields a cross-origin caller's browser wants; None: not an origin of ours."""
        cors = self._plan.cors
        text = origin.decode("latin-1")
        if cors is None or ("*" not in cors.origins and text not in cors.origins):
            return None
        lines = (
            f"access-control-allow-origin: {'*' if '*' in cors.origins else text}",
            f"access-control-allow-methods: {cors.methods}",
            f"access-control-allow-headers: {cors.headers}",
            f"access-control-max-age: {cors.max_age_s}",
            "access-control-expose-headers: x-request-id, x-gateway-backend, x-gateway-attempts, "
            "x-gateway-cost-usd, x-gateway-fallback, x-gateway-arm, server-timing, retry-after, "
            "etag",
            "vary: origin",
        )
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1")

    def override(self, route: Route, name: bytes, value: bytes) -> int | None:
        """The meaning of one x-gateway-* field; None: it has none here."""
        text = value.decode("latin-1").strip()
        read = _OVERRIDES.get(name)
        if read is None:
            return None
        try:
            return read(text, route.plan, self._plan)
        except (ValueError, KeyError):
            return None

    def client_fields(self, backend: BackendPlan, head: bytes, address: str) -> bytes:
        """What only some backends or plans let through: credentials, encodings, addresses."""
        fields = _fields(head)
        lines = [
            name + b": " + value
            for name, value in fields
            if name in _CREDENTIALS and name.decode("latin-1") in backend.forward_headers
        ]
        if backend.compression:
            lines += [name + b": " + value for name, value in fields if name == b"accept-encoding"]
        lines += self._forwarded(fields, address)
        return b"".join(line + b"\r\n" for line in lines)

    def without(self, fields: bytes, names: frozenset[bytes]) -> bytes:
        """A block of field lines, but those of these names."""
        lines = fields.split(b"\r\n")[:-1]
        kept = [line for line in lines if line.partition(b":")[0].lower() not in names]
        return b"".join(line + b"\r\n" for line in kept)

    def _forwarded(self, fields: list[tuple[bytes, bytes]], address: str) -> list[bytes]:
        """Who called, for backends that want to know; what a trusted proxy said comes first."""
        forwarded = self._plan.forwarded
        if not (forwarded.x_forwarded or forwarded.forwarded) or not address:
            return []
        known = dict(fields) if self._is_trusted(address) else {}
        host = dict(fields).get(b"host", b"")
        lines = []
        if forwarded.x_forwarded:
            chain = [part for part in (known.get(b"x-forwarded-for"), address.encode()) if part]
            lines += [
                b"x-forwarded-for: " + b", ".join(chain),
                b"x-forwarded-proto: " + known.get(b"x-forwarded-proto", self._scheme.encode()),
                b"x-forwarded-host: " + known.get(b"x-forwarded-host", host),
            ]
        if forwarded.forwarded:
            node = f'"[{address}]"' if ":" in address else address
            own = f"for={node};proto={self._scheme};host=".encode() + b'"' + host + b'"'
            lines.append(b"forwarded: " + b", ".join(filter(None, (known.get(b"forwarded"), own))))
        return lines

    def _is_trusted(self, address: str) -> bool:
        ip = ipaddress.ip_address(address.partition("%")[0])
        return any(ip in network for network in self._trusted)


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Field lines of a head that the parser has already accepted, names in lower case."""
    pairs = [line.partition(b":") for line in head.split(b"\r\n")[1:-2]]
    return [(name.lower(), value.strip()) for name, _, value in pairs]


def _matcher(pattern: str) -> Callable[[str], bool]:
    """Exact, or with one `{model}` (a path segment), or with a `*` at its end."""
    before, _, after = pattern.partition("{model}")
    if pattern.endswith("*"):
        return lambda path: path.startswith(pattern[:-1])
    if before == pattern:
        return lambda path: path == pattern
    segment = re.compile(re.escape(before) + "[^/]+" + re.escape(after))
    return lambda path: segment.fullmatch(path) is not None


def _policy(text: str, _route: RoutePlan, _plan: Plan) -> int:
    return POLICIES.index(text)


def _backend(text: str, route: RoutePlan, plan: Plan) -> int:
    by_name = {backend.name: backend.index for backend in plan.backends}
    return route.candidates[route.candidates.index(by_name[text])]


def _timeout(text: str, route: RoutePlan, _plan: Plan) -> int:
    asked_ns = int(text) * 1_000_000 if text.isdecimal() else int(Duration.parse(text))
    if asked_ns <= 0:
        raise ValueError(text)
    return min(asked_ns, route.total_ns or asked_ns)


def _priority(text: str, _route: RoutePlan, _plan: Plan) -> int:
    return range(8).index(int(text))


def _capabilities(text: str, _route: RoutePlan, _plan: Plan) -> int:
    bits = 0
    for name in text.split(","):
        bits |= CAPABILITIES[name.strip()]
    return bits


_OVERRIDES: dict[bytes, Callable[[str, RoutePlan, Plan], int]] = {
    b"x-gateway-policy": _policy,
    b"x-gateway-backend": _backend,
    b"x-gateway-timeout": _timeout,
    b"x-gateway-priority": _priority,
    b"x-gateway-capabilities": _capabilities,
}
