"""librdkafka's mock cluster: brokers on loopback that fail as they are told.

The library comes with the confluent-kafka wheel; its mock interface is reached by ctypes.
For errors that a real broker does not make on demand; not for loss or durability: it keeps
5 MiB a partition, in memory, and its sequence checks are not those of a real broker.

Safety: each pointer is a handle of the library, kept as c_void_p and given back unchanged.
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path
from typing import Self

PRODUCER = 0
PRODUCE, METADATA, INIT_PRODUCER_ID, API_VERSIONS = 0, 3, 22, 18  # keys of requests

NOT_LEADER = 6
REQUEST_TIMED_OUT = 7
MESSAGE_TOO_LARGE = 10
NOT_ENOUGH_REPLICAS = 19
TOPIC_AUTHORIZATION_FAILED = 29
OUT_OF_ORDER_SEQUENCE = 45
DROPPED_CONNECTION = -195


@cache
def library() -> ctypes.CDLL:
    """The library, as the wheel brings it."""
    spec = importlib.util.find_spec("confluent_kafka")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parents[1] / "confluent_kafka.libs"
    found = next(iter(folder.glob("librdkafka-*.so*")), None)
    assert found is not None, f"no librdkafka in {folder}"
    for other in sorted(folder.glob("*.so*")):
        if other != found:
            ctypes.CDLL(str(other), mode=ctypes.RTLD_GLOBAL)
    loaded = ctypes.CDLL(str(found))
    handle, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    numbers = ctypes.POINTER(ctypes.c_int)
    for name, result, arguments in (
        ("rd_kafka_conf_new", handle, ()),
        ("rd_kafka_new", handle, (number, handle, text, ctypes.c_size_t)),
        ("rd_kafka_destroy", None, (handle,)),
        ("rd_kafka_mock_cluster_new", handle, (handle, number)),
        ("rd_kafka_mock_cluster_destroy", None, (handle,)),
        ("rd_kafka_mock_cluster_bootstraps", text, (handle,)),
        ("rd_kafka_mock_topic_create", number, (handle, text, number, number)),
        (
            "rd_kafka_mock_push_request_errors_array",
            None,
            (handle, ctypes.c_int16, ctypes.c_size_t, numbers),
        ),
        ("rd_kafka_mock_partition_set_leader", number, (handle, text, ctypes.c_int32, number)),
        ("rd_kafka_mock_broker_set_down", number, (handle, ctypes.c_int32)),
        ("rd_kafka_mock_broker_set_up", number, (handle, ctypes.c_int32)),
        ("rd_kafka_mock_broker_set_rtt", number, (handle, ctypes.c_int32, number)),
    ):
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


class MockCluster:
    """Brokers 1, 2, …; use it as a context."""

    def __init__(self, brokers: int = 1) -> None:
        self._library = library()
        self._count = brokers

    def __enter__(self) -> Self:
        error = ctypes.create_string_buffer(512)
        conf = self._library.rd_kafka_conf_new()
        self._client = self._library.rd_kafka_new(PRODUCER, conf, error, len(error))
        assert self._client, error.value.decode()
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, self._count)
        assert self._cluster
        return self

    def __exit__(self, *_: object) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    @property
    def bootstrap(self) -> tuple[str, ...]:
        text: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return tuple(text.decode().split(","))

    def create_topic(self, topic: str, partitions: int = 1) -> None:
        create = self._library.rd_kafka_mock_topic_create
        assert create(self._cluster, topic.encode(), partitions, self._count) == 0

    def fail(self, *codes: int, request: int = PRODUCE) -> None:
        """Answer the next requests of the kind with these codes, one each."""
        array = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, request, len(codes), array
        )

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Make the broker the leader of the partition."""
        lead = self._library.rd_kafka_mock_partition_set_leader
        assert lead(self._cluster, topic.encode(), partition, broker) == 0

    def down(self) -> None:
        """Close every connection and take none."""
        for broker in range(1, self._count + 1):
            assert self._library.rd_kafka_mock_broker_set_down(self._cluster, broker) == 0

    def up(self) -> None:
        for broker in range(1, self._count + 1):
            assert self._library.rd_kafka_mock_broker_set_up(self._cluster, broker) == 0

    def slow(self, milliseconds: int) -> None:
        """Answer everything so much later."""
        for broker in range(1, self._count + 1):
            set_rtt = self._library.rd_kafka_mock_broker_set_rtt
            assert set_rtt(self._cluster, broker, milliseconds) == 0
