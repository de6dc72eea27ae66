"""Every event in every order that a network can make up; tests/support/crowd.py is the oracle.

The phases one by one are in the files beside this one.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.crowd import EACH, EVENTS, ROUTES, Crowd, configuration
from tests.support.stage import Settings

numbers = st.integers(0, 255)
steps = st.lists(st.tuples(st.sampled_from(list(EVENTS)), numbers, numbers), max_size=80)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ROUTES), st.sampled_from(EACH), st.integers(1, 99), steps)
def test_any_order_of_events_ends_well(
    route: Settings, each: Settings, seed: int, events: list[tuple[str, int, int]]
) -> None:
    crowd = Crowd(configuration(route, each), seed=seed)
    crowd.do("come")
    crowd.do("ask")
    for event, a, b in events:
        crowd.do(event, a, b)
    crowd.finish()
