"""What the settings of the prediction log say about each other, and about this machine.

`check_log` and `check_record` are called by `relations.check`, whose rules hold here.

Rule: what could only fail later, when a request is recorded, fails here: a key that is no
key, a package that is not installed, a header that nobody may keep.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from gateway.config.recording import (
    Encryption,
    Kafka,
    KafkaSasl,
    KafkaTls,
    Log,
    MlflowModel,
    Objects,
    Recording,
)
from gateway.config.units import Duration, Secret, Size

KEY_BYTES = 32
BODIES_IN_A_SEGMENT = 16  # at least
SMALLEST_SEGMENT = 2**20
SMALLEST_LOG_SEGMENTS = 2
_LONGEST_SYNC = 60 * 10**9
_BROKER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/,\[\]]+):[0-9]{1,5}")
_BAD_ESCAPE = re.compile(r"~(?![01])")
# `x-author` and `idempotency-key` are none.
_CREDENTIAL = re.compile(
    r"auth(?!or(?!i[sz]))|cookie|token|secret|passw|credential|api-?key|access-?key|private-?key"
    r"|subscription-key|functions-key|account-key|session-?id",
)


class Findings(Protocol):
    """Where problems go; relations.Findings."""

    def wrong(self, message: str, path: str) -> None: ...
    def doubtful(self, message: str, path: str) -> None: ...
    def is_written(self, path: str) -> bool: ...
    def written(self, path: str) -> str: ...


def is_credential_header(name: str) -> bool:
    """Whether the values of a header may never be recorded."""
    return _CREDENTIAL.search(name.lower().replace("_", "-")) is not None


def check_log(log: Log, records: Iterable[Recording], found: Findings) -> None:
    """The section `log`, given the `record` of each route."""
    if not log.enabled:
        for sink in ("kafka", "objects", "stdout"):
            if found.is_written(f"log.{sink}"):
                found.doubtful("nothing is written, because the log is off", f"log.{sink}")
        return
    if not (log.store.enabled or log.kafka or log.objects or log.stdout):
        found.wrong("records go nowhere; enable one of store, kafka, objects and stdout", "log")
    _check_sync(log.sync, found)
    _check_sizes(log, [record for record in records if _keeps_bodies(record)], found)
    if is_credential_header(log.user_header):
        found.wrong("this header holds a secret, which no record may have", "log.user_header")
    if log.encryption:
        _check_encryption(log.encryption, found)
    if log.kafka:
        _check_kafka(log.kafka, found)
    if log.objects:
        _check_objects(log.objects, found)


def _keeps_bodies(record: Recording) -> bool:
    return record.payload in {"full", "sampled"}


def _check_sync(sync: str, found: Findings) -> None:
    if sync in {"none", "always"}:
        return
    try:
        interval = Duration.parse(sync)
    except ValueError:
        interval = Duration(0)
    if not 0 < interval <= _LONGEST_SYNC:
        found.wrong("expected none, always, or a time up to 1m, such as 50ms", "log.sync")


def _check_sizes(log: Log, records: Iterable[Recording], found: Findings) -> None:
    longest = max((record.max for record in records), default=Size(0))
    least = max(BODIES_IN_A_SEGMENT * longest, SMALLEST_SEGMENT)
    if log.segment.size < least:
        why = f", {BODIES_IN_A_SEGMENT} bodies of the longest `record.max`" if longest else ""
        found.wrong(f"a segment has at least {Size(least)}{why}", "log.segment.size")
    elif log.max_size < SMALLEST_LOG_SEGMENTS * log.segment.size:
        found.wrong("fewer than two segments fit in it", "log.max_size")


def _check_encryption(encryption: Encryption, found: Findings) -> None:
    if find_spec("cryptography") is None:
        found.wrong(_needs("cryptography", "encryption"), "log.encryption")
    keys = [("log.encryption.key", encryption.key)]
    keys += [(f"log.encryption.old_keys[{at}]", key) for at, key in enumerate(encryption.old_keys)]
    for path, key in keys:
        if not _is_key(key):
            message = f"expected {KEY_BYTES} bytes in base64, as `openssl rand -base64 32` prints"
            found.wrong(message, path)
    if encryption.key in encryption.old_keys:
        found.doubtful("the key in use is among the old ones", "log.encryption.old_keys")


def _is_key(key: Secret) -> bool:
    try:
        return len(base64.b64decode(key.reveal(), validate=True)) == KEY_BYTES
    except ValueError:
        return False


def _needs(package: str, extra: str) -> str:
    return f"`{package}` is not installed; run `pip install 'inference-gateway[{extra}]'`"


def _check_kafka(kafka: Kafka, found: Findings) -> None:
    if find_spec("aiokafka") is None:
        found.wrong(_needs("aiokafka", "kafka"), "log.kafka")
    if not kafka.bootstrap:
        found.wrong("at least one broker is needed", "log.kafka.bootstrap")
    for index, broker in enumerate(kafka.bootstrap):
        if not _BROKER.fullmatch(broker):
            found.wrong("expected host:port", f"log.kafka.bootstrap[{index}]")
    if kafka.topic == kafka.feedback_topic:
        found.wrong("records and feedback need a topic each", "log.kafka.feedback_topic")
    if kafka.tls:
        _check_tls(kafka.tls, "log.kafka.tls", found)
    if kafka.sasl:
        _check_sasl(kafka.sasl, kafka.tls is not None, found)


def _check_tls(tls: KafkaTls, path: str, found: Findings) -> None:
    for key in ("ca", "certificate", "key"):
        name = getattr(tls, key)
        written = found.written(f"{path}.{key}") or name
        if name and not Path(name).is_file():
            found.wrong(f"there is no file `{written}`", f"{path}.{key}")
        elif name and not os.access(name, os.R_OK):
            found.wrong(f"the file `{written}` cannot be read", f"{path}.{key}")
    if bool(tls.certificate) != bool(tls.key):
        found.wrong("`certificate` and `key` are needed together", path)


def _check_sasl(sasl: KafkaSasl, has_tls: bool, found: Findings) -> None:
    if not sasl.username or not sasl.password:
        found.wrong("`username` and `password` are needed together", "log.kafka.sasl")
    elif sasl.mechanism == "PLAIN" and not has_tls:
        found.doubtful("the password is sent unencrypted; use `tls`", "log.kafka.sasl")


def _check_objects(objects: Objects, found: Findings) -> None:
    if not re.match(r"[a-z][a-z0-9+.-]*://.", objects.url):
        message = "expected a URL such as file:///directory or s3://bucket/prefix"
        found.wrong(message, "log.objects.url")
    if bool(objects.key) != bool(objects.secret):
        found.wrong("`key` and `secret` are needed together", "log.objects")


def check_record(record: Recording, path: str, found: Findings) -> None:
    """The section `record` of one route."""
    for index, header in enumerate(record.headers):
        if is_credential_header(header):
            message = f"`{header}` holds a secret, which no record may have"
            found.wrong(message, f"{path}.headers[{index}]")
    for where, pointer in _pointers(record, path):
        if _BAD_ESCAPE.search(pointer):
            found.wrong("in a pointer, `~` is written ~0 and `/` in a name ~1", where)
    for key in ("features", "predictions"):
        if "*" in getattr(record, key).split("/"):
            found.wrong(f"{key} stand in one place; `*` is for `redact`", f"{path}.{key}")
    _check_redaction(record, path, found)
    if not _keeps_bodies(record):
        # Why not `max` always: features and predictions are no longer than that either.
        has_parts = record.features or record.predictions
        for key in ("sample",) if has_parts else ("sample", "max"):
            if found.is_written(f"{path}.{key}"):
                message = f"it does nothing, because no body is kept under {record.payload}"
                found.doubtful(message, f"{path}.{key}")
    elif record.payload == "full" and found.is_written(f"{path}.sample"):
        found.doubtful("it does nothing; `payload: sampled` looks at it", f"{path}.sample")


def _pointers(record: Recording, path: str) -> Iterator[tuple[str, str]]:
    yield f"{path}.features", record.features
    yield f"{path}.predictions", record.predictions
    for index, pointer in enumerate(record.redact.pointers):
        yield f"{path}.redact.pointers[{index}]", pointer


def _check_redaction(record: Recording, path: str, found: Findings) -> None:
    redact = record.redact
    if "phone" in redact.patterns and find_spec("phonenumbers") is None:
        where = f"{path}.redact.patterns[{redact.patterns.index('phone')}]"
        found.wrong(_needs("phonenumbers", "redaction"), where)
    if "" in redact.pointers:
        where = f"{path}.redact.pointers[{redact.pointers.index('')}]"
        found.doubtful("this is the whole body; `payload: digest` keeps none", where)
    kept = {header.lower() for header in record.headers}
    for index, header in enumerate(redact.headers):
        if header.lower() not in kept:
            message = f"`{header}` is not among `headers` and not recorded anyway"
            found.doubtful(message, f"{path}.redact.headers[{index}]")


def check_mlflow(model: MlflowModel, path: str, found: Findings) -> None:
    """The section `registry.mlflow` of one backend."""
    if bool(model.alias) == bool(model.version):
        found.wrong("expected exactly one of `alias` and `version`", path)
    if not re.match(r"https?://[^\s/]", model.url):
        found.wrong("expected a URL such as http://mlflow:5000", f"{path}.url")
    if not model.name:
        found.wrong("the name of a registered model is needed", f"{path}.name")
