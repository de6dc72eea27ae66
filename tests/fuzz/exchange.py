"""Any bytes, taken as what clients, backends and time do: tests/support/crowd.py says what holds.

The first three bytes choose the configuration, each three after them one event.
"""

from tests.fuzz.loop import run
from tests.support.crowd import EACH, EVENTS, ROUTES, Crowd, configuration

NAMES = tuple(EVENTS)
STEPS = 400
# One request and its answer; a stream; an upload in two parts; an upgrade.
COME, ASK, GO_ON, DIAL = (NAMES.index(name) for name in ("come", "ask", "go on", "dial"))
SAY, MORE, BACKEND, TIME = (NAMES.index(n) for n in ("say", "say more", "backend", "time"))


def script(*events: tuple[int, int, int]) -> bytes:
    return bytes(byte for event in events for byte in event)


SEEDS = [
    bytes([route, each, 1]) + script(*events)
    for route in range(len(ROUTES))
    for each in range(len(EACH))
    for events in (
        [(COME, 0, 0), (ASK, 0, 0), (DIAL, 0, 1), (SAY, 0, 0), (ASK, 0, 12), (SAY, 0, 0)],
        [(COME, 0, 0), (ASK, 0, 2), (DIAL, 0, 1), (SAY, 0, 4), (MORE, 0, 3), (MORE, 0, 1)],
        [(COME, 0, 0), (ASK, 90, 202), (DIAL, 0, 1), (GO_ON, 0, 255), (SAY, 0, 0)],
        [(COME, 0, 0), (ASK, 0, 13), (DIAL, 0, 1), (BACKEND, 0, 6), (BACKEND, 0, 0)],
    )
]
GADGETS = [bytes([event, a, b]) for event in range(len(NAMES)) for a in (0, 1) for b in range(14)]


def fuzz_one(data: bytes) -> None:
    if len(data) < 3:
        return
    crowd = Crowd(
        configuration(ROUTES[data[0] % len(ROUTES)], EACH[data[1] % len(EACH)]), seed=1 + data[2]
    )
    for at in range(3, min(len(data) - 2, 3 * STEPS), 3):
        crowd.do(NAMES[data[at] % len(NAMES)], data[at + 1], data[at + 2])
    crowd.finish()


if __name__ == "__main__":
    run(fuzz_one, SEEDS, GADGETS)
