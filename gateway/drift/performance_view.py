"""How a route's predictions did, as it is shown: figures with their intervals, by time and version.

Knows nothing of how figures are made; imports no numbers library.
"""

from __future__ import annotations

from msgspec import Struct


class FigureView(Struct, frozen=True, kw_only=True):
    """One figure; null where nothing is known."""

    name: str
    value: float | None
    low: float | None  # of the 95 % interval
    high: float | None
    rows: int  # that it rests on
    method: str  # of the interval


class PartView(Struct, frozen=True, kw_only=True):
    """A stretch of time, or a version of the model."""

    version: str = ""
    since: str = ""  # RFC 3339
    until: str = ""
    rows: int  # predictions
    labelled: int  # of them
    figures: tuple[FigureView, ...]


class CalibrationView(Struct, frozen=True, kw_only=True):
    """Whether scores may be taken for probabilities."""

    error: float  # expected calibration error of the scores
    error_after: float  # of what is made of them before anything is estimated
    is_sound: bool  # whether estimates may be relied on


class PerformanceView(Struct, frozen=True, kw_only=True):
    """What is known of a route's performance."""

    route: str
    kind: str  # of the prediction: class, probability, number
    signal: str  # with the truth
    prediction: str  # what it is compared with; "" the only one there is
    since: str
    until: str
    matured_until: str  # labels count of answers before this
    rows: int  # predictions that are matured
    labelled: int  # of them
    late: int  # labels that came later than `matured` after their answer, and do not count
    figures: tuple[FigureView, ...]  # of matured answers
    estimates: tuple[FigureView, ...] = ()  # of the others, from scores
    calibration: CalibrationView | None = None
    signals: tuple[FigureView, ...] = ()  # means of other feedback
    versions: tuple[PartView, ...] = ()  # by version of the model, where there are several
    periods: tuple[PartView, ...] = ()  # the oldest first
    notes: tuple[str, ...] = ()  # what is left out, in sentences
