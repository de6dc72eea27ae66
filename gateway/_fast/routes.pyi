from collections.abc import Sequence
from typing import Protocol, TypedDict, Unpack, final

from gateway._fast.board import Board
from gateway._fast.breaker import BreakerRules
from gateway._fast.limit import AdaptiveRules

POLICIES: tuple[str, ...]
EXCLUDED: tuple[str, ...]
METRICS: tuple[str, ...]

class Slo(Protocol):
    """An SloPlan, or anything with its attributes."""

    @property
    def metric(self) -> str: ...
    @property
    def quantile(self) -> int: ...
    @property
    def limit_ns(self) -> int: ...

class Facts(Protocol):
    """A BackendPlan, or anything with these of its attributes."""

    @property
    def index(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> int: ...
    @property
    def context_window(self) -> int: ...
    @property
    def max_concurrency(self) -> int: ...
    @property
    def slow_start_ns(self) -> int: ...
    @property
    def input_usd(self) -> float: ...
    @property
    def cached_usd(self) -> float: ...
    @property
    def output_usd(self) -> float: ...
    @property
    def request_usd(self) -> float: ...
    @property
    def quality(self) -> float: ...
    @property
    def breaker(self) -> BreakerRules: ...
    @property
    def adaptive(self) -> AdaptiveRules | None: ...

class RouteFacts(Protocol):
    """A RoutePlan, or anything with these of its attributes."""

    @property
    def candidates(self) -> Sequence[int]: ...
    @property
    def weights(self) -> Sequence[float]: ...
    @property
    def policy(self) -> str: ...
    @property
    def exploration(self) -> float: ...
    @property
    def panic_share(self) -> float: ...
    @property
    def balance(self) -> tuple[float, float, float]: ...
    @property
    def slo(self) -> Slo | None: ...

class Asked(TypedDict, total=False):
    """What a request needs; all but `now_ns` may be left out."""

    now_ns: int
    capabilities: int
    input_bytes: int
    output_tokens: int
    sticky: int
    tried: int
    required: int
    policy: str

class Chosen(TypedDict):
    position: int
    is_exploring: bool
    is_panic: bool
    probability: float
    eligible: int
    available_at_ns: int

class Explained(TypedDict):
    position: int
    backend: str
    excluded: str
    expected_usd: float
    predicted_ns: float
    is_fresh: bool
    load: float
    in_flight: int
    limit: int | None
    weight: float
    score: float
    probability: float
    is_panic: bool

@final
class Candidates:
    def __init__(
        self,
        route: RouteFacts,
        backends: Sequence[Facts],
        board: Board,
        cells: Sequence[int],
        *,
        seed: int = 0,
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    def disable(self, position: int, disabled: bool = True) -> None: ...  # noqa: FBT001, FBT002
    def choose_once(self, **asked: Unpack[Asked]) -> Chosen: ...
    def choose_often(self, times: int, **asked: Unpack[Asked]) -> list[int]: ...
    def explain(self, **asked: Unpack[Asked]) -> list[Explained]: ...
