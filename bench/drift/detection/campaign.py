"""All seeds of all shifts and streams, ours and the peers'.

The peers' environments are those of `python -m bench.drift --install`; the pictures are
scikit-learn's, which Evidently's environment has, and the generators are river's.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import reduce
from importlib.metadata import version
from itertools import chain
from multiprocessing import get_context
from operator import or_
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from bench import machine
from bench.drift import peers
from bench.drift.detection import digits, findings, sensors, streams, watch
from bench.drift.detection.findings import Cell, Results, Share, Watch
from bench.drift.detection.streams import CHANGE, WARM, Floats, Stream

SEED = 20_261_121
PAIRS = 300  # of samples on which a peer's own rule is asked
WINDOW = 200  # of the peers that look at windows
FEWER = {"river": 8, "evidently": 4, "nannyml": 8}  # slow ones' share of the runs; river: KSWIN
LONGEST_S = 3600.0
PART = 10  # seeds that one process takes at a time


OfPeer = tuple[list[Watch], dict[str, str], list[str]]


class Peers(NamedTuple):
    """What peers say of the streams."""

    watches: tuple[Watch, ...]
    versions: dict[str, str]
    absent: tuple[str, ...]
    checked: dict[str, Share]


class Pairs:
    """Samples on which our reading of Evidently's rule is compared with its own."""

    def __init__(self) -> None:
        self.kept: dict[str, list[object]] = {
            "reference": [],
            "current": [],
            "size": [],
            "said": [],
        }

    def add(self, reference: Floats, current: Floats, size: int, *, said: bool) -> None:
        """One of them."""
        if len(self.kept["size"]) < PAIRS:
            for name, one in zip(self.kept, (reference, current, size, said), strict=True):
                self.kept[name].append(one)


def of_digits(
    images: Floats, labels: digits.Labels, seeds: Iterable[int]
) -> tuple[list[Cell], Pairs]:
    """(what each method finds of each shift, samples to ask a peer about)."""
    counts: dict[tuple[str, str, float, int], list[bool]] = defaultdict(list)
    critical, pairs = sensors.Critical(), Pairs()
    for seed in seeds:
        rng = np.random.default_rng([SEED, seed])
        split = digits.split(rng, images, labels)
        by = sensors.sensors(rng, split, critical)
        for number, sample in enumerate(digits.samples(rng, split)):
            for method, size, is_drift in sensors.told(by, sample):
                counts[method, sample.shift, sample.share, size].append(is_drift)
                # Why one in so many: of all sizes and shifts.
                if method == "Evidently, probabilities" and (seed + number) % 7 == 0:
                    reference = split.model.probabilities(split.reference)
                    current = split.model.probabilities(sample.images)
                    pairs.add(reference, current, size, said=is_drift)
    cells = [
        Cell(
            method=method,
            is_ours=method.startswith(sensors.OURS),
            shift=shift,
            share=share,
            size=size,
            told=Share(sum(told), len(told)),
        )
        for (method, shift, share, size), told in counts.items()
    ]
    return cells, pairs


def added(parts: Iterable[Iterable[Cell]]) -> tuple[Cell, ...]:
    """Of some seeds each, as one."""
    whole: dict[tuple[str, str, float, int], Cell] = {}
    for one in (cell for part in parts for cell in part):
        key = one.method, one.shift, one.share, one.size
        before = whole.get(key)
        if before is not None:
            both = findings.summed([before, one])
            whole[key] = msgspec.structs.replace(one, told=both)
        else:
            whole[key] = one
    return tuple(whole.values())


def of_stream(name: str, watched: str, runs: Floats) -> Watch:
    """Ours on the runs of a stream."""
    first = [_firsts(watch.alarms(values)) for values in runs]
    return watch_of(name, watched, "gateway", first, is_ours=True)


def runs_of(stream: Stream, seeds: int) -> Floats:
    """A stream as each seed has it."""
    names = stream.name.encode()
    return np.array(
        [stream.draw(np.random.default_rng([SEED, seed, *names])) for seed in range(seeds)]
    )


def _firsts(alarms: Iterable[int]) -> tuple[int, int]:
    """Before the change, and after it; looks behind that are not made."""
    before = 0
    for at in alarms:
        if at > CHANGE:
            return before, at
        before = before or at
    return before, 0


def watch_of(
    stream: str,
    watched: str,
    system: str,
    first: Sequence[Sequence[int]],
    *,
    is_ours: bool = False,
) -> Watch:
    """Of the first alarms before and after the change, 0 for never."""
    late = [after - CHANGE if after else np.inf for _, after in first]
    median, p90 = (float(np.quantile(late, q, method="higher")) for q in (0.5, 0.9))
    return Watch(
        stream=stream,
        watched=watched,
        system=system,
        is_ours=is_ours,
        false=Share(sum(before > 0 for before, _ in first), len(first)),
        told=Share(sum(after > 0 for _, after in first), len(first)),
        median=median if np.isfinite(median) else None,
        p90=p90 if np.isfinite(p90) else None,
    )


