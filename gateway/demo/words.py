"""Figures and states as the terminal shows them."""

from __future__ import annotations

from gateway.demo.figures import Backend, Status
from gateway.demo.models import DEAREST, MODELS
from gateway.demo.stage import Place

NONE = "-"
MILLION = 1e6
STATES = {"open": "breaker open", "cooling_down": "cooling down", "warming_up": "warming up"}
_BODY = '{"model":"chat","messages":[{"role":"user","content":"Hello"}]}'


def state_words(backend: Backend) -> str:
    now = backend.now
    words = STATES.get(now.state, now.state)
    return f"{words} {now.cooldown_s:.1f}s" if now.cooldown_s > 0 else words


def share(part: float | None) -> str:
    return NONE if part is None else f"{100 * part:.0f}%"


def ms(value_s: float | None) -> str:
    if value_s is None:
        return NONE
    return f"{value_s * 1000:.0f} ms" if value_s < 1 else f"{value_s:.2f} s"


def usd(value: float) -> str:
    return f"${value:.4f}" if value < 1 else f"${value:.2f}"


def curl(place: Place, width: int) -> str:
    """A command to try, over two lines where one is too long."""
    url = f"{place.data_url}/v1/chat/completions"
    line = f"curl {url} --json '{_BODY}'"
    return line if len(line) <= width else f"curl {url} --json \\\n '{_BODY}'"


def dearest_usd(status: Status) -> float:
    """What the same tokens cost at the dearest model's price, with the predictions' own."""
    speaking = {model.name for model in MODELS if model.output_usd}
    total = 0.0
    for backend in status.backends:
        totals = backend.totals
        if backend.name in speaking:
            total += totals.input_tokens * DEAREST.input_usd / MILLION
            total += totals.output_tokens * DEAREST.output_usd / MILLION
        else:
            total += totals.cost_usd
    return total
