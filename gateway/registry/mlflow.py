"""Asks an MLflow server, over its REST API, for one version of a registered model.

Three questions: the version (by alias or number), the model's other aliases, and the run
that trained it with its metrics, parameters and datasets. A run that cannot be read costs
its part only: a version may outlive its run.

Rule 1: everything is bounded: the whole exchange in time, each answer in size (by `calls`),
        each list in length, each text in characters.
Rule 2: redirects are not followed, so the token goes to the configured server only.
Rule 3: no sentence holds the token, the URL beyond host and port, or text of an answer.
"""

from __future__ import annotations

import contextlib
import http.client
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import SplitResult, urlencode

import msgspec
from msgspec import Struct

from gateway.calls import AnswerTooLong, Call, CallError, place_of
from gateway.config.recording import MlflowModel
from gateway.registry.registration import Registration, RegistryError

TIMEOUT_S = 3.0
MOST_NAMES = 64  # of metrics, parameters, aliases, datasets
MOST_CHARACTERS = 256
_API = "/api/2.0/mlflow/"

T = TypeVar("T")


class _Alias(Struct, frozen=True):
    alias: str = ""
    version: str = ""


class _Version(Struct, frozen=True):
    name: str = ""
    version: str = ""
    run_id: str = ""
    user_id: str = ""
    description: str = ""
    creation_timestamp: int = 0


class _VersionAnswer(Struct, frozen=True):
    model_version: _Version


class _Model(Struct, frozen=True):
    aliases: tuple[_Alias, ...] = ()


class _ModelAnswer(Struct, frozen=True):
    registered_model: _Model


class _Pair(Struct, frozen=True):
    key: str = ""
    value: Any = None


class _Dataset(Struct, frozen=True):
    name: str = ""
    digest: str = ""


class _Input(Struct, frozen=True):
    dataset: _Dataset = _Dataset()


class _Inputs(Struct, frozen=True):
    dataset_inputs: tuple[_Input, ...] = ()


class _Data(Struct, frozen=True):
    metrics: tuple[_Pair, ...] = ()
    params: tuple[_Pair, ...] = ()


class _About(Struct, frozen=True):
    end_time: int = 0
    user_id: str = ""


class _Run(Struct, frozen=True):
    info: _About = _About()
    data: _Data = _Data()
    inputs: _Inputs = _Inputs()


class _RunAnswer(Struct, frozen=True):
    run: _Run


class ServerAway(RegistryError):
    """The server did not answer; it need not be asked for another model now."""

    reason = "registry_away"


class _NotThere(RegistryError):
    """The server knows no such thing."""

    reason = "registry_unknown"


def ask_mlflow(model: MlflowModel, timeout_s: float = TIMEOUT_S) -> Registration:
    """What the server says of the model; RegistryError if it does not."""
    with _Server(model, timeout_s) as server:
        version = _version_of(server, model)
        run, aliases = _Run(), dict[str, str]()
        with contextlib.suppress(_NotThere):
            answer = server.get("registered-models/get", _ModelAnswer, name=model.name)
            aliases = {
                _cut(a.alias): _cut(a.version) for a in answer.registered_model.aliases[:MOST_NAMES]
            }
        if version.run_id:
            with contextlib.suppress(_NotThere):
                run = server.get("runs/get", _RunAnswer, run_id=version.run_id).run
    return _registration(version, aliases, run)


def _version_of(server: _Server, model: MlflowModel) -> _Version:
    try:
        if model.alias:
            return server.get(
                "registered-models/alias", _VersionAnswer, name=model.name, alias=model.alias
            ).model_version
        return server.get(
            "model-versions/get", _VersionAnswer, name=model.name, version=model.version
        ).model_version
    except _NotThere:
        which = f"with the alias `{model.alias}`" if model.alias else f"version `{model.version}`"
        raise RegistryError(f"{server} has no model `{model.name}` {which}") from None


def _registration(version: _Version, aliases: dict[str, str], run: _Run) -> Registration:
    return Registration(
        source="mlflow",
        trained_at=_moment(run.info.end_time or version.creation_timestamp),
        data=tuple(_named(each.dataset) for each in run.inputs.dataset_inputs[:MOST_NAMES]),
        metrics=dict(_numbers(run.data.metrics)),
        params={_cut(p.key): _cut(str(p.value)) for p in run.data.params[:MOST_NAMES]},
        owner=_cut(version.user_id or run.info.user_id),
        model=_cut(version.name),
        version=_cut(version.version),
        aliases=aliases,
        run=_cut(version.run_id),
        description=_cut(version.description),
    )


def _numbers(metrics: Iterable[_Pair]) -> Iterable[tuple[str, float]]:
    for metric in list(metrics)[:MOST_NAMES]:
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            if math.isfinite(number := float(metric.value)):
                yield _cut(metric.key), number


def _named(dataset: _Dataset) -> str:
    return _cut(f"{dataset.name} ({dataset.digest})" if dataset.digest else dataset.name)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def _moment(at_ms: int) -> str:
    try:
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at_ms > 0 else ""


class _Server:
    """One connection, for the questions of one model."""

    def __init__(self, model: MlflowModel, timeout_s: float) -> None:
        self._place = _place(model.url)
        self._headers = {"accept": "application/json", "user-agent": "inference-gateway"}
        if model.token:
            self._headers["authorization"] = f"Bearer {model.token.reveal()}"
        self._call = Call(self._place, timeout_s, server=str(self))

    def __str__(self) -> str:
        return f"the MLflow server at {self._place.netloc}"

    def __enter__(self) -> Self:
        self._call.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call.__exit__(kind, error, trace)

    def get(self, path: str, answer: type[T], **query: str) -> T:
        """The decoded answer; RegistryError says why there is none."""
        target = f"{self._place.path.rstrip('/')}{_API}{path}?{urlencode(query)}"
        try:
            got = self._call.exchange("GET", target, self._headers)
        except AnswerTooLong as error:
            raise RegistryError(str(error)) from None
        except CallError as error:
            raise ServerAway(str(error)) from None
        if got.status == http.client.NOT_FOUND or _is_unknown(got.content):
            raise _NotThere(f"{self} has nothing at {path}")
        if got.status != http.client.OK:
            raise RegistryError(self._refusal(got.status))
        try:
            return msgspec.json.decode(got.content, type=answer, strict=False)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise RegistryError(f"what answers at {self._place.netloc} is no MLflow") from None

    def _refusal(self, status: int) -> str:
        if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            return f"{self} does not accept the token (HTTP {status})"
        if 300 <= status < 400:
            return f"{self} redirects (HTTP {status}), which is not followed; configure where to"
        return f"{self} answered with HTTP {status}"


def _is_unknown(content: bytes) -> bool:
    """Whether it is MLflow's way to say that there is no such alias: with status 400."""
    return b'"INVALID_PARAMETER_VALUE"' in content[:200] and b"alias" in content[:400]


def _place(url: str) -> SplitResult:
    place = place_of(url)
    if place is None:
        raise RegistryError("the `url` of `mlflow` is no URL such as http://mlflow:5000")
    if "@" in place.netloc:
        raise RegistryError("credentials do not belong into the `url` of `mlflow`; use `token`")
    return place
