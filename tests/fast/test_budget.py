import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.budget import RetryBudget

SECOND_NS = 1_000_000_000
START_NS = 1_000_000 * SECOND_NS
SLOTS = 10

Event = tuple[int, bool]  # milliseconds since the last one, whether it is a request


def test_a_share_of_the_requests_may_be_retried() -> None:
    budget = RetryBudget(share=0.2, per_s=0)
    for _ in range(100):
        budget.deposit(START_NS)
    assert budget.balance(START_NS) == 20
    assert sum(budget.withdraw(START_NS) for _ in range(100)) == 20


def test_five_deposits_of_a_fifth_are_one_retry_to_the_last_bit() -> None:
    budget = RetryBudget(share=0.2, per_s=0)
    for _ in range(4):
        budget.deposit(START_NS)
    assert not budget.withdraw(START_NS)
    budget.deposit(START_NS)
    assert budget.withdraw(START_NS)
    assert not budget.withdraw(START_NS)


def test_the_reserve_is_there_without_requests_and_comes_back_with_time() -> None:
    budget = RetryBudget(share=0.2, per_s=3)
    assert sum(budget.withdraw(START_NS) for _ in range(100)) == 30
    assert not budget.withdraw(START_NS + 9 * SECOND_NS)
    assert sum(budget.withdraw(START_NS + 10 * SECOND_NS) for _ in range(100)) == 30


def test_deposits_are_forgotten_after_ten_seconds() -> None:
    budget = RetryBudget(share=1, per_s=0)
    for _ in range(50):
        budget.deposit(START_NS)
    assert budget.balance(START_NS + 9 * SECOND_NS) == 50
    assert budget.balance(START_NS + 10 * SECOND_NS) == 0


def test_it_is_never_below_zero_when_deposits_leave_before_what_they_paid_for() -> None:
    budget = RetryBudget(share=1, per_s=0)
    budget.deposit(START_NS)
    assert budget.withdraw(START_NS + 5 * SECOND_NS)
    assert budget.balance(START_NS + 12 * SECOND_NS) == 0
    budget.deposit(START_NS + 15 * SECOND_NS)
    assert budget.withdraw(START_NS + 15 * SECOND_NS)


def test_no_share_and_no_reserve_allow_nothing() -> None:
    budget = RetryBudget(share=0, per_s=0)
    budget.deposit(START_NS)
    assert not budget.withdraw(START_NS)


@pytest.mark.parametrize("share, per_s", [(-0.1, 0), (0, -1), (float("nan"), 0)])
def test_an_impossible_budget_is_refused(share: float, per_s: float) -> None:
    with pytest.raises(ValueError, match="no budget"):
        RetryBudget(share, per_s)


@given(
    share=st.integers(0, 20).map(lambda tenths: tenths / 10),
    per_s=st.integers(0, 3),
    events=st.lists(st.tuples(st.integers(0, 4000), st.booleans()), max_size=120),
)
def test_as_by_the_list_of_everything_that_happened(
    share: float, per_s: int, events: list[Event]
) -> None:
    """A retry passes when the last ten seconds' share and reserve exceed their retries by one."""
    budget, now_ns = RetryBudget(share, per_s), START_NS
    past: list[tuple[int, float]] = []
    for wait_ms, is_request in events:
        now_ns += wait_ms * 1_000_000
        second = now_ns // SECOND_NS
        if is_request:
            budget.deposit(now_ns)
            past.append((second, share))
            continue
        recent = sum(change for at, change in past if at > second - SLOTS)
        balance = max(per_s * SLOTS + recent, 0)
        assert budget.balance(now_ns) == pytest.approx(balance)
        may = balance >= 1 - 1e-9
        assert budget.withdraw(now_ns) is may
        if may:
            past.append((second, -1.0))
