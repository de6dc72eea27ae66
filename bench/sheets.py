"""The tables of a report, for the terminal and for README.md alike."""

from collections.abc import Iterator

from bench.load import chat
from bench.load.figures import median
from bench.load.peers import PEERS
from bench.results import ChatSample, MemorySample, Report, StreamSample
from bench.summary import (
    UNRECORDED,
    YARDSTICK,
    Table,
    added_us,
    chat_of,
    chat_ratio,
    memory_of,
    middle,
    proxies_in,
    stream_effects,
    stream_ratio,
    streams_of,
    times,
)

CHAT_HEADER = (
    *("proxy", "CPU us/request", "user", "system", "x nginx"),
    *("requests/s", "p50 ms", "p99 ms", "p99.9 ms", "errors", "answers compared"),
)
FRONT_HEADER = ("proxy", "CPU us/request", "x nginx", "requests/s", "p50 ms", "p99 ms")
STREAM_HEADER = (
    *("proxy", "CPU us/event", "user", "system", "x nginx", "streams/s"),
    *("first byte p50 ms", "p99 ms", "gap p99 ms", "largest gap ms", "broken"),
)
MEMORY_HEADER = ("proxy", "connections", "KiB each", "MiB before", "MiB with", "broken")
HELD_HEADER = (
    *MEMORY_HEADER,
    "CPU us/event",
    "largest stall ms",
    "beyond the rig's own ms",
)
LOG_HEADER = (
    *("proxy", "scenario", "CPU us/request", "without the log", "added"),
    *("requests/s", "without the log", "shipper us/record"),
    *("records", "shipped", "dropped"),
)
COUNTS = ("appended", "shipped", "dropped")
EFFECT_HEADER = ("time", "log on ms", "log off ms", "added us", "rounds differ by us", "verdict")
STORE_HEADER = ("what", "records", "GiB", "volumes", "records/s", "CPU us/record")
MIB = 1024 * 1024


def tables(report: Report) -> list[Table]:
    """Every table that has a row."""
    found = [
        *chat_tables(report),
        stream_table(report),
        log_table(report),
        effect_table(report),
        idle_table(report),
        held_table(report),
    ]
    found += [latency_table(report), other_processes(report), kernel_table(report)]
    found += [store_table(report), question_table(report)]
    return [table for table in found if table.rows]


def chat_tables(report: Report) -> Iterator[Table]:
    """One table a chat scenario; routes over eight candidates stand beside the first."""
    yield chat_table(report, "Chat, 32 connections", ("chat", "least_loaded", "cheapest"))
    for scenario in (*chat.SCENARIOS[3:], chat.WORKERS):
        yield chat_table(report, f"Chat, {scenario.title}", (scenario.name,))


def front_table(report: Report) -> Table:
    """The first chat table, as far as it belongs on the front page of the project."""
    whole = chat_table(report, "Chat, 32 connections", ("chat", "least_loaded"))
    places = [whole.header.index(name) for name in FRONT_HEADER]
    rows = [row for row in whole.rows if row[0] != "direct"]
    return Table(
        whole.title, FRONT_HEADER, tuple(tuple(row[place] for place in places) for row in rows)
    )


def chat_table(report: Report, title: str, scenarios: tuple[str, ...]) -> Table:
    """Medians of one proxy a row; ratios are to nginx in the first of the scenarios."""
    rows = []
    for scenario in scenarios:
        for proxy in proxies_in(each for each in report.chat if each.scenario == scenario):
            samples = chat_of(report, scenario, proxy)
            compared = chat_ratio(report, proxy, scenario, (YARDSTICK, scenarios[0]))
            name = proxy if scenario == scenarios[0] else f"{proxy}, 8 candidates, {scenario}"
            rows.append((name, *chat_cells(samples, compared)))
    return Table(title, CHAT_HEADER, tuple(rows))


