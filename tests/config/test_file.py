"""Replacing a configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.file import replace_text, write_private
from gateway.errors import ConfigError


def test_file_is_replaced_with_its_mode_and_the_old_one_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("old")
    path.chmod(0o640)
    backup = replace_text(path, "new", stamp="1")
    assert (path.read_text(), backup.read_text()) == ("new", "old")
    assert {one.stat().st_mode & 0o777 for one in (path, backup)} == {0o640}
    assert sorted(tmp_path.iterdir()) == [path, backup]


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("old")
    link = tmp_path / "gateway.yaml"
    link.symlink_to("real.yaml")
    replace_text(link, "new", stamp="1")
    assert link.is_symlink()
    assert (tmp_path / "real.yaml").read_text() == "new"


def test_failure_is_one_sentence_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write .*none.yaml: No such file"):
        replace_text(tmp_path / "none.yaml", "new", stamp="1")
    assert list(tmp_path.iterdir()) == []


def test_private_file_is_for_its_owner_only(tmp_path: Path) -> None:
    write_private(tmp_path / "x", b"secret")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
