"""How often drift is found where there is none, and what one outlier does to PSI.

The rows of Evidently, NannyML and whylogs are made by their own code, in their environments
(scripts/NAME_nulls.py), on normal numbers like ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from scipy import stats

from bench import machine
from bench.drift import peers
from bench.drift.detection.findings import FOLDER, Share
from bench.kept import keep
from gateway.drift.alarms import alpha_of
from gateway.drift.battery import Battery
from gateway.profiles.profile import Profile
from gateway.profiles.reference import Reference, from_arrays
from gateway.statistics import distances

REFERENCE = 10_000
SMALL = (10, 20, 50, 100, 200, 500, 2000)
SKETCHED = (2_000, 20_000, 200_000)
HOUR_S = 3600.0
SAMPLES = 50  # drawn against one reference before there is another
PEERS = {  # sizes, and how many of our runs theirs are divided by: they are slow
    "evidently": ((50, 100, 200, 500), 10),
    "nannyml": ((50, 100, 200, 500), 1),
    "whylogs": (SKETCHED, 30),
}
NAMES = {"evidently": "Evidently", "nannyml": "NannyML", "whylogs": "whylogs"}


class Null(Struct, frozen=True, kw_only=True):
    """One way of testing samples that are like their reference."""

    table: str
    system: str
    size: int
    level: float | None  # what the rate is promised to be, at most; None: nothing is promised
    told: Share
    is_ours: bool = True

    @property
    def is_met(self) -> bool:
        """Whether the promise may have been kept."""
        return self.level is None or self.told.interval[0] <= self.level


class Moment(Struct, frozen=True, kw_only=True):
    """PSI of samples without drift, beside its formula."""

    bins: int
    size: int
    mean: float
    formula: float
    large: Share  # at least 0.1, which folklore calls drift
    significant: Share  # by the formula, at 5 %


class Attack(Struct, frozen=True, kw_only=True):
    """PSI of a sample that has drifted, with outliers in it."""

    system: str
    outliers: int
    psi: float


class Nulls(Struct, frozen=True, kw_only=True):
    """All of a run."""

    date: str
    commit: str
    modified: bool
    seconds: float
    versions: dict[str, str]
    rates: tuple[Null, ...]
    moments: tuple[Moment, ...]
    attacks: tuple[Attack, ...]
    absent: tuple[str, ...] = ()
    peers_of: str = ""  # the commit at which peers were asked, if it was not this one

    @property
    def broken(self) -> list[str]:
        """What did not keep its promise, in words."""
        return [
            f"{one.table}: {one.system} at {one.size}: {one.told.rate:.3f}, promised {one.level}"
            for one in self.rates
            if one.is_ours and not one.is_met
        ]


def looks(fields: int, size: int, runs: int, alpha: float) -> Share:
    """Of fields that are like their reference; how often anything is said of them."""
    rng = np.random.default_rng([fields, size])
    found = done = 0
    while done < runs:
        reference, battery = _fresh(rng, fields)
        for _ in range(min(SAMPLES, runs - done)):
            now = {name: Profile(one.field) for name, one in reference.profiles.items()}
            for profile in now.values():
                profile.add_numbers(rng.normal(size=size))
            verdict = battery.look(now, alpha)
            found += bool(verdict.drifting or verdict.broken)
            done += 1
    return Share(found, done)


def _fresh(rng: np.random.Generator, fields: int) -> tuple[Reference, Battery]:
    reference = from_arrays({f"f{at}": rng.normal(size=REFERENCE) for at in range(fields)})
    return reference, Battery(reference.profiles)


def kolmogorov(size: int, runs: int) -> Iterator[tuple[str, Share]]:
    """Samples of one size on both sides: on 64 frozen edges, and of the values by scipy."""
    rng = np.random.default_rng(size)
    binned = exact = 0
    for _ in range(runs):
        then, now = rng.normal(size=size), rng.normal(size=size)
        reference = from_arrays({"x": then})
        profile = Profile(reference.profiles["x"].field)
        profile.add_numbers(now)
        outcome = Battery(reference.profiles).look({"x": profile}, 0.05).outcomes[0]
        binned += bool(outcome.tests["ks"].p[0] <= 0.05)
        exact += bool(stats.ks_2samp(then, now, method="asymp").pvalue <= 0.05)
    yield "gateway: KS of 64 bins", Share(binned, runs)
    yield "scipy: KS of the values", Share(exact, runs)


def rates(runs: int) -> Iterator[Null]:
    """Ours, all tables."""
    for size in SMALL:
        for fields in (1, 20):
            yield Null(
                table="A look, alpha 5 %",
                system=f"gateway: {fields} feature{'s' if fields > 1 else ''}",
                size=size,
                level=0.05,
                told=looks(fields, size, runs, 0.05),
            )
    alpha = alpha_of(HOUR_S)
    for size in (50, 500, 5000):
        yield Null(
            table="A look an hour, one false alarm in 30 days",
            system="gateway: 20 features",
            size=size,
            level=alpha,
            told=looks(20, size, 4 * runs, alpha),
        )
    for size in SKETCHED:
        for system, told in kolmogorov(size, max(runs // (10 if size < 1e5 else 20), 10)):
            yield Null(
                table="KS below 0.05, as many values on both sides",
                system=system,
                size=size,
                level=0.05,
                told=told,
                is_ours=system.startswith("gateway"),
            )


def moments(runs: int) -> Iterator[Moment]:
    """Of cells that a reference fills alike."""
    rng = np.random.default_rng(1)
    for bins, size in ((10, 100), (10, 1000), (20, 100), (20, 1000)):
        even = np.full(bins, 1 / bins)
        cells = distances.cells(
            rng.multinomial(REFERENCE, even, runs).astype(np.float64),
            rng.multinomial(size, even, runs).astype(np.float64),
        )
        psi, noise = distances.psi(cells), 1 / REFERENCE + 1 / size
        limit = noise * distances.chi_square_limit(0.05, bins)
        yield Moment(
            bins=bins,
            size=size,
            mean=float(psi.mean()),
            formula=(bins - 1) * noise,
            large=Share(int((psi >= 0.1).sum()), runs),
            significant=Share(int((psi > limit).sum()), runs),
        )


def attacks() -> Iterator[Attack]:
    """Half a deviation's shift of 10,000 values, and values of 1000 among them."""
    rng = np.random.default_rng(1)
    reference = from_arrays({"x": rng.normal(size=REFERENCE)}).profiles["x"]
    shifted = rng.normal(0.5, 1, REFERENCE)
    for outliers in (0, 1, 10):
        profile = Profile(reference.field)
        profile.add_numbers(np.concatenate([shifted, np.full(outliers, 1000.0)]))
        cells = distances.cells(
            reference.counts.astype(np.float64), profile.counts.astype(np.float64)
        )
        yield Attack(system="gateway", outliers=outliers, psi=float(distances.psi(cells)[0]))


