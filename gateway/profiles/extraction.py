"""Lines of the prediction log as columns, and those counted in slices.

One `Extraction` serves all routes that have a reference: it reads once what any of them
wants. Features come from a record's `features`, predictions from its `predictions`; everything
else, its outcome, tokens, cost, latency, or a part of its answer, is a signal (`signals`).

Rule 1: every line is counted once: as a prediction, as another kind, or as malformed, of
        which the first few are kept.
Rule 2: features and predictions have rows of their own: a line may bring more of the ones
        than of the others.
Rule 3: nothing here is done line by line; what is seldom (a category never seen, a text) is
        looked at in Python.
Cost: about 2 us a line of 1.3 KB with 20 features and 8 signals, to updated profiles; half as
much again where no two lines are alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway._fast import Columns, Rows, hash_of
from gateway.profiles.fields import NAMED, VIOLATION, Field, Floats, Words
from gateway.profiles.languages import LANGUAGE
from gateway.profiles.profile import JSON_NUMBER, JSON_STRING, Profile
from gateway.profiles.reference import Reference
from gateway.profiles.signals import MADE, Column, Where, where_of
from gateway.profiles.slices import Minute, Slices, Source, profile_in
from gateway.profiles.text_column import Data, TextColumn, text_of

# What of a value is kept: see `_fast/cells.pxd`.
NUMBER, WORD, TIME, SPAN = 1, 2, 4, 8
_READINGS = {"number": NUMBER, "word": WORD, "span": SPAN}

SHADOW = "shadow"  # the arm of answers that no client saw
LINES, FEWEST = 4096, 256  # of a batch: many, so that what is done once a batch is little …
CELLS = 2**18  # … and no more than this, of all its columns: they stay in the processor's cache
KEPT = 8  # malformed lines kept of an extraction's life
LONGEST = 2000  # bytes kept of such a line

# What is read of each line to know where it counts, before the fields that are wanted.
_PLACES = (
    ("/time", TIME | SPAN),
    ("/kind", WORD),
    ("/route", WORD),
    ("/version", WORD),
    ("/decisions/0/arm", WORD),
)
# Which members have rows, and whether bare values are some.
_ROWS: tuple[tuple[Where, bool], ...] = (("features", False), ("predictions", True))
_TIME, _KIND, _ROUTE, _VERSION, _ARM = range(len(_PLACES))
_PREDICTION = np.uint64(hash_of(b"prediction"))
_SHADOW = np.uint64(hash_of(b"shadow"))
_FEEDBACK = np.uint64(hash_of(b"feedback"))
_US_A_MINUTE = 60_000_000


class Part(NamedTuple):
    """Some columns of a batch, a row each: what a field needs of them."""

    kinds: NDArray[np.uint8]
    numbers: Floats
    words: Words
    starts: NDArray[np.uint32]
    ends: NDArray[np.uint32]


class Batch(NamedTuple):
    """Lines as columns; views that the next batch overwrites."""

    data: Data
    lines: Part
    rows: Part
    row_lines: NDArray[np.int32]  # the line of each row of features
    outputs: Part
    output_lines: NDArray[np.int32]  # the line of each row of predictions
    malformed: Sequence[tuple[int, int]] = ()  # where lines stand that are in no column


class Told(NamedTuple):
    """What was wrong, since the beginning."""

    counts: Counter[str]  # lines, malformed, skipped_rows, unknown_features, …
    malformed: list[bytes]  # the first of them
    strangers: Counter[str]  # features that no reference has, and in how many batches


def _part(columns: int, rows: int) -> Part:
    return Part(
        np.zeros((columns, rows), np.uint8),
        np.zeros((columns, rows)),
        np.zeros((columns, rows), np.uint64),
        np.zeros((columns, rows), np.uint32),
        np.zeros((columns, rows), np.uint32),
    )


class Extraction:
    """From bytes of the log to profiles."""

    def __init__(
        self,
        references: Mapping[str, Reference],
        *,
        lines: int = 0,
        also: Iterable[Reference] = (),
        places: Iterable[tuple[str, int]] = (),
    ) -> None:
        """`references` by route; that of "" is for routes without one.

        For callers that count by themselves: the columns of references that are in `also`, and
        of `places`, (pointer, reading), are read as well. `lines` of a batch are by default as
        many as there is room for.
        """
        self.references = dict(references)
        self.told = Told(Counter(), [], Counter())
        self._fields = {
            route: tuple(one.field for one in reference.fields)
            for route, reference in self.references.items()
        }
        more = [tuple(one.field for one in reference.fields) for reference in also]
        wanted: dict[Where, dict[str, int]] = {
            "line": dict(_PLACES) | dict(places),
            "features": {},
            "predictions": {},
        }
        by_identity = {
            one.identity: one for fields in [*self._fields.values(), *more] for one in fields
        }
        for field in by_identity.values():
            where, columns = _columns_of(field)
            for name, reading in columns:
                wanted[where][name] = wanted[where].get(name, 0) | reading
        self._at: dict[Where, dict[str, int]] = {
            "line": {name: at for at, name in enumerate(wanted["line"])},
            "features": _positions(wanted["features"]),
            "predictions": _positions(wanted["predictions"]),
        }
        # Where each field is: its part, and there its first column.
        self._found = {
            identity: (where, self._at[where][columns[0][0]])
            for identity, (where, columns) in (
                (identity, _columns_of(one)) for identity, one in by_identity.items()
            )
        }
        rows: list[Rows] = []
        for where, is_bare in _ROWS:
            named = [(name, wanted[where][name]) for name in self._at[where]]
            rows.append(Rows(where, named, is_bare=is_bare))
        # Why only those: a member that nobody wants is not even looked for.
        self._read = [at for at, one in enumerate(rows) if one.columns]
        self._columns = Columns(list(wanted["line"].items()), [rows[at] for at in self._read])
        columns_in_all = sum(map(len, wanted.values()))
        lines = lines or max(FEWEST, min(LINES, CELLS // columns_in_all))
        self._batch = Batch(
            b"",
            _part(len(wanted["line"]), lines),
            _part(len(wanted["features"]), lines),
            np.zeros(lines, np.int32),
            _part(len(wanted["predictions"]), lines),
            np.zeros(lines, np.int32),
        )
        self._words: dict[int, str] = {}

    def count(self, data: Data, slices: Slices, now: int) -> int:
        """Counts whole lines in the slices of their minutes; how many lines were taken."""
        taken = 0
        for batch in self.batches(data):
            taken += batch.lines.kinds.shape[1]
            self._count(batch, slices, now)
        return taken

    def batches(self, data: Data) -> Iterator[Batch]:
        """Whole lines as columns; each batch overwrites the one before, and refers to the data."""
        at = 0
        while at < len(data):
            at, batch = self._next(data, at)
            yield batch

    def place(self, pointer: str) -> int:
        """The column of lines that is read there."""
        return self._at["line"][pointer]

    def kinds(
        self, batch: Batch, field: Field
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32] | None]:
        """What values of a field were, in each of its columns; the line of each, if not its own.

        Signals that are worked out of others have no columns.
        """
        where, at = self._found[field.identity]
        part, lines = {
            "line": (batch.lines, None),
            "features": (batch.rows, batch.row_lines),
            "predictions": (batch.outputs, batch.output_lines),
        }[where]
        count = 0 if field.name in MADE else len(_columns_of(field)[1])
        return part.kinds[at : at + count], lines

    def _next(self, data: Data, at: int) -> tuple[int, Batch]:
        """Reads the next lines; where the ones behind them begin."""
        whole = self._batch
        for part in (whole.lines, whole.rows, whole.outputs):
            part.kinds.fill(0)
        targets = ((whole.rows, whole.row_lines), (whole.outputs, whole.output_lines))
        after, lines, malformed, said = self._columns.read(
            data, at, whole.lines, [targets[one] for one in self._read]
        )
        taken = [0, 0]
        for one, (rows, skipped, unknown, strangers, shapeless) in zip(
            self._read, said, strict=True
        ):
            taken[one] = rows
            self._tell(_ROWS[one][0], skipped, unknown, strangers, shapeless)
        self.told.counts["lines"] += lines
        self.told.counts["malformed"] += len(malformed)
        for start, end in malformed[: KEPT - len(self.told.malformed)]:
            self.told.malformed.append(bytes(data[start : min(end, start + LONGEST)]))
        return after, Batch(
            data,
            _first(whole.lines, lines),
            _first(whole.rows, taken[0]),
            whole.row_lines[: taken[0]],
            _first(whole.outputs, taken[1]),
            whole.output_lines[: taken[1]],
            malformed,
        )

    def _tell(
        self, where: Where, skipped: int, unknown: int, strangers: Sequence[bytes], shapeless: int
    ) -> None:
        counts = self.told.counts
        counts["skipped_rows"] += skipped
        counts[f"unknown_{where}"] += unknown
        counts["shapeless"] += shapeless
        for name in strangers:
            if len(self.told.strangers) < 100:
                self.told.strangers[msgspec.json.decode(name, type=str)] += 1

    def _count(self, batch: Batch, slices: Slices, now: int) -> None:
        kind = batch.lines.words[_KIND]
        is_kind = batch.lines.kinds[_KIND] == JSON_STRING
        is_prediction, is_timed = self.predictions(batch)
        self.told.counts["feedback"] += int(np.count_nonzero(is_kind & (kind == _FEEDBACK)))
        self.told.counts["untimed"] += int(np.count_nonzero(is_prediction & ~is_timed))
        chosen = np.flatnonzero(is_prediction & is_timed)
        self.told.counts["predictions"] += chosen.size
        for source, minute, members in self.groups(batch, chosen):
            fields = self._fields.get(source.route) or self._fields.get("")
            if fields is None:
                self.told.counts["unreferenced"] += members.size
                continue
            slot = slices.slot(source, minute, now, members.size)
            if slot is not None:
                self.count_fields(batch, members, fields, slot)

    def predictions(self, batch: Batch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Of each line, whether it is a prediction or a shadow's, and whether it has a time."""
        lines = batch.lines
        kind = lines.words[_KIND]
        is_kind = lines.kinds[_KIND] == JSON_STRING
        is_timed = (lines.kinds[_TIME] == JSON_STRING) & np.isfinite(lines.numbers[_TIME])
        return is_kind & ((kind == _PREDICTION) | (kind == _SHADOW)), is_timed

    def groups(
        self, batch: Batch, chosen: NDArray[np.intp]
    ) -> Iterator[tuple[Source, int, NDArray[np.intp]]]:
        """(source, minute since 1970, lines) of lines that are predictions with a time."""
        if not chosen.size:
            return
        lines = batch.lines
        minutes = lines.numbers[_TIME, chosen].astype(np.int64) // _US_A_MINUTE
        for first, members in _groups(lines, chosen, minutes):
            is_shadow = lines.words[_KIND, first] == _SHADOW
            source = Source(
                self.word(batch, _ROUTE, first),
                self.word(batch, _VERSION, first),
                SHADOW if is_shadow else self.word(batch, _ARM, first),
            )
            yield source, int(lines.numbers[_TIME, first] // _US_A_MINUTE), members

    def count_fields(
        self, batch: Batch, members: NDArray[np.intp], fields: Sequence[Field], slot: Minute
    ) -> list[Field]:
        """Counts lines of one source and minute, each field of them.

        Returns the fields that had values of another type than the reference's.
        """
        parts: dict[Where, Part] = {
            "line": _chosen(batch.lines, members),
            "features": _rows_of(batch.rows, batch.row_lines, batch, members),
            "predictions": _rows_of(batch.outputs, batch.output_lines, batch, members),
        }
        texts: dict[str, TextColumn] = {}
        changed: list[Field] = []
        for field in fields:
            where, at = self._found[field.identity]
            part = parts[where]
            if not part.kinds.shape[1]:
                continue
            profile = profile_in(slot, field)
            violation = field.bins + VIOLATION
            before = profile.counts[violation]
            if field.name in MADE:
                self._count_made(batch.data, part, profile)
            else:
                _count_field(batch.data, part, at, profile, texts)
            if profile.counts[violation] != before:
                changed.append(field)
        return changed

    def _count_made(self, data: Data, part: Part, profile: Profile) -> None:
        """A signal that is worked out of several columns."""
        made = MADE[profile.field.name]
        columns = [_column(data, part, self._at["line"][place]) for place in made.places]
        values = made.of_columns(*columns)
        if profile.field.is_ordered:
            profile.add_numbers(values.numbers, values.kinds)
        else:
            profile.add_words(values.words, values.kinds, lambda _row: "")

    def word(self, batch: Batch, place: int, line: int) -> str:
        """The text of a word; "" where it is missing."""
        part = batch.lines
        if part.kinds[place, line] != JSON_STRING:
            return ""
        word = int(part.words[place, line])
        found = self._words.get(word)
        if found is None:
            if len(self._words) > 10_000:
                self._words.clear()
            found = text_of(batch.data, int(part.starts[place, line]), int(part.ends[place, line]))
            self._words[word] = found
        return found


def _count_field(
    data: Data, part: Part, at: int, profile: Profile, texts: dict[str, TextColumn]
) -> None:
    """Counts the column at `at`, and those behind it that are of the same field."""
    field = profile.field
    if field.measure:
        if field.of not in texts:
            texts[field.of] = TextColumn(data, part, at)
        if field.measure == LANGUAGE:
            texts[field.of].count_languages(profile)
        else:
            texts[field.of].count_measure(profile)
    elif field.is_ordered:
        profile.add_numbers(part.numbers[at], part.kinds[at])
    elif field.kind in NAMED:
        starts, ends = part.starts[at], part.ends[at]
        profile.add_words(
            part.words[at],
            part.kinds[at],
            lambda row: text_of(data, int(starts[row]), int(ends[row])),
        )
    else:
        last = at + field.dimensions
        is_whole = (part.kinds[at:last] == JSON_NUMBER).all(axis=0)
        profile.add_vectors(part.numbers[at:last, is_whole].T)
        profile.add_absent(part.kinds[at, ~is_whole])


def _column(data: Data, part: Part, at: int) -> Column:
    starts, ends = part.starts[at], part.ends[at]
    return Column(
        part.kinds[at],
        part.numbers[at],
        part.words[at],
        lambda line: bytes(data[int(starts[line]) : int(ends[line])]),
    )


def _columns_of(field: Field) -> tuple[Where, tuple[tuple[str, int], ...]]:
    """Where a field is read, and (name, reading) of the columns it needs there."""
    where, name = where_of(field.of or field.name)
    if name in MADE:
        made = MADE[name]
        readings = [_READINGS[one] for one in made.readings]
        return where, tuple(zip(made.places, readings, strict=True))
    if field.kind == "embedding":
        before = f"{name}." if name else ""
        return where, tuple((f"{before}{at}", NUMBER) for at in range(field.dimensions))
    if field.measure:
        return where, ((name, SPAN),)
    return where, ((name, WORD if field.kind in NAMED else NUMBER),)


def _positions(wanted: Mapping[str, int]) -> dict[str, int]:
    """The place of each column of rows."""
    return {name: at for at, name in enumerate(sorted(wanted, key=_natural))}


def _natural(name: str) -> tuple[str, int]:
    """Sorts x.2 before x.10, so that a tensor's columns are in their order."""
    head, dot, index = name.rpartition(".")
    if dot and index.isdecimal():
        return head, int(index)
    return (name, -1)


def _first(part: Part, rows: int) -> Part:
    return _picked(part, slice(0, rows))


def _chosen(part: Part, rows: NDArray[np.intp]) -> Part:
    """Some of the rows; without a copy, where they are next to each other."""
    if rows.size and rows[-1] - rows[0] + 1 == rows.size:
        return _picked(part, slice(int(rows[0]), int(rows[-1]) + 1))
    return Part(
        part.kinds.take(rows, 1),
        part.numbers.take(rows, 1),
        part.words.take(rows, 1),
        part.starts.take(rows, 1),
        part.ends.take(rows, 1),
    )


def _picked(part: Part, rows: slice) -> Part:
    return Part(
        part.kinds[:, rows],
        part.numbers[:, rows],
        part.words[:, rows],
        part.starts[:, rows],
        part.ends[:, rows],
    )


def _rows_of(
    rows: Part, row_lines: NDArray[np.int32], batch: Batch, members: NDArray[np.intp]
) -> Part:
    """The rows of some lines."""
    lines = batch.lines.kinds.shape[1]
    if members.size == lines or not rows.kinds.shape[1]:
        return rows
    is_member = np.zeros(lines, np.bool_)
    is_member[members] = True
    return _chosen(rows, np.flatnonzero(is_member[row_lines]))


def _groups(
    lines: Part, chosen: NDArray[np.intp], minutes: NDArray[np.int64]
) -> list[tuple[int, NDArray[np.intp]]]:
    """(first line, lines) of each source and minute."""
    key = minutes.astype(np.uint64)
    is_all = chosen.size == lines.kinds.shape[1]  # Why asked: a slice costs nothing
    for place in (_KIND, _ROUTE, _VERSION, _ARM):
        kinds, words = lines.kinds[place], lines.words[place]
        is_there = (kinds if is_all else kinds[chosen]) == JSON_STRING
        word = np.where(is_there, words if is_all else words[chosen], np.uint64(0))
        key = (key ^ word) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    if (key == key[0]).all():
        return [(int(chosen[0]), chosen)]
    begins = np.flatnonzero(key[1:] != key[:-1]) + 1
    if begins.size < key.size // 8:  # Why: lines are nearly in the order of time, and few are many
        runs: dict[int, list[NDArray[np.intp]]] = {}
        keys = [int(key[0]), *key[begins].tolist()]
        for each, run in zip(keys, np.split(chosen, begins), strict=True):
            runs.setdefault(each, []).append(run)
        groups = [run[0] if len(run) == 1 else np.concatenate(run) for run in runs.values()]
    else:
        order = np.argsort(key, kind="stable")
        ends = np.flatnonzero(np.diff(key[order])) + 1
        groups = np.split(chosen[order], ends)
    return [(int(group[0]), group) for group in groups]