def made(library: str, script: str, file: Path) -> dict[str, Floats]:
    """The arrays that a script of a peer's environment keeps in a file."""
    peers.said(_library(library), script, str(file))
    with np.load(file) as found:
        return {name: found[name] for name in found.files}


def _library(name: str) -> peers.Library:
    return next(one for one in peers.LIBRARIES if one.name == name)


def of_peer(name: str, file: Path, seeds: int) -> OfPeer:
    """(its on the same runs, its version, a sentence where it is not here)."""
    arguments = [str(file), str(WARM), str(CHANGE), *([] if name == "river" else [str(WINDOW)])]
    arguments.append(str(max(seeds // FEWER[name], 1)))
    try:
        said = peers.said(_library(name), f"{name}_alarms.py", *arguments, longest_s=LONGEST_S)
    except RuntimeError as error:
        return [], {}, [str(error)]
    found = [watch_of(one["stream"], "", one["system"], one["alarms"]) for one in said[1:]]
    return found, {name: said[0]["version"]}, []


def agreement(pairs: Pairs, file: Path) -> Share:
    """How often Evidently says of a pair what we say it says."""
    np.savez(file, **{name: np.array(kept) for name, kept in pairs.kept.items()})  # type: ignore[arg-type]
    said = peers.said(_library("evidently"), "evidently_alarms.py", str(file))
    return Share(said[1]["agreed"], said[1]["of"])


def others_of(
    file: Path, pairs: Pairs, kept: Results | None, asked: Sequence[Future[OfPeer]]
) -> Peers:
    """What peers say: of runs that are asked now, or of a run that was kept."""
    if kept is not None:
        return Peers(
            tuple(one for one in kept.streams if not one.is_ours),
            {name: kept.versions[name] for name in FEWER if name in kept.versions},
            kept.absent,
            kept.checked,
        )
    watches, versions, absent = zip(*(one.result() for one in asked), strict=True)
    return Peers(
        tuple(chain.from_iterable(watches)),
        reduce(or_, versions),
        tuple(chain.from_iterable(absent)),
        {"Evidently": agreement(pairs, file)},
    )


def results_of(seeds: int, jobs: int, kept: Results | None = None) -> Results:
    """All parts; the peers' at the same time as ours, or as they were in a kept run.

    The streams are the same in every run of as many seeds, and so is what peers say of them.
    """
    if kept is not None and kept.seeds != seeds:
        raise ValueError(f"the kept run is of {kept.seeds} seeds, not of {seeds}")
    # Why: products of small matrices by threads that wait for each other take twenty times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as name,
        ThreadPoolExecutor(len(FEWER)) as beside,
        # Why spawned: a fork would keep the peers' pipes open, which then never end.
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as ours,
    ):
        folder = Path(name)
        pictures = made("evidently", "digits_rows.py", folder / "digits.npz")
        images, labels = pictures["images"], pictures["labels"].astype(np.intp)
        concepts = streams.concepts(made("river", "river_streams.py", folder / "concepts.npz"))
        runs = {one.name: runs_of(one, seeds) for one in streams.all_of(concepts)}
        file = folder / "runs.npz"
        np.savez(file, **runs)  # type: ignore[arg-type]
        theirs = [beside.submit(of_peer, name, file, seeds) for name in FEWER if kept is None]
        parts = [range(at, min(at + PART, seeds)) for at in range(0, seeds, PART)]
        asked = [ours.submit(of_digits, images, labels, part) for part in parts]
        watched = [
            ours.submit(of_stream, one.name, one.watched, runs[one.name])
            for one in streams.all_of(concepts)
        ]
        cells, pairs = zip(*(one.result() for one in asked), strict=True)
        found = [one.result() for one in watched]
        print(f"ours: {time.monotonic() - began:.0f} s", flush=True)
        others = others_of(folder / "pairs.npz", pairs[0], kept, theirs)
    return Results(
        date=machine.today(),
        commit=machine.commit(),
        modified=machine.is_modified(),
        seeds=seeds,
        seconds=round(time.monotonic() - began, 1),
        versions={name: version(name) for name in ("numpy", "scipy")} | others.versions,
        digits=added(cells),
        streams=(*found, *others.watches),
        checked=others.checked,
        absent=others.absent,
        peers_of=(kept.peers_of or kept.commit) if kept else "",
    )
