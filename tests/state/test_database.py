"""Opening, upgrading and refusing the state database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.errors import StateError
from gateway.state.database import open_database
from gateway.state.directory import DATABASE, prepared
from gateway.state.migrations import MIGRATIONS


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_database(tmp_path / "state")
    yield engine
    engine.dispose()


def version(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return int(
            connection.exec_driver_sql("SELECT max(version) FROM schema_version").scalar_one()
        )


def test_directory_and_file_are_for_their_owner_only(engine: sa.Engine, tmp_path: Path) -> None:
    assert version(engine) == len(MIGRATIONS)
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()]
    assert set(modes) == {0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_database_waits_for_no_reader(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_opening_again_changes_nothing(engine: sa.Engine, tmp_path: Path) -> None:
    again = open_database(tmp_path / "state")
    assert version(again) == version(engine)
    again.dispose()


def test_newer_schema_is_left_alone(engine: sa.Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO schema_version VALUES (99)")
    with pytest.raises(StateError, match=r"newer version \(schema 99, known \d+\)"):
        open_database(tmp_path / "state")
    assert version(engine) == 99


def test_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"cannot make the state directory .*: Not a directory"):
        prepared(tmp_path / "file" / "state")


def test_database_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / DATABASE).symlink_to(tmp_path / "none" / "x")
    with pytest.raises(StateError, match=r"cannot write to the state directory .*: No such file"):
        open_database(tmp_path)


def test_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"not a database, but some text" * 100)
    with pytest.raises(
        StateError, match=r"cannot use the state database .*: file is not a database"
    ):
        open_database(tmp_path)


def test_processes_that_open_a_new_database_at_once_take_turns(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys; from gateway.state.database import open_database;"
        "open_database(pathlib.Path(sys.argv[1])).dispose()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "state")]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(30) for process in processes] == [0, 0, 0]
