"""The kinds of findings: how near to the cause each is, and its page in docs/runbooks.

The nearer to the data's source, the lower the rank: a field that goes null moves the scores
and, in the end, the accuracy, and never the other way round.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Kind = Literal[
    "data_missing",
    "type_changed",
    "sentinel",
    "out_of_range",
    "new_category",
    "unit_changed",
    "feature_drift",
    "prediction_drift",
    "prediction_collapse",
    "performance_drop",
    "llm_signals",
    "traffic_drop",
]
RUNBOOKS = "docs/runbooks"  # of this repository, where nobody says where they are published


class KindText(Struct, frozen=True):
    """What is said of a kind."""

    rank: int  # the lower, the nearer to the cause
    title: str
    page: str


KINDS: dict[Kind, KindText] = {
    "traffic_drop": KindText(0, "traffic stops or falls", "traffic-drop"),
    "data_missing": KindText(0, "values are missing", "data-missing"),
    "type_changed": KindText(0, "a type changed", "type-changed"),
    "sentinel": KindText(1, "a sentinel value is written", "sentinel"),
    "out_of_range": KindText(1, "values are out of range", "out-of-range"),
    "new_category": KindText(1, "a new category appears", "new-category"),
    "unit_changed": KindText(1, "a unit changed", "unit-changed"),
    "feature_drift": KindText(2, "a feature drifts", "feature-drift"),
    "prediction_drift": KindText(3, "predictions drift", "prediction-drift"),
    "prediction_collapse": KindText(3, "predictions collapse", "prediction-collapse"),
    "performance_drop": KindText(4, "performance drops", "performance-drop"),
    "llm_signals": KindText(3, "answers of an LLM change", "llm-signals"),
}
