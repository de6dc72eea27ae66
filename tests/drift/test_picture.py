"""A report as a picture: bounded, whatever is in it, and drawn where there is something to see."""

from __future__ import annotations

import io
import sys
from collections import Counter

import pytest
from msgspec.structs import replace
from PIL import Image

from gateway.drift.picture import CURRENT, MOST_SHOWN, SCALE, WIDTH, png_of
from gateway.drift.report import FieldReport, ReportData
from gateway.errors import ConfigError
from tests.drift.test_report import made

Colours = dict[tuple[int, int, int], int]


def colours_of(png: bytes) -> Colours:
    data = Image.open(io.BytesIO(png)).convert("RGB").tobytes()
    return Counter(zip(data[::3], data[1::3], data[2::3], strict=True))


def near(colours: Colours, wanted: str) -> int:
    """Pixels of about this colour; the palette rounds."""
    r, g, b = (int(wanted[at : at + 2], 16) for at in (1, 3, 5))
    return sum(
        count
        for colour, count in colours.items()
        if max(abs(colour[0] - r), abs(colour[1] - g), abs(colour[2] - b)) < 24
    )


def test_picture_is_a_small_png_of_every_field() -> None:
    report = made(shift=1.0)
    png = png_of(report)
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.width) == ("PNG", WIDTH * SCALE)
    assert len(png) < 100_000
    assert near(colours_of(png), CURRENT) > 500


def test_picture_shows_what_is_there_now() -> None:
    report = made()
    nothing = replace(report, fields=tuple(_silent(one) for one in report.fields))
    assert near(colours_of(png_of(nothing)), CURRENT) < 100
    assert near(colours_of(png_of(report)), CURRENT) > 500


def _silent(field: FieldReport) -> FieldReport:
    return replace(field, current=(), trend=())


def test_many_fields_and_long_texts_stay_bounded() -> None:
    report = _long(made(numbers=24, name="an unreasonably long name of a feature " * 9))
    png = png_of(report)
    image = Image.open(io.BytesIO(png))
    shortest = Image.open(io.BytesIO(png_of(replace(report, fields=report.fields[:MOST_SHOWN]))))
    assert image.height == shortest.height
    assert len(png) < 300_000


def _long(report: ReportData) -> ReportData:
    return replace(report, title="t\n\x1b[2J" * 200, reference="r" * 5000)


def test_report_of_nothing_is_a_picture_too() -> None:
    assert png_of(replace(made(), fields=())).startswith(b"\x89PNG")


def test_without_pillow_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"inference-gateway\[png\]"):
        png_of(made())
