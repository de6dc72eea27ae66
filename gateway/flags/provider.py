"""OpenFeature's provider for Python: flags of a gateway, by OFREP, kept at hand.

    from openfeature import api
    from gateway.flags.provider import GatewayProvider

    api.set_provider(GatewayProvider("http://127.0.0.1:8080"))
    client = api.get_client()
    client.get_boolean_value("beta", False, EvaluationContext(targeting_key="ann"))

All flags of a context are asked for at once and kept; within `poll_s` evaluations cost no
call. After that the next one asks with the answer's tag, and mostly hears that nothing has
changed. A gateway that is away leaves what is known in place, with the reason STALE.

Rule 1: a value is never older than `poll_s` while the gateway answers.
Rule 2: contexts are kept in order of use, and at most `contexts` of them.
Rule 3: one call at a time and connection; a call takes `timeout_s` at most.
Cost: one connection, and one thread that asks for nobody's flags each `poll_s`, so that
PROVIDER_STALE, PROVIDER_READY and PROVIDER_CONFIGURATION_CHANGED come by themselves.
Needs `pip install 'inference-gateway[openfeature]'`, and nothing else of the gateway.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
    ErrorCode,
    FlagNotFoundError,
    GeneralError,
    OpenFeatureError,
    ProviderNotReadyError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

PATH = "/ofrep/v1/evaluate/flags"
POLL_S = 5.0
TIMEOUT_S = 2.0
CONTEXTS = 1000
MOST_BYTES = 4 << 20  # of one answer

Value = TypeVar("Value")
Structure = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class Away(Exception):
    """The gateway did not answer, or not as one."""


@dataclass
class Kept:
    """All flags of one context, as they were last told."""

    flags: dict[str, dict[str, Any]] = field(default_factory=dict)
    etag: str = ""
    asked_at_s: float = 0.0  # monotonic; 0 never
    is_stale: bool = False  # the gateway was away when it was asked again


class GatewayProvider(AbstractProvider):
    """Flags of one gateway; give it to `openfeature.api.set_provider`."""

    def __init__(
        self,
        url: str,
        *,
        poll_s: float = POLL_S,
        timeout_s: float = TIMEOUT_S,
        contexts: int = CONTEXTS,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url` is the gateway's data port, or its admin port with `authorization` in `headers`."""
        super().__init__()
        self._wire = _Wire(url, timeout_s, headers or {})
        self._poll_s, self._contexts, self._clock = poll_s, contexts, clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._lock = threading.Lock()  # Rule: guards `_kept` and what is in it, never a call
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_away = False

    def get_metadata(self) -> Metadata:
        return Metadata(name="inference-gateway")

    # -- life

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Asks for the flags of the global context; without an answer it goes on asking."""
        body = _body(evaluation_context)
        self._ended.clear()
        self._thread = threading.Thread(target=self._watch, args=(body,), name="flags", daemon=True)
        try:
            self._refresh(body, self._entry(body))
        except Away as error:
            self._is_away = True
            raise ProviderNotReadyError(str(error)) from None
        finally:
            self._thread.start()

    def shutdown(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._wire.close()

    def _watch(self, body: str) -> None:
        """Tells what changes while nobody evaluates."""
        while not self._ended.wait(self._poll_s):
            try:
                changed = self._refresh(body, self._entry(body))
            except Away as error:
                if not self._is_away:
                    self._is_away = True
                    self.emit_provider_stale(ProviderEventDetails(message=str(error)))
                continue
            if self._is_away:
                self._is_away = False
                self.emit_provider_ready(ProviderEventDetails())
            if changed:
                details = ProviderEventDetails(flags_changed=changed)
                self.emit_provider_configuration_changed(details)

    # -- what is known

    def _entry(self, body: str) -> Kept:
        """What is kept for a context, made if need be; the oldest unused makes room."""
        with self._lock:
            kept = self._kept.setdefault(body, Kept())
            self._kept.move_to_end(body)
            while len(self._kept) > self._contexts:
                self._kept.popitem(last=False)
            return kept

    def _refresh(self, body: str, kept: Kept) -> list[str]:
        """Asks again; the keys of flags whose evaluation is another one now."""
        try:
            told = self._wire.ask(body, kept.etag)
        except Away:
            with self._lock:
                kept.is_stale = True
            raise
        with self._lock:
            kept.asked_at_s, kept.is_stale = self._clock(), False
            if told is None:
                return []
            before, (kept.flags, kept.etag) = kept.flags, told
            keys = sorted(before.keys() | kept.flags.keys())
            return [key for key in keys if before.get(key) != kept.flags.get(key)]

    def _flag(self, key: str, context: EvaluationContext | None) -> tuple[dict[str, Any], bool]:
        """A flag's evaluation for a context, and whether it may be out of date."""
        body = _body(context)
        kept = self._entry(body)
        if not kept.asked_at_s or self._clock() - kept.asked_at_s >= self._poll_s:
            try:
                self._refresh(body, kept)
            except Away as error:
                if not kept.asked_at_s:
                    raise GeneralError(str(error)) from None
        if key not in kept.flags:
            raise FlagNotFoundError(f"There is no flag `{key}`.")
        return kept.flags[key], kept.is_stale

    # -- evaluation

    def _resolve(
        self,
        key: str,
        default: Value,
        context: EvaluationContext | None,
        read: Callable[[Any], Value],
    ) -> FlagResolutionDetails[Value]:
        told, is_stale = self._flag(key, context)
        if "errorCode" in told:
            _raise(told)
        reason = Reason.STALE if is_stale else told.get("reason", Reason.UNKNOWN)
        # Why: without a value, the application's own default is meant.
        value = read(told["value"]) if "value" in told else default
        metadata = told.get("metadata", {})
        return FlagResolutionDetails(value, None, None, reason, told.get("variant"), metadata)

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, default_value, evaluation_context, _boolean)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, default_value, evaluation_context, _string)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, default_value, evaluation_context, _integer)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return self._resolve(flag_key, default_value, evaluation_context, _float)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Structure,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Structure]:
        return self._resolve(flag_key, default_value, evaluation_context, _structure)

    # Why threads: a call may wait for the network, and a loop must not.

    async def resolve_boolean_details_async(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        asked = (flag_key, default_value, evaluation_context)
        return await asyncio.to_thread(self.resolve_boolean_details, *asked)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        asked = (flag_key, default_value, evaluation_context)
        return await asyncio.to_thread(self.resolve_string_details, *asked)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        asked = (flag_key, default_value, evaluation_context)
        return await asyncio.to_thread(self.resolve_integer_details, *asked)

    async def resolve_float_details_async(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        asked = (flag_key, default_value, evaluation_context)
        return await asyncio.to_thread(self.resolve_float_details, *asked)

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: Structure,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Structure]:
        asked = (flag_key, default_value, evaluation_context)
        return await asyncio.to_thread(self.resolve_object_details, *asked)


class _Wire:
    """One connection to the gateway."""

    def __init__(self, url: str, timeout_s: float, headers: Mapping[str, str]) -> None:
        place = urlsplit(url)
        if place.scheme not in {"http", "https"} or not place.hostname:
            raise ValueError("expected the gateway's URL, such as http://127.0.0.1:8080")
        self._path = place.path.rstrip("/") + PATH
        self._headers = {"content-type": "application/json", **headers}
        self._lock = threading.Lock()
        if place.scheme == "https":
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                place.hostname, place.port, timeout=timeout_s, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(
                place.hostname, place.port, timeout=timeout_s
            )

    def ask(self, body: str, etag: str) -> tuple[dict[str, dict[str, Any]], str] | None:
        """All flags by key and the tag of the answer; None if they are as the tag says."""
        headers = {**self._headers, **({"if-none-match": etag} if etag else {})}
        with self._lock:
            status, told, tag = self._exchange(body, headers)
        if status == http.client.NOT_MODIFIED:
            return None
        if status != http.client.OK:
            raise Away(f"the gateway answered {status}")
        try:
            flags = {flag["key"]: flag for flag in json.loads(told)["flags"]}
        except (ValueError, KeyError, TypeError):
            raise Away("what answers is no gateway") from None
        return flags, tag

    def _exchange(self, body: str, headers: Mapping[str, str]) -> tuple[int, bytes, str]:
        was_open = self._connection.sock is not None
        try:
            self._connection.request("POST", self._path, body, dict(headers))
            answer = self._connection.getresponse()
            return answer.status, answer.read(MOST_BYTES), answer.headers.get("etag", "")
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if not was_open:
                raise Away(f"no gateway answers ({type(error).__name__})") from None
        # Why again: a kept connection may have been closed meanwhile; a new one was not.
        return self._exchange(body, headers)

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def _body(context: EvaluationContext | None) -> str:
    """The request's body, the same text for the same context."""
    known = dict(context.attributes) if context else {}
    if context is not None and context.targeting_key:
        known["targetingKey"] = context.targeting_key
    return json.dumps({"context": known}, sort_keys=True, default=str, separators=(",", ":"))


def _raise(told: Mapping[str, Any]) -> NoReturn:
    try:
        code = ErrorCode(told["errorCode"])
    except ValueError:
        code = ErrorCode.GENERAL
    raise OpenFeatureError(code, told.get("errorDetails"))


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeMismatchError("The flag is not boolean.")


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeMismatchError("The flag is no text.")


def _integer(value: Any) -> int:
    is_whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (isinstance(value, int) or is_whole):
        raise TypeMismatchError("The flag is no whole number.")
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeMismatchError("The flag is no number.")
    return float(value)


def _structure(value: Any) -> Structure:
    if isinstance(value, dict | list):
        return value
    raise TypeMismatchError("The flag is no object.")
