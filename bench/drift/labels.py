"""`python -m bench.drift.labels`: how often intervals and looks at labels are right; their cost.

Seeded; about two minutes of one core. The tables of docs/performance.md are its output.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gateway.drift.error_streams import ErrorStream, StreamTest
from gateway.drift.performance import Figure, of_classes, of_numbers, of_probabilities
from gateway.drift.performance_drops import drops
from gateway.drift.performance_estimates import Calibration, estimated

RUNS = 400
SIZES = (200, 1000)
LARGE = 1_000_000
Floats = NDArray[np.float64]
Sample = Callable[[np.random.Generator, int], list[Figure]]


def scored(rng: np.random.Generator, n: int) -> list[Figure]:
    """Scores a little too high, four in ten positive."""
    scores = rng.beta(2, 2, n)
    return of_probabilities(scores, rng.random(n) < scores**1.3)


def rare(rng: np.random.Generator, n: int) -> list[Figure]:
    """Right probabilities, one in ten positive."""
    scores = rng.beta(0.8, 7.2, n)
    return of_probabilities(scores, rng.random(n) < scores, 0.25)


def named(rng: np.random.Generator, n: int) -> list[Figure]:
    """Three classes of unequal size."""
    chances = np.array([0.4, 0.05, 0.02, 0.05, 0.2, 0.03, 0.05, 0.1, 0.1])
    cells = rng.choice(9, n, p=chances)
    return of_classes(cells % 3, cells // 3, 3, 2)


def numbered(rng: np.random.Generator, n: int) -> list[Figure]:
    """Errors with heavy tails: Laplace's."""
    return of_numbers(rng.laplace(0.2, 1.0, n), np.zeros(n))


SAMPLES: dict[str, Sample] = {
    "probability, 43 % positive": scored,
    "probability, 10 % positive": rare,
    "three classes": named,
    "number, heavy tails": numbered,
}


def coverage() -> Iterator[tuple[str, ...]]:
    """Of each figure: how often its interval holds the truth."""
    for title, sample in SAMPLES.items():
        truth = {one.name: one.value for one in sample(np.random.default_rng(9), LARGE)}
        hits: dict[int, Counter[str]] = {}
        for n in SIZES:
            hits[n] = Counter()
            for seed in range(RUNS):
                for one in sample(np.random.default_rng(seed), n):
                    hits[n][one.name] += one.low <= truth[one.name] <= one.high
        for name in truth:
            yield title, name, *(f"{hits[n][name] / RUNS:.3f}" for n in SIZES)


def estimates() -> Iterator[tuple[str, ...]]:
    """How often an estimate holds the figure that came, while inputs drift."""
    for title, power in (("scores are probabilities", 1.0), ("scores are too high", 1.6)):
        hits: Counter[str] = Counter()
        for seed in range(RUNS):
            rng = np.random.default_rng(seed)
            scores = rng.beta(1.2, 2.5, 5000)
            known = Calibration.fitted(scores, rng.random(5000) < scores**power)
            assert known is not None
            now = rng.beta(2.5, 2.0, 1000)
            came = of_probabilities(now, rng.random(1000) < now**power)
            values = {one.name: one.value for one in came}
            for one in estimated(now, known):
                hits[one.name] += one.low <= values[one.name] <= one.high
        for name, count in hits.items():
            yield title, name, f"{count / RUNS:.3f}"


def false_drops() -> Iterator[tuple[str, ...]]:
    """How often two samples of one kind are told apart at 5 % over all their figures."""
    for title, sample in SAMPLES.items():
        for n in SIZES:
            wrong = 0
            for seed in range(RUNS):
                rng = np.random.default_rng(seed)
                then, now = sample(rng, 5000), sample(rng, n)
                wrong += any(one.is_significant for one in drops(then, now, 0.05))
            yield title, str(n), f"{wrong / RUNS:.3f}"


def streams() -> Iterator[tuple[str, ...]]:
    """False alarms in 10,000 errors, where one in so many is asked for; errors until a rise."""
    tests: tuple[StreamTest, ...] = ("adwin", "page_hinkley")
    for test in tests:
        for run in (10_000, 100_000):
            runs, wrong, delays = 60, 0, []
            for seed in range(runs):
                rng = np.random.default_rng(seed)
                wrong += _first(test, run, (rng.random(10_000) < 0.1).astype(float)) is not None
                rises = np.where(np.arange(6000) < 3000, 0.1, 0.2)
                at = _first(test, run, (rng.random(6000) < rises).astype(float), 3000)
                delays += [at] if at is not None else []
            expected = 1 - np.exp(-10_000 / run)
            median = f"{np.median(delays):.0f}" if delays else "never"
            found = f"{len(delays) / runs:.2f}"
            yield test, f"{run:,}", f"{expected:.2f}", f"{wrong / runs:.2f}", found, median


def _first(test: StreamTest, run: int, errors: Floats, since: int = 0) -> int | None:
    stream = ErrorStream(test, 1.0, run)
    for begin in range(0, errors.size, 50):
        stream.feed(range(begin, begin + 50), errors[begin : begin + 50].tolist(), 0.0)
        if stream.change is not None:
            return begin + 50 - since if begin >= since else None
    return None


def cost() -> Iterator[tuple[str, ...]]:
    """Seconds for 200,000 rows."""
    rng = np.random.default_rng(1)
    scores = rng.beta(2, 2, 200_000)
    truth = rng.random(200_000) < scores
    known = Calibration.fitted(scores[:50_000], truth[:50_000])
    assert known is not None
    calls: dict[str, Callable[[], object]] = {
        "all figures of probabilities": lambda: of_probabilities(scores, truth),
        "what scores mean, learnt of 50,000 rows": lambda: Calibration.fitted(
            scores[:50_000], truth[:50_000]
        ),
        "estimates": lambda: estimated(scores, known),
    }
    for title, call in calls.items():
        begun = time.process_time()
        call()
        yield title, f"{time.process_time() - begun:.2f}"


TABLES: dict[str, tuple[tuple[str, ...], Callable[[], Iterator[tuple[str, ...]]]]] = {
    "Coverage of 95 % intervals": (("rows are", "figure", "of 200", "of 1,000"), coverage),
    "Estimates that hold the figure that came": (("scores", "figure", "share"), estimates),
    "False drops at 5 %": (("rows are", "rows", "share"), false_drops),
    "Streams": (
        ("test", "asked: one in", "expected", "false alarms", "rises found", "after errors"),
        streams,
    ),
    "Cost": (("of 200,000 rows", "s"), cost),
}


def main() -> None:
    for title, (head, rows) in TABLES.items():
        print(f"\n### {title}\n\n| {' | '.join(head)} |\n| {' | '.join('---' for _ in head)} |")
        for row in rows():
            print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
