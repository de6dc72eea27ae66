"""What records need of Python: texts and bodies made safe to keep, headers, feedback.

The compiled recorder calls these for the few records that hold more than figures and
names. Rule: when something here fails, the text is left out and the defect is counted;
nothing is ever recorded because it could not be checked.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from gateway._fast import Route, Worker
from gateway.dataplane.asked_json import judged
from gateway.dataplane.checking import Findings
from gateway.errors import GatewayError
from gateway.feedback import FeedbackError, taken
from gateway.payloads import Redactor, bound_to
from gateway.plan import Plan

_TEXTS, _NAMES = Redactor.of_texts(), Redactor.of_texts(("secrets",))
_JSON = b"application/json"
_FIELD = re.compile(rb"^([!-9;-~]+):[ \t]*([^\r\n]*?)[ \t]*\r?$", re.MULTILINE)
_CONTENT_TYPE = re.compile(rb"^content-type:[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)


class RecordedParts:
    """One for each plan; the methods are called by `_fast.record`."""

    def __init__(self, plan: Plan) -> None:
        self._redactors = [Redactor(route.record, plan.log.key) for route in plan.routes]
        self._nobodys = _TEXTS
        self._names = _NAMES

    def payload(
        self,
        worker: Worker,
        route: Route,
        body: bytes,
        content_type: bytes | None,
        total_bytes: int,
        is_whole: bool,
        is_encoded: bool,
        record_id: bytes,
        is_request: bool,
    ) -> bytes:
        """A Payload as JSON; `content_type` may be a whole head."""
        if not is_encoded:
            try:
                part: Literal["request", "response"] = "request" if is_request else "response"
                bound = bound_to(record_id.decode(), part)
                return self._redactors[route.index].payload(
                    body, media_type(content_type), total_bytes, is_whole, bound
                )
            except Exception as error:  # noqa: BLE001  Rule
                worker.report(error)
        return b'{"bytes":%d}' % total_bytes

    def recorded_part(
        self, worker: Worker, route: Route, body: bytes, record_id: bytes, is_request: bool
    ) -> bytes | None:
        """The inputs, or the outputs, of a prediction as JSON, or None; b"": as they stand."""
        try:
            redactor = self._redactors[route.index]
            # Cost: 2 us a KiB; to decode and to encode it takes twenty times that.
            if redactor.leaves(body):
                return b""
            if is_request:
                return redactor.features(body, bound_to(record_id.decode(), "features"))
            return redactor.predictions(body, bound_to(record_id.decode(), "predictions"))
        except Exception as error:  # noqa: BLE001  Rule
            worker.report(error)
            return None

    def recorded_findings(self, worker: Worker, route: Route, findings: Findings) -> bytes:
        """Members of the record, a comma before each: anomalies, the JSON that was asked for.

        Names that a client chose are looked at first.
        """
        made = b""
        try:
            if told := findings.told(self._redactors[route.index].text):
                made += b',"anomalies":' + msgspec.json.encode(told)
        except Exception as error:  # noqa: BLE001  Rule
            worker.report(error)
        if findings.response_format:
            made += b',"response_format":"' + findings.response_format.encode() + b'"'
        return made

    def judged_json(
        self,
        worker: Worker,
        request: bytes,
        answer: bytes,
        operation: str,
        is_stream: bool,
        known: Findings | None,
    ) -> Findings | None:
        """What is known of an exchange, and whether its answer is the JSON that was asked for."""
        try:
            found = judged(request, answer, operation, is_stream=is_stream)
        except Exception as error:  # noqa: BLE001  Rule
            worker.report(error)
            return known
        return known if found is None else (known or Findings()).of_json(found)

    def anomaly_slots(self, findings: Findings) -> list[int]:
        """Where on the board each is counted."""
        return findings.slots()

    def feedback(
        self, worker: Worker, body: bytes, content_type: bytes | None, key: bytes | None
    ) -> tuple[int, bytes, bytes]:
        """Status, content type and body of the answer to a body of signals."""
        try:
            accepted = taken(
                body, _text(content_type), _text(key), worker.append, redact=self._nobodys.text
            )
        except FeedbackError as error:
            return _said(error.status, error.reason, str(error))
        except GatewayError as error:
            return _said(503, error.reason, str(error))
        return 202, _JSON, msgspec.json.encode(accepted)

    def recorded_text(self, worker: Worker, text: bytes) -> bytes:
        """A path or name that nobody knows."""
        try:
            return self._nobodys.text(text.decode("utf-8", "replace")).encode()
        except Exception as error:  # noqa: BLE001  Rule
            worker.report(error)
            return b""

    def recorded_name(self, worker: Worker, route: Route | None, text: bytes) -> bytes:
        """A request id, user or method: names that clients choose."""
        redactor = self._names if route is None else self._redactors[route.index]
        try:
            return redactor.text(text.decode("utf-8", "replace")).encode()
        except Exception as error:  # noqa: BLE001  Rule
            worker.report(error)
            return b""

    def recorded_headers(self, worker: Worker, route: Route, head: bytes) -> bytes:
        """The headers that the route keeps, as JSON."""
        try:
            wanted = route.plan.record.headers
            found = {
                name.lower().decode("latin-1"): value.decode("utf-8", "replace")
                for name, value in _FIELD.findall(head)
            }
            kept = {name: found[name] for name in wanted if name in found}
            return msgspec.json.encode(self._redactors[route.index].headers(kept))
        except Exception as error:  # noqa: BLE001  Rule
            worker.report(error)
            return b"{}"


def _said(status: int, code: str, message: str) -> tuple[int, bytes, bytes]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return status, _JSON, msgspec.json.encode({"error": error})


def _text(value: bytes | None) -> str:
    return (value or b"").decode("latin-1")


def media_type(head: bytes | None) -> bytes:
    """The content type itself, or that among the fields of a head."""
    if head is None:
        return b""
    if b"\r\n" not in head:
        return head
    found = _CONTENT_TYPE.search(head)
    return found[1] if found else b""
