"""Seconds per stage: printed at the end and kept for a report that is made later."""

import pytest

from samix.core.errors import TrainingError
from samix.core.files import read_json


def seconds_of(project):
    return read_json(project.path / "data/run_info.json")["seconds"]


@pytest.mark.slow
def test_a_later_run_keeps_the_seconds_of_other_stages(project, capsys):
    project.run("chain", seed=7)
    info = read_json(project.path / "data/run_info.json")
    assert info["pipeline"] == "chain"
    assert info["seed"] == 7
    assert info["command"] == "kedro run --pipelines=chain --params=seed=7"
    assert set(info["versions"]) >= {"python", "torch", "kedro", "mlflow", "samix"}
    assert set(info["seconds"]) == {"data_preparation", "ssl_training", "reporting"}
    assert "Time of each stage" in capsys.readouterr().out

    project.run("reporting")
    after = seconds_of(project)
    assert after["ssl_training"] == info["seconds"]["ssl_training"]
    page = (project.path / "data/page.md").read_text()
    assert "ssl_training" in page


@pytest.mark.slow
def test_a_failed_stage_is_printed_but_not_kept(project, capsys):
    project.run("chain")
    before = seconds_of(project)
    capsys.readouterr()
    with pytest.raises(TrainingError):
        project.run("ssl_training", ssl_training={"fate": "error"})
    assert seconds_of(project) == before
    table = capsys.readouterr().out.split("Time of each stage")[1]
    assert "ssl_training" in table
    assert "data_preparation" not in table
