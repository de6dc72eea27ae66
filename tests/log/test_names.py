from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.log.names import SegmentName, State, list_segments, new_stream, started_ms

STATES: tuple[State, ...] = ("new", "open", "sealed")
STREAM = "w0-0198c0ffee00beef"


@given(number=st.integers(1, 10**9), state=st.sampled_from(STATES))
def test_name_is_what_its_file_name_is_parsed_to(number: int, state: State) -> None:
    name = SegmentName(STREAM, number, state)
    assert SegmentName.parse(name.file_name) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "manifest.ndjson",
        f"{STREAM}.ndjson",
        f"{STREAM}-1.ndjson",
        f"{STREAM}-00000001.ndjson.damaged",
        f"{STREAM}-00000001.ndjson\n",
        f"x/{STREAM}-00000001.ndjson",
    ],
)
def test_other_file_is_no_segment(text: str) -> None:
    assert SegmentName.parse(text) is None


def test_file_of_each_state_has_the_name_the_contract_gives_it() -> None:
    name = SegmentName(STREAM, 7, "open")
    assert name.file_name == f"{STREAM}-00000007.ndjson.open"
    assert name.as_state("new").file_name == f"{STREAM}-00000007.ndjson.new"
    assert name.as_state("sealed").file_name == name.segment == f"{STREAM}-00000007.ndjson"


@pytest.mark.parametrize("prefix", ["w0", "w12", "c"])
def test_new_stream_is_valid_in_a_name_and_knows_its_start(prefix: str) -> None:
    stream = new_stream(prefix)
    assert stream.startswith(f"{prefix}-")
    assert SegmentName.parse(SegmentName(stream, 1, "open").file_name)
    assert 1_700_000_000_000 < started_ms(stream) < 5_000_000_000_000
    assert stream != new_stream(prefix)


@pytest.mark.parametrize("prefix", ["", "W", "w-1", "0", "w0/.."])
def test_prefix_that_would_not_parse_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="no prefix"):
        new_stream(prefix)


def test_segments_are_listed_by_stream_and_number(tmp_path: Path) -> None:
    names = [
        SegmentName("c-0198c0ffee00beef", 3, "sealed"),
        SegmentName(STREAM, 1, "sealed"),
        SegmentName(STREAM, 2, "open"),
        SegmentName(STREAM, 10, "new"),
    ]
    for name in reversed(names):
        (tmp_path / name.file_name).touch()
    (tmp_path / "manifest.ndjson").touch()
    assert [name for name, _ in list_segments(tmp_path)] == names
    assert [path.name for _, path in list_segments(tmp_path)] == [n.file_name for n in names]
    assert list_segments(tmp_path / "absent") == []
