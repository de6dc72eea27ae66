"""Reports made up for the tests: round figures, so that medians can be seen by eye."""

from bench.results import (
    ChatSample,
    Errors,
    Kernel,
    Machine,
    MemorySample,
    Question,
    Report,
    Shipping,
    StoreSample,
    StreamSample,
)

MIB = 1024 * 1024


def chat_sample(
    proxy: str,
    user_us: float,
    scenario: str = "chat",
    number: int = 0,
    system_us: float = 10.0,
    shipping: Shipping | None = None,
) -> ChatSample:
    return ChatSample(
        scenario=scenario,
        proxy=proxy,
        round=number,
        seconds=2.0,
        requests=20_000,
        user_us=user_us,
        system_us=system_us,
        p50_us=500.0,
        p99_us=2_000.0,
        p999_us=9_000.0,
        sampled=10,
        errors=Errors(),
        shipping=shipping,
    )


def shipping(each_us: float, shipped: int = 10_000) -> Shipping:
    return Shipping(
        sinks=("store",),
        appended=12_000,
        shipped=shipped,
        dropped=0,
        cpu_us=each_us * shipped,
    )


def stream_sample(
    proxy: str, user_us: float, number: int = 0, first_us: float = 300.0
) -> StreamSample:
    return StreamSample(
        proxy=proxy,
        round=number,
        seconds=5.0,
        streams=400,
        events=40_400,
        user_us=user_us,
        system_us=9.0,
        first_byte_p50_us=first_us,
        first_byte_p99_us=900.0,
        gap_p50_us=4_000.0,
        gap_p99_us=5_000.0,
        gap_max_us=9_000.0,
    )


def memory_sample(proxy: str, kind: str, each_kib: int, stall_us: float = 0.0) -> MemorySample:
    return MemorySample(
        proxy=proxy,
        kind=kind,
        connections=1024,
        before_bytes=30 * MIB,
        after_bytes=(30 + each_kib) * MIB,
        stall_us=stall_us,
    )


def store_sample(records: int = 10_000_000, explain_ms: float = 120.0) -> StoreSample:
    means = {"explain": explain_ms, "search a day, 3 filters, few": 900.0}
    means |= {"search a day, 3 filters with text": 2_000.0, "production at a past time": 400.0}
    return StoreSample(
        records=records,
        line_bytes=14 * 1024 * MIB,
        store_bytes=2 * 1024 * MIB,
        volumes_before=222,
        volumes=7,
        add_s=100.0,
        add_us=12.0,
        join_s=50.0,
        join_us=6.0,
        questions=tuple(
            Question(name=name, times=5, mean_ms=mean, worst_ms=2 * mean)
            for name, mean in means.items()
        ),
    )


def make_report(**parts: object) -> Report:
    fixed: dict[str, object] = {
        "date": "2026-11-21T10:00:00+00:00",
        "commit": "0123456789",
        "modified": False,
        "command": "python -m bench all",
        "rounds": 3,
        "seconds": 5,
        "machine": Machine(
            cpu="A Processor",
            cores=2,
            memory_bytes=8 * 1024 * MIB,
            kernel="6.1",
            governor="performance",
            python="3.11.7",
            stolen_share=0.01,
        ),
        "versions": {"nginx": "1.22"},
    }
    return Report(**(fixed | parts))  # type: ignore[arg-type]


def full_report() -> Report:
    """Every proxy and part, all budgets met."""
    chat = [chat_sample(proxy, us) for proxy, us in (("nginx", 5.0), ("envoy", 25.0))]
    for name, us in GATEWAY_US.items():
        chat.append(chat_sample("gateway", us, name, shipping=shipping(9.0)))
        chat.append(chat_sample("gateway-unrecorded", us - 2.0, name))
    chat += [chat_sample("gateway x2", 6.5, "workers")]
    streams = [stream_sample("nginx", 1.0)]
    for number in range(2):
        first_us = 300.0 + 20 * number
        streams.append(stream_sample("gateway", 2.0, number, first_us + 10))
        streams.append(stream_sample("gateway-unrecorded", 2.0, number, first_us))
    return make_report(
        chat=tuple(chat),
        streams=tuple(streams),
        memory=(
            memory_sample("gateway", "idle", 4),
            memory_sample("gateway", "stream", 12, 9_000.0),
            memory_sample("direct", "stream", 0, 6_000.0),
        ),
        kernels=tuple(Kernel(name, ns) for name, ns in KERNELS.items()),
        store=store_sample(),
    )


GATEWAY_US = {"chat": 6.0, "least_loaded": 7.0, "cheapest": 8.0, "workers": 6.0}
KERNELS = {
    "routes/least_loaded_8": 100.0,
    "routes/cheapest_64": 900.0,
    "histogram/fine_add": 2.0,
    "hashing/bucket_36": 8.0,
    "layers/by_request": 30.0,
    "record/8_candidates": 2_000.0,
    "record/full_payload": 9_000.0,
    "shipper/kafka_backlog": 2_500.0,
}
