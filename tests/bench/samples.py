"""Reports made up for the tests: round figures, so that medians can be seen by eye."""

from bench.results import (
    ChatSample,
    Errors,
    Kernel,
    Machine,
    MemorySample,
    Report,
    StreamSample,
)

MIB = 1024 * 1024


def chat_sample(
    proxy: str, user_us: float, scenario: str = "chat", number: int = 0, system_us: float = 10.0
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
    )


def stream_sample(proxy: str, user_us: float, number: int = 0) -> StreamSample:
    return StreamSample(
        proxy=proxy,
        round=number,
        seconds=5.0,
        streams=400,
        events=40_400,
        user_us=user_us,
        system_us=9.0,
        first_byte_p50_us=300.0,
        first_byte_p99_us=900.0,
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
    chat += [chat_sample("gateway", us, name) for name, us in GATEWAY_US.items()]
    chat += [chat_sample("gateway x2", 6.5, "workers")]
    return make_report(
        chat=tuple(chat),
        streams=(stream_sample("nginx", 1.0), stream_sample("gateway", 2.0)),
        memory=(
            memory_sample("gateway", "idle", 4),
            memory_sample("gateway", "stream", 12, 9_000.0),
            memory_sample("direct", "stream", 0, 6_000.0),
        ),
        kernels=tuple(Kernel(name, ns) for name, ns in KERNELS.items()),
    )


GATEWAY_US = {"chat": 6.0, "least_loaded": 7.0, "cheapest": 8.0, "workers": 6.0}
KERNELS = {
    "routes/least_loaded_8": 100.0,
    "routes/cheapest_64": 900.0,
    "histogram/fine_add": 2.0,
    "hashing/bucket_36": 8.0,
}
