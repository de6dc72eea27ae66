"""A report as one self-contained page: no script, no font, nothing fetched.

Rule 1: every text is escaped; names of fields come from elsewhere.
Rule 2: about 3 kB a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gateway.drift.report import FieldReport, ReportData

WIDTH, HEIGHT = 360, 90
TREND_WIDTH, TREND_HEIGHT = 120, 30

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --faint: #66707e; --line: #d9dee5; --back: #fff;
  --reference: #8a97a8; --current: #2563eb; --bad: #c62828; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --faint: #9aa4b2; --line: #333c48;
  --back: #14181e; --reference: #7d8896; --current: #6ea0ff; --bad: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .2rem 0; } .faint { color: var(--faint); } .bad { color: var(--bad); font-weight: 600; }
section { border-top: 1px solid var(--line); padding: .8rem 0; display: flex; flex-wrap: wrap;
  gap: 1rem; align-items: center; justify-content: space-between; }
section > div { flex: 1 1 18rem; } svg { max-width: 100%; height: auto; }
.reference { fill: var(--reference); fill-opacity: .35; stroke: var(--reference); }
.current { fill: none; stroke: var(--current); stroke-width: 2; }
.trend { fill: none; stroke: var(--current); } .limit { stroke: var(--bad); stroke-dasharray: 3 3; }
text { fill: var(--faint); font-size: 10px; }
"""


def page_of(report: ReportData) -> str:
    """The page."""
    drifted, count = report.drifted, len(report.fields)
    state = "bad" if drifted else "faint"
    head = (
        f'<h1>{_text(report.title)}</h1><p class="{state}">{drifted} of {count} fields drift</p>'
        f'<p class="faint">{report.current_rows:,} rows of {_text(report.current)} against '
        f"{report.reference_rows:,} of {_text(report.reference)} ({_text(report.reference_hash)});"
        f" a false alarm in {report.alpha:.2g} of such looks at most. Made {report.made_at}.</p>"
        '<p class="faint">Filled: the reference. Line: now.</p>'
    )
    body = "".join(map(_section, report.fields))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{_text(report.title)}</title><style>{_STYLE}</style></head>"
        f"<body>{head}{body}</body></html>\n"
    )


def _section(field: FieldReport) -> str:
    state = "bad" if field.is_drift else "faint"
    means = ""
    if field.reference_mean is not None and field.current_mean is not None:
        means = f'<p class="faint">mean {field.reference_mean:.4g} → {field.current_mean:.4g}</p>'
    return (
        f'<section><div><h2>{_text(field.name)} <span class="faint">{field.kind}</span></h2>'
        f'<p class="{state}">{_text(field.verdict)}</p>{means}{_trend(field)}</div>'
        f"{_overlay(field)}</section>"
    )


def _overlay(field: FieldReport) -> str:
    """Both distributions on the same bins."""
    top = max((*field.reference, *field.current), default=0.0) or 1.0
    said = f"{_text(field.name)}: reference and current"
    first, last = (field.labels[0], field.labels[-1]) if field.labels else ("", "")
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT + 16}" viewBox="0 0 {WIDTH} {HEIGHT + 16}"'
        f' role="img" aria-label="{said}">'
        f'<path class="reference" d="{_steps(field.reference, top)}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z"/>'
        f'<path class="current" d="{_steps(field.current, top)}"/>'
        f'<text x="0" y="{HEIGHT + 12}">{_text(first[:24])}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 12}" text-anchor="end">{_text(last[:24])}</text></svg>'
    )


def _steps(shares: Sequence[float], top: float) -> str:
    width = WIDTH / max(len(shares), 1)
    points = []
    for at, share in enumerate(shares):
        y = HEIGHT * (1 - share / top)
        points.append(f"{at * width:.1f} {y:.1f}L{(at + 1) * width:.1f} {y:.1f}")
    return "M" + "L".join(points) if points else "M0 0"


def _trend(field: FieldReport) -> str:
    if len(field.trend) < 2:
        return ""
    top = max(*field.trend, 1.0)
    step = TREND_WIDTH / (len(field.trend) - 1)
    line = " ".join(
        f"{at * step:.1f},{TREND_HEIGHT * (1 - max(value, 0.0) / top):.1f}"
        for at, value in enumerate(field.trend)
    )
    limit = TREND_HEIGHT * (1 - 1 / top)
    return (
        f'<svg width="{TREND_WIDTH}" height="{TREND_HEIGHT}" role="img" aria-label="trend">'
        f'<line class="limit" x1="0" x2="{TREND_WIDTH}" y1="{limit:.1f}" y2="{limit:.1f}"/>'
        f'<polyline class="trend" points="{line}"/></svg>'
    )


def _text(text: str) -> str:
    return escape(text)
