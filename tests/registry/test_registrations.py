"""What is configured and what MLflow said, together; now, with MLflow down, and in the past."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from gateway.config.recording import MlflowModel, Registry
from gateway.registry.kept import MOST_OBSERVATIONS, Kept
from gateway.registry.mlflow import ServerAway
from gateway.registry.registration import Registration, RegistryError
from gateway.registry.registrations import EVERY_S, Registrations

MODEL = MlflowModel(url="http://mlflow:5000", name="fraud", alias="champion")
OTHER = MlflowModel(url="http://mlflow:5000", name="fraud", alias="challenger")
T0 = 1_790_000_000.0


class Mlflow:
    """Says what it is told to, or fails; time is its own."""

    def __init__(self, state: Path) -> None:
        self.version, self.now_s = "7", T0
        self.failure: Exception | None = None
        self.asked: list[str] = []
        self.known = Registrations(state, ask=self.ask, now_s=lambda: self.now_s)

    def ask(self, model: MlflowModel) -> Registration:
        self.asked.append(model.alias)
        if self.failure:
            raise self.failure
        return Registration(source="mlflow", model="fraud", version=self.version)

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.known.refresh([Registry(mlflow=MODEL)])

    def now(self) -> Registration:
        found = self.known.known(Registry(mlflow=MODEL))
        assert found is not None
        return found


@pytest.fixture
def mlflow(tmp_path: Path) -> Mlflow:
    return Mlflow(tmp_path)


def test_nothing_is_known_where_nothing_is_said(mlflow: Mlflow) -> None:
    assert mlflow.known.known(None) is None
    assert mlflow.known.known(Registry()) is None


def test_configuration_speaks_for_itself(mlflow: Mlflow) -> None:
    registry = Registry(trained_at="2026-09-01", data="payments", metrics={"auc": 0.9}, owner="ada")
    assert mlflow.known.known(registry) == Registration(
        source="config",
        trained_at="2026-09-01",
        data=("payments",),
        metrics={"auc": 0.9},
        owner="ada",
    )


def test_what_people_wrote_wins(mlflow: Mlflow) -> None:
    mlflow.pass_time(0)
    found = mlflow.known.known(Registry(owner="bob", mlflow=MODEL))
    assert found is not None
    assert (found.source, found.owner, found.version) == ("config and mlflow", "bob", "7")


def test_model_that_was_not_asked_for_says_so(mlflow: Mlflow) -> None:
    assert mlflow.now().problem == "MLflow was not asked yet"


def test_mlflow_is_asked_once_a_minute(mlflow: Mlflow) -> None:
    mlflow.pass_time(0)
    mlflow.pass_time(EVERY_S - 1)
    assert len(mlflow.asked) == 1
    mlflow.pass_time(1)
    assert len(mlflow.asked) == 2
    assert (mlflow.now().as_of, mlflow.now().age_s) == ("2026-09-21T14:14:20Z", 0.0)


def test_answer_stays_known_while_mlflow_is_down_and_says_how_old_it_is(
    mlflow: Mlflow, caplog: pytest.LogCaptureFixture
) -> None:
    mlflow.pass_time(0)
    mlflow.failure = RegistryError("the MLflow server at mlflow:5000 does not answer (x)")
    with caplog.at_level(logging.WARNING):
        mlflow.pass_time(3600)
        mlflow.pass_time(3600)
    found = mlflow.now()
    assert (found.version, found.as_of, found.age_s) == ("7", "2026-09-21T14:13:20Z", 7200.0)
    assert found.problem == "the MLflow server at mlflow:5000 does not answer (x)"
    assert len(caplog.records) == 1  # said once, not each minute
    mlflow.failure = None
    mlflow.pass_time(EVERY_S)
    assert (mlflow.now().age_s, mlflow.now().problem) == (0.0, "")


def test_another_process_knows_it_from_the_files(mlflow: Mlflow, tmp_path: Path) -> None:
    mlflow.pass_time(0)
    assert Mlflow(tmp_path).now().version == "7"
    [file] = (tmp_path / "registry").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_past_is_what_was_said_then(mlflow: Mlflow) -> None:
    mlflow.pass_time(0)
    mlflow.pass_time(1000)
    mlflow.version = "8"
    mlflow.pass_time(1000)
    mlflow.pass_time(1000)

    def at(seconds: float) -> Registration:
        found = mlflow.known.known(Registry(mlflow=MODEL), T0 + seconds)
        assert found is not None
        return found

    assert [at(s).version for s in (0, 1999, 2000, 9999)] == ["7", "7", "8", "8"]
    assert [at(s).age_s for s in (0, 500, 1999, 9999)] == [0, 0, 999, 6999]
    assert at(-1).problem == "MLflow was first asked at 2026-09-21T14:13:20Z"


def test_server_that_is_away_is_asked_for_one_model_a_round(mlflow: Mlflow) -> None:
    mlflow.failure = ServerAway("away")
    both = [Registry(mlflow=MODEL), Registry(mlflow=OTHER), None, Registry()]
    mlflow.known.refresh(both)
    assert len(mlflow.asked) == 1
    assert [known.problem for r in both[:2] if (known := mlflow.known.known(r))] == ["away"] * 2


def test_unknown_model_does_not_keep_others_from_being_asked(mlflow: Mlflow) -> None:
    mlflow.failure = RegistryError("has no model")
    mlflow.known.refresh([Registry(mlflow=MODEL), Registry(mlflow=OTHER)])
    assert sorted(mlflow.asked) == ["challenger", "champion"]


def test_directory_that_cannot_be_written_is_a_problem_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("a file")
    mlflow = Mlflow(tmp_path)
    mlflow.pass_time(0)
    assert mlflow.now().problem.startswith("cannot keep what MLflow says: ")


def test_damaged_file_is_as_none(mlflow: Mlflow, tmp_path: Path) -> None:
    mlflow.pass_time(0)
    [file] = (tmp_path / "registry").iterdir()
    file.write_text("[{")
    assert mlflow.now().version == ""
    mlflow.pass_time(EVERY_S)
    assert mlflow.now().version == "7"


def test_observations_are_bounded(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for n in range(MOST_OBSERVATIONS + 5):
        kept.add(MODEL, Registration(source="mlflow", version=str(n)), T0 + n)
    found = kept.observations(MODEL)
    assert len(found) == MOST_OBSERVATIONS
    assert found[-1].said.version == str(MOST_OBSERVATIONS + 4)