OfPeers = tuple[list[Null], list[Attack], dict[str, str], list[str]]


def of_peers(runs: int) -> OfPeers:
    """(their rates, what outliers do, versions, sentences about those that are not here)."""
    found: list[Null] = []
    hit: list[Attack] = []
    versions: dict[str, str] = {}
    absent: list[str] = []
    for library in peers.LIBRARIES:
        if library.name not in PEERS:
            continue
        sizes, fewer = PEERS[library.name]
        asked = [msgspec.json.encode(sizes).decode(), str(max(runs // fewer, 5)), str(REFERENCE)]
        try:
            said = peers.said(library, f"{library.name}_nulls.py", *asked)
        except RuntimeError as error:
            absent.append(str(error))
            continue
        versions[library.name] = said[0]["version"]
        table = "KS below 0.05, as many values on both sides"
        for one in said[1:]:
            if "psi" in one:
                hit.append(msgspec.convert(one, Attack))
                continue
            found.append(
                Null(
                    table=table if library.name == "whylogs" else "A look, alpha 5 %",
                    system=one["system"],
                    size=one["size"],
                    level=None,
                    told=Share(one["found"], one["runs"]),
                    is_ours=False,
                )
            )
    return found, hit, versions, absent


def kept_peers(kept: Nulls) -> OfPeers:
    """What peers said in a run: they are asked of the same samples every time."""
    theirs = [one for one in kept.rates if one.system.startswith(tuple(NAMES.values()))]
    hit = [one for one in kept.attacks if one.system != "gateway"]
    versions = {name: kept.versions[name] for name in PEERS if name in kept.versions}
    return theirs, hit, versions, list(kept.absent)


def run(
    runs: int, theirs: Callable[[int], OfPeers] = of_peers, *, kept: Nulls | None = None
) -> Nulls:
    """All parts; what peers say as it was in a run that was kept, if there is one."""
    began = time.monotonic()
    ours = tuple(rates(runs))
    others, hit, versions, absent = kept_peers(kept) if kept else theirs(runs)
    return Nulls(
        date=machine.today(),
        commit=machine.commit(),
        modified=machine.is_modified(),
        rates=(*ours, *others),
        moments=tuple(moments(runs)),
        attacks=(*attacks(), *hit),
        versions={name: version(name) for name in ("numpy", "scipy")} | versions,
        absent=tuple(absent),
        peers_of=(kept.peers_of or kept.commit) if kept else "",
        seconds=round(time.monotonic() - began, 1),
    )


def save(found: Nulls, folder: Path = FOLDER) -> Path:
    """Keeps a run by date and commit."""
    return keep(found, folder, prefix="nulls-")


def load(path: Path) -> Nulls:
    """A run that was kept."""
    return msgspec.json.decode(path.read_bytes(), type=Nulls)