def chat_cells(samples: list[ChatSample], compared: float | None) -> tuple[str, ...]:
    """One row but for its name; the rig alone has no CPU time of a proxy."""
    cpu = tuple(f"{middle(samples, name):.1f}" for name in ("cpu_us", "user_us", "system_us"))
    if samples[0].proxy == "direct":
        cpu = ("", "", "")
    percentiles = (f"{middle(samples, f'p{p}_us') / 1e3:.2f}" for p in ("50", "99", "999"))
    return (
        *cpu,
        times(compared) if samples[0].proxy != "direct" else "",
        f"{middle(samples, 'requests_per_s'):,.0f}",
        *percentiles,
        str(sum(each.errors.total for each in samples)),
        str(sum(each.sampled for each in samples)),
    )


def stream_table(report: Report) -> Table:
    """Medians of one proxy a row."""
    rows = []
    for proxy in proxies_in(report.streams):
        samples = streams_of(report, proxy)
        rows.append((proxy, *stream_cells(samples, stream_ratio(report, proxy))))
    return Table("Streams: 32 at a time, 100 events, one every 4 ms", STREAM_HEADER, tuple(rows))


def stream_cells(samples: list[StreamSample], compared: float | None) -> tuple[str, ...]:
    """One row but for its name."""
    cpu = tuple(f"{middle(samples, name):.1f}" for name in ("cpu_us", "user_us", "system_us"))
    if samples[0].proxy == "direct":
        cpu, compared = ("", "", ""), None
    gaps = ("first_byte_p50_us", "first_byte_p99_us", "gap_p99_us", "gap_max_us")
    return (
        *cpu,
        times(compared),
        f"{sum(each.streams for each in samples) / sum(each.seconds for each in samples):.0f}",
        *(f"{middle(samples, name) / 1e3:.2f}" for name in gaps),
        str(sum(each.broken for each in samples)),
    )


def log_table(report: Report) -> Table:
    """What recording costs: the gateway beside itself without the log, in the same rounds."""
    kinds = [name for name, peer in PEERS.items() if peer.is_gateway and name != UNRECORDED]
    rows = []
    for proxy in kinds:
        for scenario in dict.fromkeys(each.scenario for each in report.chat):
            added = added_us(report, scenario, proxy)
            if added is not None:
                rows.append((proxy, scenario, *log_cells(report, scenario, proxy, added)))
    return Table("What the log costs", LOG_HEADER, tuple(rows))


def log_cells(report: Report, scenario: str, proxy: str, added: float) -> tuple[str, ...]:
    """One row but for its names."""
    on, off = (chat_of(report, scenario, name) for name in (proxy, UNRECORDED))
    logs = [each.shipping for each in on if each.shipping]
    costs = [each.each_us for each in logs if each.shipped]
    return (
        f"{middle(on, 'cpu_us'):.2f}",
        f"{middle(off, 'cpu_us'):.2f}",
        f"{added:+.2f}",
        f"{middle(on, 'requests_per_s'):,.0f}",
        f"{middle(off, 'requests_per_s'):,.0f}",
        f"{median(costs):.2f}" if costs else "",
        *(f"{sum(getattr(each, name) for each in logs):,}" for name in COUNTS),
    )


def effect_table(report: Report) -> Table:
    """Times of streams with the log on and off."""
    rows = []
    for each in stream_effects(report):
        noise, share = each.noise_us, each.share_of_noise
        verdict = "" if share is None else "within noise" if share <= 1 else "beyond noise"
        rows.append(
            (
                each.name,
                *(f"{value / 1e3:.3f}" for value in (each.on_us, each.off_us)),
                f"{each.added_us:+.0f}",
                "" if noise is None else f"{noise:.0f}",
                verdict,
            )
        )
    return Table("Streams with the log on and off", EFFECT_HEADER, tuple(rows))


def memory_cells(sample: MemorySample) -> tuple[str, ...]:
    """What both tables of memory begin with."""
    return (
        sample.proxy,
        f"{sample.connections:,}",
        f"{sample.bytes_each / 1024:.1f}",
        f"{sample.before_bytes / MIB:.0f}",
        f"{sample.after_bytes / MIB:.0f}",
        str(sample.broken),
    )


