"""What a benchmark run leaves behind: one JSON file of samples, never of summaries.

Medians and ratios are computed from the samples whenever a table is drawn, so a table
can always be drawn anew, and differently, from an old file.

Rule 1: times are microseconds, sizes bytes, and their names say so.
Rule 2: a sample is one proxy in one scenario in one round.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

SCHEMA = 1
FOLDER = Path(__file__).with_name("results")


class Errors(Struct, frozen=True):
    """Requests that went wrong, by how."""

    connect: int = 0
    read: int = 0
    write: int = 0
    timeout: int = 0
    status: int = 0  # answers outside 2xx and 3xx
    unequal: int = 0  # sampled answers that differ from the backend's

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, name) for name in self.__struct_fields__)


class Shipping(Struct, frozen=True, kw_only=True):
    """What the process that ships the prediction log did for one turn, warm-up and all."""

    sinks: tuple[str, ...]
    appended: int  # records
    shipped: int  # to every sink; whole segments of them
    dropped: int
    cpu_us: float  # altogether
    unsettled: bool = False  # it was still at work when nobody waited any longer

    @property
    def each_us(self) -> float:
        """CPU time per record; 0 when none was shipped."""
        return self.cpu_us / self.shipped if self.shipped else 0.0


class ChatSample(Struct, frozen=True, kw_only=True):
    """Requests answered whole: CPU time is of the processes that carry traffic."""

    scenario: str
    proxy: str
    round: int
    seconds: float
    requests: int
    user_us: float  # per request
    system_us: float  # per request
    control_us: float = 0.0  # per request, the proxy's other processes
    shipper_us: float = 0.0  # per request, what ships the prediction log, as far as it got
    p50_us: float
    p99_us: float
    p999_us: float
    sampled: int = 0  # answers compared with the backend's
    errors: Errors = Errors()
    shipping: Shipping | None = None  # nothing was recorded

    @property
    def cpu_us(self) -> float:
        """User and system time per request."""
        return self.user_us + self.system_us

    @property
    def requests_per_s(self) -> float:
        """Throughput."""
        return self.requests / self.seconds


class StreamSample(Struct, frozen=True, kw_only=True):
    """Streams relayed: CPU time is per event that the origin sent."""

    proxy: str
    round: int
    seconds: float
    streams: int
    events: int
    user_us: float  # per event
    system_us: float  # per event
    control_us: float = 0.0
    shipper_us: float = 0.0
    first_byte_p50_us: float
    first_byte_p99_us: float
    gap_p50_us: float = 0.0  # 0: an old result without it
    gap_p99_us: float
    gap_max_us: float
    broken: int = 0  # streams without their proper end, or with too few events

    @property
    def cpu_us(self) -> float:
        """User and system time per event."""
        return self.user_us + self.system_us


class MemorySample(Struct, frozen=True, kw_only=True):
    """Resident memory of the processes that carry traffic, with and without connections."""

    proxy: str
    kind: str  # "idle": kept-alive connections that served one request; "stream": open streams
    connections: int
    before_bytes: int
    after_bytes: int
    user_us: float = 0.0  # per event; streams alone
    system_us: float = 0.0
    stall_us: float = 0.0  # largest gap on a stream that sends every 4 ms; streams alone
    broken: int = 0

    @property
    def bytes_each(self) -> float:
        """Growth per connection."""
        return (self.after_bytes - self.before_bytes) / self.connections if self.connections else 0


class Kernel(Struct, frozen=True):
    """One micro-benchmark's figure."""

    name: str
    ns: float


class Question(Struct, frozen=True, kw_only=True):
    """One kind of question to the local store, asked several times for something else."""

    name: str
    times: int
    mean_ms: float
    worst_ms: float


class StoreSample(Struct, frozen=True, kw_only=True):
    """The local store with so many records in it."""

    records: int
    line_bytes: int  # of all lines
    store_bytes: int  # of them in the store, joined
    volumes_before: int  # as they were added
    volumes: int  # joined
    add_s: float
    add_us: float  # CPU time per record
    join_s: float
    join_us: float
    questions: tuple[Question, ...]


class Machine(Struct, frozen=True, kw_only=True):
    """Where it ran."""

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    governor: str
    python: str
    disk: str = ""  # file system that the gateway's state was on
    stolen_share: float = 0.0  # CPU time the host took away during the run


class Report(Struct, frozen=True, kw_only=True):
    """One run of the benchmark."""

    schema: int = SCHEMA
    date: str
    commit: str
    modified: bool  # the tree held changes that the commit does not
    command: str
    rounds: int
    seconds: int
    machine: Machine
    versions: dict[str, str]
    skipped: dict[str, str] = {}  # what was not measured, and why
    chat: tuple[ChatSample, ...] = ()
    streams: tuple[StreamSample, ...] = ()
    memory: tuple[MemorySample, ...] = ()
    kernels: tuple[Kernel, ...] = ()
    store: StoreSample | None = None


def encode(report: Report) -> bytes:
    """Indented JSON with a newline at its end, so that a diff can be read."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def decode(text: bytes) -> Report:
    """The report; raises ValueError on another schema."""
    report = msgspec.json.decode(text, type=Report)
    if report.schema != SCHEMA:
        raise ValueError(f"results of schema {report.schema}; this reads schema {SCHEMA}")
    return report


def path_of(report: Report, folder: Path = FOLDER) -> Path:
    """Where the report belongs: `<date>-<commit>.json`."""
    return folder / f"{report.date[:10]}-{report.commit}.json"


def save(report: Report, folder: Path = FOLDER) -> Path:
    """Writes the report and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(report, folder)
    path.write_bytes(encode(report))
    return path


def load(path: Path) -> Report:
    """The report of a file."""
    return decode(path.read_bytes())
