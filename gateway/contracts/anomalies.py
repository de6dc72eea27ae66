"""What can be wrong with data, by the names of TensorFlow Data Validation where it has one.

https://github.com/tensorflow/metadata, tensorflow_metadata/proto/v0/anomalies.proto
"""

from __future__ import annotations

from msgspec import Struct

MOST = 16  # anomalies of one body that are told
_LONGEST = 200  # characters of a place

# TFDV's
MISSING = "SCHEMA_MISSING_COLUMN"  # in no row
NEW = "SCHEMA_NEW_COLUMN"
SOMETIMES_MISSING = "FEATURE_TYPE_LOW_FRACTION_PRESENT"  # in some rows
NULL = "FEATURE_TYPE_NO_VALUES"
REPEATED = "FEATURE_TYPE_UNEXPECTED_REPEATED"
LONG_LIST, SHORT_LIST = "FEATURE_TYPE_HIGH_NUMBER_VALUES", "FEATURE_TYPE_LOW_NUMBER_VALUES"
NESTED = "VALUE_NESTEDNESS_MISMATCH"
NOT_A_NUMBER, NOT_AN_INTEGER = "FLOAT_TYPE_NOT_FLOAT", "INT_TYPE_INT_EXPECTED"
HAS_NAN, HAS_INFINITY = "FLOAT_TYPE_HAS_NAN", "FLOAT_TYPE_HAS_INF"
SMALL, BIG = "FLOAT_TYPE_SMALL_FLOAT", "FLOAT_TYPE_BIG_FLOAT"
SMALL_INTEGER, BIG_INTEGER = "INT_TYPE_SMALL_INT", "INT_TYPE_BIG_INT"
BOOLEAN_BIG, BOOLEAN_SMALL = "BOOL_TYPE_BIG_INT", "BOOL_TYPE_SMALL_INT"
BOOLEAN_TEXT, BOOLEAN_FLOAT = "BOOL_TYPE_UNEXPECTED_STRING", "BOOL_TYPE_UNEXPECTED_FLOAT"
TEXT_NOW_INTEGER, TEXT_NOW_FLOAT = "STRING_TYPE_NOW_INT", "STRING_TYPE_NOW_FLOAT"
NO_CATEGORY = "ENUM_TYPE_UNEXPECTED_STRING_VALUES"
UNEXPECTED_TYPE = "UNEXPECTED_DATA_TYPE"
SKEW = "SCHEMA_TRAINING_SERVING_SKEW"

# Ours, where it has none
NO_MATCH = "STRING_TYPE_NO_MATCH"  # of a pattern
LONG_TEXT, SHORT_TEXT = "STRING_TYPE_TOO_LONG", "STRING_TYPE_TOO_SHORT"
STALE, AHEAD = "TIME_TYPE_STALE", "TIME_TYPE_IN_FUTURE"
NO_TIME = "TIME_TYPE_INVALID"
RULE = "RULE_VIOLATED"
SCHEMA = "JSON_SCHEMA_VIOLATED"
TWICE = "NAME_TWICE"  # in one object
TOO_LONG = "BODY_TOO_LONG"  # to be checked
UNREADABLE = "BODY_NOT_JSON"
# Of answers to requests that ask for JSON, on any route
ANSWER_NOT_JSON = "ANSWER_NOT_JSON"
ANSWER_UNLIKE_SCHEMA = "ANSWER_UNLIKE_SCHEMA"  # of the request


# As they are counted: new ones go to the end, since figures outlive a configuration.
NAMES = (
    MISSING, NEW, SOMETIMES_MISSING, NULL, REPEATED, LONG_LIST, SHORT_LIST, NESTED, NOT_A_NUMBER,
    NOT_AN_INTEGER, HAS_NAN, HAS_INFINITY, SMALL, BIG, SMALL_INTEGER, BIG_INTEGER, BOOLEAN_BIG,
    BOOLEAN_SMALL, BOOLEAN_TEXT, BOOLEAN_FLOAT, TEXT_NOW_INTEGER, TEXT_NOW_FLOAT, NO_CATEGORY,
    UNEXPECTED_TYPE, SKEW, NO_MATCH, LONG_TEXT, SHORT_TEXT, STALE, AHEAD, NO_TIME, RULE, SCHEMA,
    TWICE, TOO_LONG, UNREADABLE, ANSWER_NOT_JSON, ANSWER_UNLIKE_SCHEMA,
)  # fmt: skip
SIDES = ("input", "output")
ROOM = 48  # names of one side on the board

# What is there instead, where its kind is not what is wrong.
_INSTEAD = {
    **dict.fromkeys((SMALL, SMALL_INTEGER), "less"),
    **dict.fromkeys((BIG, BIG_INTEGER), "more"),
    **dict.fromkeys((SHORT_TEXT, SHORT_LIST), "a shorter one"),
    **dict.fromkeys((LONG_TEXT, LONG_LIST), "a longer one"),
    **dict.fromkeys((NO_CATEGORY, NO_MATCH), "another"),
    STALE: "an older one",
    AHEAD: "one that is to come",
}


class Anomaly(Struct, frozen=True, kw_only=True):
    """One thing that is wrong, where it was found first."""

    name: str
    field: str  # "" the body as a whole
    pointer: str  # RFC 6901, from the body's root
    expected: str  # in words
    got: str = ""  # kind of what is there; never the value
    refuses: bool = False
    is_clients: bool = False  # the last part of the pointer is a name that the client chose

    @property
    def sentence(self) -> str:
        """What was expected where, for the client."""
        instead = _INSTEAD.get(self.name, self.got)
        got = f", got {instead}" if instead else ""
        return f"`{shortened(self.pointer) or '/'}`: expected {self.expected}{got}"


def slot_of(side: str, name: str) -> int:
    """The counter of a name on one side, among the board's; -1: it has none."""
    return SIDES.index(side) * ROOM + NAMES.index(name) if name in NAMES else -1


def slots() -> tuple[tuple[str, str], ...]:
    """Side and name of each counter; two empty texts where there is room."""
    padded = (*NAMES, *("",) * (ROOM - len(NAMES)))
    return tuple((side if name else "", name) for side in SIDES for name in padded)


def shortened(pointer: str) -> str:
    """A place that fits into a sentence, on one line."""
    plain = "".join(each if each.isprintable() else "?" for each in pointer[:_LONGEST])
    return plain + ("..." if len(pointer) > _LONGEST else "")


def kind_of(value: object) -> str:
    """What a value of JSON is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"


def escaped(name: str) -> str:
    """A name as a part of a pointer."""
    return name.replace("~", "~0").replace("/", "~1")
