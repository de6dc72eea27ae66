"""The chat scenarios: answers that come whole, asked for in a closed loop.

Each scenario is a request body, a number of connections and the proxies it makes sense
for. Within a round the proxies take turns; the next round begins with another of them.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from bench.load import answers, bodies, wrk
from bench.load.meter import Meter
from bench.load.rig import Rig, Running
from bench.load.shipper import Shipper
from bench.results import ChatSample


class Scenario(Struct, frozen=True, kw_only=True):
    """One way to ask."""

    name: str
    title: str
    model: str = "chat"
    length: int = bodies.CHAT_REQUEST_BYTES
    connections: int = 32
    threads: int = 1
    gateway_only: bool = False
    budgeted: bool = False  # a budget needs it, so it runs in every round


SCENARIOS = (
    Scenario(name="chat", title="32 connections, one candidate", budgeted=True),
    Scenario(
        name="least_loaded",
        title="32 connections, 8 candidates, least_loaded",
        model="chat-least-loaded",
        gateway_only=True,
        budgeted=True,
    ),
    Scenario(
        name="cheapest",
        title="32 connections, 8 candidates, cheapest",
        model="chat-cheapest",
        gateway_only=True,
        budgeted=True,
    ),
    Scenario(name="alone", title="1 connection", connections=1),
    Scenario(name="prompt_10k", title="32 connections, 10 KB prompts", length=10_240),
    Scenario(name="prompt_100k", title="32 connections, 100 KB prompts", length=102_400),
)
WORKERS = Scenario(
    name="workers",
    title="64 connections, one worker and two",
    connections=64,
    gateway_only=True,
)
WARM_UP_S = 1


class Turn(Struct, frozen=True):
    """One proxy in one scenario in one round; no proxy is the rig alone."""

    scenario: Scenario
    running: Running | None
    round: int

    @property
    def proxy(self) -> str:
        """The name in the sample."""
        return self.running.name if self.running else "direct"


def turns(
    scenario: Scenario, proxies: Sequence[Running | None], round_number: int
) -> Iterator[Turn]:
    """The round's turns, begun with another proxy each round."""
    fit = [each for each in proxies if not scenario.gateway_only or is_gateway(each)]
    for step in range(len(fit)):
        yield Turn(scenario, fit[(step + round_number) % len(fit)], round_number)


def is_gateway(running: Running | None) -> bool:
    """Whether this is the proxy the benchmark is about, with whatever settings."""
    return running is not None and running.peer.is_gateway


def measure(rig: Rig, turn: Turn, seconds: int) -> ChatSample:
    """Warms up, then runs and accounts for the run; what is recorded is shipped afterwards."""
    port = turn.running.port if turn.running else rig.backends[0]
    body = bodies.chat_request(turn.scenario.model, turn.scenario.length)
    load = wrk.Load(
        url=f"http://127.0.0.1:{port}{answers.PATH}",
        body=rig.body_file(body),
        seconds=seconds,
        connections=turn.scenario.connections,
        threads=turn.scenario.threads,
    )
    shipper = Shipper(turn.running)
    wrk.run(replace(load, seconds=WARM_UP_S))
    rewritten = turn.running is not None and turn.running.peer.rewrites
    meter = Meter(turn.running)
    with answers.sampled(answers.Ask(port, body, rewritten)) as tally:
        outcome = wrk.run(load)
    spent, shipping = meter.spent(), shipper.shipping()
    return ChatSample(
        scenario=turn.scenario.name,
        proxy=turn.proxy,
        round=turn.round,
        seconds=outcome.seconds,
        requests=outcome.requests,
        p50_us=outcome.p50_us,
        p99_us=outcome.p99_us,
        p999_us=outcome.p999_us,
        sampled=tally.asked,
        errors=replace(outcome.errors, unequal=tally.unequal),
        shipping=shipping,
        **spent.per(max(1, outcome.requests + tally.asked)),
    )
