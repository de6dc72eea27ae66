from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.log.chain import HEAD_NAME, MANIFEST_NAME, START, Chain, Head, link_of, read_head
from gateway.log.files import LogError
from tests.log.crashes import (
    Killed,
    dies_after,
    dies_before,
    dies_half_way,
    disk_fails,
    disk_is_full,
    steps,
)

Instead = Callable[[str, Callable[..., Any], Any], Any]


def chain(directory: Path) -> Chain:
    return Chain(directory, lambda sentence: json.dumps({"broken": sentence}).encode())


def entry(number: int) -> bytes:
    return json.dumps({"number": number}).encode()


def texts(directory: Path) -> list[dict[str, Any]]:
    path = directory / MANIFEST_NAME
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def assert_whole(directory: Path) -> None:
    before = START
    for line in (directory / MANIFEST_NAME).read_bytes().splitlines():
        link = link_of(line)
        assert link is not None
        assert link.is_true
        assert link.prev == before
        before = link.hash
    assert read_head(directory) == Head(len(texts(directory)), before)


def test_each_line_names_the_one_before_and_the_head_the_last(tmp_path: Path) -> None:
    for number in range(3):
        chain(tmp_path).append(entry(number))
        assert_whole(tmp_path)
    assert [text["number"] for text in texts(tmp_path)] == [0, 1, 2]


def test_settled_chain_is_empty_and_has_a_head(tmp_path: Path) -> None:
    chain(tmp_path).settle()
    assert read_head(tmp_path) == Head(0, START)
    assert (tmp_path / MANIFEST_NAME).read_bytes() == b""
    assert (tmp_path / MANIFEST_NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / HEAD_NAME).stat().st_mode & 0o777 == 0o600


def test_processes_take_turns(tmp_path: Path) -> None:
    def work(first: int) -> None:
        for number in range(first, first + 10):
            chain(tmp_path).append(entry(number))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_whole(tmp_path)
    assert sorted(text["number"] for text in texts(tmp_path)) == list(range(30))


def test_entry_longer_than_one_look_back_is_linked(tmp_path: Path) -> None:
    for size in (10, 70_000, 200_000, 10):
        chain(tmp_path).append(json.dumps({"number": size, "text": "x" * size}).encode())
    assert_whole(tmp_path)


def test_unfinished_line_is_cut_off(tmp_path: Path) -> None:
    chain(tmp_path).append(entry(1))
    with (tmp_path / MANIFEST_NAME).open("ab") as file:
        file.write(b'{"number":2,"prev":')
    chain(tmp_path).append(entry(3))
    assert_whole(tmp_path)
    assert [text["number"] for text in texts(tmp_path)] == [1, 3]


@pytest.mark.parametrize("dies", [dies_before, dies_after, dies_half_way])
@pytest.mark.parametrize("done", [0, 1, 2])
def test_process_that_dies_at_any_step_leaves_an_entry_or_none(
    tmp_path: Path, dies: Instead, done: int
) -> None:
    at = 0
    is_over = False
    while not is_over:
        at += 1
        directory = tmp_path / str(at)
        directory.mkdir()
        for number in range(done):
            chain(directory).append(entry(number))
        is_over = True
        with suppress(Killed), steps(at, dies) as counted:
            chain(directory).append(entry(done))
        is_over = counted.seen < at
        chain(directory).append(entry(99))
        assert_whole(directory)
        numbers = [text["number"] for text in texts(directory)]
        assert numbers in ([*range(done), 99], [*range(done + 1), 99])
    assert at > 8


@pytest.mark.parametrize("fails", [disk_is_full, disk_fails])
@pytest.mark.parametrize("for_ever", [False, True])
def test_disk_that_fails_is_told_and_the_chain_stays_whole(
    tmp_path: Path, fails: Instead, *, for_ever: bool
) -> None:
    for at in range(1, 15):
        directory = tmp_path / str(at)
        directory.mkdir()
        chain(directory).append(entry(0))
        is_told = False
        with steps(-at if for_ever else at, fails):
            try:
                chain(directory).append(entry(1))
            except LogError as error:
                is_told = True
                sentence = str(error)
                assert sentence.startswith(f"{directory / MANIFEST_NAME} cannot be written: ")
        chain(directory).append(entry(2))
        assert_whole(directory)
        numbers = [text["number"] for text in texts(directory)]
        # Why both: where taking back fails as well, the entry may stay.
        assert numbers in ([0, 1, 2], [0, 2]) if is_told else numbers == [0, 1, 2]


@pytest.mark.parametrize(
    "harm, sentence",
    [
        (lambda directory: (directory / HEAD_NAME).unlink(), "head.json was missing or damaged."),
        (
            lambda directory: (directory / HEAD_NAME).write_bytes(b"\0" * 40),
            "head.json was missing or damaged.",
        ),
        (
            lambda directory: (directory / MANIFEST_NAME).unlink(),
            "The manifest was empty, though head.json knows 3 entries.",
        ),
        (
            lambda directory: (directory / MANIFEST_NAME).write_bytes(
                (directory / MANIFEST_NAME).read_bytes().splitlines(keepends=True)[0]
            ),
            "The manifest did not end with entry 3 as head.json knows it.",
        ),
    ],
)
def test_what_no_crash_leaves_is_written_down_and_appending_goes_on(
    tmp_path: Path, harm: Callable[[Path], Any], sentence: str
) -> None:
    for number in range(3):
        chain(tmp_path).append(entry(number))
    harm(tmp_path)
    chain(tmp_path).append(entry(3))
    *_, broken, last = texts(tmp_path)
    assert (broken["broken"], last["number"]) == (sentence, 3)
    assert_whole(tmp_path)
    chain(tmp_path).append(entry(4))
    assert sum("broken" in text for text in texts(tmp_path)) == 1