def idle_table(report: Report) -> Table:
    """Idle connections."""
    found = (memory_of(report, "idle", proxy) for proxy in proxies_in(report.memory))
    rows = tuple(memory_cells(sample) for samples in found for sample in samples)
    return Table("Memory of idle connections, each after one request", MEMORY_HEADER, rows)


def held_table(report: Report) -> Table:
    """Open streams, with the stalls seen while they ran."""
    rows = []
    own = max((each.stall_us for each in memory_of(report, "stream", "direct")), default=0.0)
    for proxy in proxies_in(report.memory):
        for sample in memory_of(report, "stream", proxy):
            beyond = "" if proxy == "direct" else f"{max(0.0, sample.stall_us - own) / 1e3:.1f}"
            cpu = "" if proxy == "direct" else f"{sample.user_us + sample.system_us:.1f}"
            stall = f"{sample.stall_us / 1e3:.1f}"
            cells = memory_cells(sample)
            if proxy == "direct":
                cells = (*cells[:2], "", "", "", cells[5])
            rows.append((*cells, cpu, stall, beyond))
    return Table("Open streams, one event a second each", HELD_HEADER, tuple(rows))


def latency_table(report: Report) -> Table:
    """What a proxy adds to one connection's requests, against the backend alone."""
    direct = chat_of(report, "alone", "direct")
    rows = []
    for proxy in proxies_in(each for each in report.chat if each.scenario == "alone"):
        if proxy != "direct" and direct:
            samples = chat_of(report, "alone", proxy)
            added = (
                f"{middle(samples, name) - middle(direct, name):.0f}"
                for name in ("p50_us", "p99_us", "p999_us")
            )
            rows.append((proxy, *added))
    header = ("proxy", "added p50 us", "added p99 us", "added p99.9 us")
    return Table("Added latency, 1 connection", header, tuple(rows))


def other_processes(report: Report) -> Table:
    """What processes that carry no traffic used meanwhile."""
    rows = []
    for scenario in dict.fromkeys(each.scenario for each in report.chat):
        for proxy in proxies_in(each for each in report.chat if each.scenario == scenario):
            samples = chat_of(report, scenario, proxy)
            used = [middle(samples, name) for name in ("control_us", "shipper_us")]
            if any(used):
                rows.append((proxy, scenario, *(f"{each:.2f}" if each else "" for each in used)))
    header = ("proxy", "scenario", "CPU us/request", "shipper meanwhile")
    return Table("Processes beside the workers", header, tuple(rows))


def kernel_table(report: Report) -> Table:
    """The micro-benchmarks."""
    rows = tuple((each.name, f"{each.ns:,.1f}") for each in report.kernels)
    return Table("Kernels", ("kernel", "ns"), rows)


def store_table(report: Report) -> Table:
    """What it takes to bring records into the local store, and what they take there."""
    rows: list[tuple[str, ...]] = []
    if (store := report.store) is not None:
        for what, volumes, size, seconds, each_us in (
            ("added", store.volumes_before, store.line_bytes, store.add_s, store.add_us),
            ("joined", store.volumes, store.store_bytes, store.join_s, store.join_us),
        ):
            rate = f"{store.records / seconds:,.0f}" if seconds else ""
            gib = f"{size / 2**30:.2f}"
            rows.append((what, f"{store.records:,}", gib, str(volumes), rate, f"{each_us:.1f}"))
    return Table("Local store", STORE_HEADER, tuple(rows))


def question_table(report: Report) -> Table:
    """How long answers take."""
    asked = report.store.questions if report.store else ()
    rows = tuple(
        (each.name, str(each.times), f"{each.mean_ms:,.1f}", f"{each.worst_ms:,.1f}")
        for each in asked
    )
    return Table("Questions to the local store", ("question", "times", "mean ms", "worst ms"), rows)
