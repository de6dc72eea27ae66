"""The part of the schema that is about the prediction log: what is recorded, kept and sent.

Comments beside the fields are the manual, as in `schema`, whose rules hold here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.config.kinds import AtLeastOne, Line, Pointer
from gateway.config.units import Duration, Secret, Share, Size

MILLISECOND, SECOND, MINUTE, DAY = 10**6, 10**9, 60 * 10**9, 24 * 3600 * 10**9
KIB, MIB, GIB = 2**10, 2**20, 2**30

Days = Annotated[int, Meta(ge=1, le=36_500)]
Topic = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}\Z")]

PayloadPolicy = Literal["full", "sampled", "digest", "none"]
MessageKey = Literal["id", "request_id", "route", "backend", "user", "none"]
PatternName = Literal["secrets", "email", "phone", "card", "iban"]


class Redact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is taken out of a payload before it is recorded anywhere."""

    pointers: tuple[
        Pointer, ...
    ] = ()  # values of JSON bodies, such as /user; `*` is any element or member
    headers: tuple[Line, ...] = ()  # recorded headers whose value is taken out
    patterns: tuple[PatternName, ...] = ("secrets",)  # texts that look like one of these


class Recording(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the records of a route say; every request has one, whatever this says."""

    # bodies: `full`; `sampled`, some in full; `digest`, sizes and hashes; `none`
    payload: PayloadPolicy = "digest"
    sample: Share = Share(0.1)  # of the requests whose bodies are kept under `sampled`
    # of one body; what is longer is cut, and the record says so; features and predictions that
    # are longer are left out
    max: Size = Size(64 * KIB)
    headers: tuple[Line, ...] = ()  # request headers to keep; credentials never are
    features: Pointer = ""  # where inputs stand in a request; default: `/inputs` for kserve
    # where outputs stand in an answer; default: `/outputs` for kserve, `/predictions` for http
    predictions: Pointer = ""
    redact: Redact = Redact()  # what is taken out first


class Segment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the log."""

    size: Size = Size(16 * MIB)  # allocated at once; a new one follows when it is full
    age: Duration = Duration(5 * MINUTE)  # or so old


class Store(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The local store, searched by `gateway log` and `gateway explain`."""

    enabled: bool = True  # keep records here
    keep: Days = 30  # days
    max_size: Size = Size(50 * GIB)  # the oldest go first


class KafkaTls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS towards the brokers."""

    ca: str = ""  # PEM file of the authorities to trust; default: the system's
    certificate: str = ""  # PEM file with our client certificate
    key: str = ""  # PEM file with its private key


class KafkaSasl(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credentials for the brokers."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"  # as they want
    username: Line = ""  # as whom
    password: Secret = Secret("")  # with what


class KafkaCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Topics that do not exist are created like this."""

    partitions: AtLeastOne = 6  # of each topic
    replication: AtLeastOne = 1  # copies of each partition


class Kafka(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records as messages; at least once, each with its id as `ce_id`."""

    bootstrap: tuple[Line, ...]  # brokers to begin with, host:port
    topic: Topic = "gateway.records"  # of the records
    feedback_topic: Topic = "gateway.feedback"  # of the feedback
    key: MessageKey = "request_id"  # of a message: what decides about its partition
    format: Literal["json", "msgpack"] = "json"  # of its value
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "zstd"  # of a batch
    batch: Size = Size(512 * KIB)  # most bytes of a batch, before compression
    linger: Duration = Duration(50 * MILLISECOND)  # longest wait for a batch to fill
    timeout: Duration = Duration(30 * SECOND)  # not acknowledged by then: sent anew
    max_message: Size = Size(MIB)  # a longer record is put aside, and counted
    create: KafkaCreate | None = None  # create missing topics; default: they must be there
    tls: KafkaTls | None = None  # default: none
    sasl: KafkaSasl | None = None  # default: none


class Objects(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sealed segments, compressed with zstd, as objects."""

    url: Line  # file:///directory, s3://bucket/prefix, or what else obstore knows
    endpoint: Line = ""  # of an S3-compatible service; default: AWS
    key: Secret = Secret("")  # access key; default: the environment's
    secret: Secret = Secret("")  # its secret


class Encryption(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Payloads are encrypted before they are written (AES-256-GCM)."""

    key: Secret  # 32 bytes in base64, from the environment
    old_keys: tuple[Secret, ...] = ()  # still used to read


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prediction log: one record for each request, in state/log until it is delivered."""

    enabled: bool = True  # write it
    sync: Line = "50ms"  # `none`, `always`, or how often: what a power cut may take
    segment: Segment = Segment()  # files
    max_size: Size = Size(8 * GIB)  # of what waits to be delivered
    # then: `drop_oldest` records not delivered yet, or `shed` requests
    on_full: Literal["drop_oldest", "shed"] = "drop_oldest"
    # of the shipper: how far it stands back where cores are full. 19: requests are served first,
    # and records wait on disk; 0: it takes what it needs. Read when it starts
    niceness: Annotated[int, Meta(ge=0, le=19)] = 10
    user_header: Line = ""  # request header with the user's id, where the body names none
    encryption: Encryption | None = None  # of payloads; default: none
    store: Store = Store()  # on this machine
    kafka: Kafka | None = None  # default: none
    objects: Objects | None = None  # default: none
    stdout: bool = False  # print each record as a line


class MlflowModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registered model of an MLflow server."""

    url: Line  # of the server
    name: Line  # of the registered model
    alias: Line = ""  # such as champion; or
    version: Line = ""  # a version
    token: Secret = Secret("")  # sent as `authorization: Bearer`


class Registry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model version comes from, for `gateway production`."""

    trained_at: Line = ""  # when, such as 2026-09-01
    data: Line = ""  # on what
    metrics: dict[str, float] = {}  # how good it was there
    owner: Line = ""  # whom to ask
    mlflow: MlflowModel | None = None  # the same from an MLflow registry
