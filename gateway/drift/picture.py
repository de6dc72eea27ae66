"""A report as a picture for chats: a line a field, what drifts first.

Drawn with Pillow (`inference-gateway[png]`), in the font it brings.
Rule: bounded, whatever the report: at most MOST_SHOWN fields, and texts cut to their column.
"""

from __future__ import annotations

import bisect
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gateway.drift.report import FieldReport, ReportData
from gateway.errors import ConfigError, Problem

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

MOST_SHOWN = 20
LONGEST = 200  # characters of a line
SCALE = 2  # pixels a unit: chats show pictures on dense screens
WIDTH, HEAD, LINE, FOOT = 960, 92, 56, 28
MARGIN = 20
NAME, DRAWN, TREND, SAID = MARGIN, 210, 420, 530  # where the columns begin
DRAWN_WIDTH, TREND_WIDTH, BAR_HEIGHT = 190, 90, 34

INK, FAINT, BACK, RULE = "#1c2430", "#66707e", "#ffffff", "#d9dee5"
REFERENCE, CURRENT, BAD = "#c3cad4", "#2563eb", "#c62828"


def png_of(report: ReportData) -> bytes:
    """The picture; ConfigError where Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw  # noqa: PLC0415  an extra
    except ImportError:
        sentence = "pictures need Pillow: pip install 'inference-gateway[png]'"
        raise ConfigError((Problem(sentence),)) from None
    shown = report.fields[:MOST_SHOWN]
    height = HEAD + LINE * max(len(shown), 1) + FOOT
    image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), BACK)
    sheet = _Sheet(ImageDraw.Draw(image))
    _head(sheet, report)
    for number, field in enumerate(shown):
        _field(sheet, field, HEAD + LINE * number)
    left = len(report.fields) - len(shown)
    foot = f"and {left} more fields; " if left > 0 else ""
    foot += f"grey: {report.reference}; blue: {report.current}"
    sheet.text(MARGIN, height - FOOT + 6, foot, size=11, colour=FAINT, width=WIDTH - 2 * MARGIN)
    out = io.BytesIO()
    image.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


class _Sheet:
    """Draws in units; the picture has SCALE pixels each."""

    def __init__(self, draw: ImageDraw) -> None:
        self._draw = draw
        self._fonts: dict[int, Any] = {}

    def text(
        self, x: float, y: float, text: str, *, size: int = 13, colour: str = INK, width: float
    ) -> None:
        """One line, cut where it would leave its column."""
        font = self._font(size)
        said = _plain(text)[:LONGEST]
        if self._draw.textlength(said, font=font) > width * SCALE:
            fits = bisect.bisect_left(
                range(len(said)),
                x=True,
                key=lambda end: self._draw.textlength(f"{said[:end]}…", font=font) > width * SCALE,
            )
            said = f"{said[: max(fits - 1, 0)]}…"
        self._draw.text((x * SCALE, y * SCALE), said, fill=colour, font=font)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        if width > 0 and height > 0:
            corners = (x, y, x + width, y + height)
            self._draw.rectangle([round(each * SCALE) for each in corners], fill=colour)

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, fill=colour, width=round(width * SCALE))

    def _font(self, size: int) -> Any:
        from PIL import ImageFont  # noqa: PLC0415  an extra

        if size not in self._fonts:
            self._fonts[size] = ImageFont.load_default(size * SCALE)
        return self._fonts[size]


def _head(sheet: _Sheet, report: ReportData) -> None:
    drifted, count = report.drifted, len(report.fields)
    room = WIDTH - 2 * MARGIN
    sheet.text(MARGIN, 14, report.title, size=20, width=room)
    state = f"{drifted} of {count} fields drift"
    sheet.text(MARGIN, 42, state, size=15, colour=BAD if drifted else FAINT, width=room)
    rows = f"{report.current_rows:,} rows against {report.reference_rows:,}; {report.made_at}"
    sheet.text(MARGIN, 64, rows, size=12, colour=FAINT, width=room)


def _field(sheet: _Sheet, field: FieldReport, top: float) -> None:
    sheet.line([(MARGIN, top), (WIDTH - MARGIN, top)], RULE, 0.5)
    colour = BAD if field.is_drift else INK
    sheet.text(NAME, top + 10, field.name, size=14, colour=colour, width=DRAWN - NAME - 12)
    sheet.text(NAME, top + 30, field.kind, size=11, colour=FAINT, width=DRAWN - NAME - 12)
    _overlay(sheet, field, top + 11)
    _trend(sheet, field.trend, top + 11)
    colour = BAD if field.is_drift else FAINT
    sheet.text(SAID, top + 18, field.verdict, size=12, colour=colour, width=WIDTH - MARGIN - SAID)


def _overlay(sheet: _Sheet, field: FieldReport, top: float) -> None:
    """The reference as bars, what is there now as a line over them."""
    tallest = max((*field.reference, *field.current), default=0.0) or 1.0
    step = DRAWN_WIDTH / max(len(field.reference), 1)
    for at, share in enumerate(field.reference):
        height = BAR_HEIGHT * share / tallest
        sheet.box(DRAWN + at * step, top + BAR_HEIGHT - height, step - 0.5, height, REFERENCE)
    points = []
    for at, share in enumerate(field.current):
        y = top + BAR_HEIGHT * (1 - share / tallest)
        points += [(DRAWN + at * step, y), (DRAWN + (at + 1) * step, y)]
    if points:
        sheet.line(points, CURRENT, 1.2)


def _trend(sheet: _Sheet, trend: Sequence[float], top: float) -> None:
    """The effect over time, and the line from which it is large."""
    if len(trend) < 2:
        return
    tallest = max(*trend, 1.25)
    limit = top + BAR_HEIGHT * (1 - 1 / tallest)
    sheet.line([(TREND, limit), (TREND + TREND_WIDTH, limit)], BAD, 0.5)
    step = TREND_WIDTH / (len(trend) - 1)
    points = [
        (TREND + at * step, top + BAR_HEIGHT * (1 - max(value, 0.0) / tallest))
        for at, value in enumerate(trend)
    ]
    sheet.line(points, CURRENT, 1.2)


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
