"""Files whole or absent, and what kedro viz shows of them."""

import base64
import json

import pytest
import torch
from kedro.io import DataCatalog, DatasetError
from kedro_mlflow.io.artifacts import MlflowArtifactDataset
from matplotlib.figure import Figure

from helpers.environments import CONF
from samix import settings
from samix.core.errors import DataError
from samix.core.weights import save_weights
from samix.kedro import datasets
from samix.kedro.config_loader import ProjectConfigLoader
from samix.kedro.datasets import RunInfoDataset, WeightsDataset


@pytest.fixture
def weights(tmp_path):
    return save_weights(tmp_path / "work/result.safetensors", {"w": torch.arange(3.0)}, {"epochs": 2})


def test_weights_come_back_and_outlive_their_source(tmp_path, weights):
    dataset = WeightsDataset(filepath=str(tmp_path / "models/net.safetensors"))
    assert not dataset.exists()
    dataset.save(weights)
    save_weights(weights.path, {"w": torch.zeros(1)}, {})  # the next job's result
    assert dataset.exists()
    assert dataset.load().load()["w"].tolist() == [0, 1, 2]
    assert json.loads(dataset.preview()) == {"epochs": 2}


def test_weights_are_copied_where_links_are_impossible(tmp_path, weights, monkeypatch):
    def refuse(*_):
        raise OSError("another file system")

    monkeypatch.setattr(datasets.os, "link", refuse)
    dataset = WeightsDataset(filepath=str(tmp_path / "models/net.safetensors"))
    dataset.save(weights)
    assert dataset.load().metadata == {"epochs": 2}
    assert (tmp_path / "models/net.safetensors").stat().st_nlink == 1


def test_a_failed_save_leaves_the_old_file(tmp_path, weights, monkeypatch):
    target = tmp_path / "models/net.safetensors"
    dataset = WeightsDataset(filepath=str(target))
    dataset.save(weights)
    old = target.read_bytes()

    def half(source, destination):
        destination.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(datasets.os, "link", half)
    monkeypatch.setattr(datasets.shutil, "copyfile", half)
    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(weights)
    assert target.read_bytes() == old
    assert [path.name for path in target.parent.iterdir()] == ["net.safetensors"]


def test_weights_saved_onto_themselves_stay(weights):
    dataset = WeightsDataset(filepath=str(weights.path))
    dataset.save(weights)
    assert dataset.load() == weights


@pytest.mark.parametrize("stage", ["mixer_pretraining", "mixer_pretraining_sl"])
def test_the_catalog_reads_a_pretrained_mixer_under_its_former_name(tmp_path, monkeypatch, stage):
    """As an earlier version left it in data/06_models; the next save is under the present name."""
    monkeypatch.chdir(tmp_path)
    loader = ProjectConfigLoader(str(CONF), **settings.CONFIG_LOADER_ARGS)
    catalog = DataCatalog.from_config(loader["catalog"])
    name, folder = f"{stage}.mixer_weights", tmp_path / "data/06_models" / stage
    catalog.get(name)._logging_activated = False
    assert not catalog.exists(name)
    old = save_weights(folder / "bundle.safetensors", {"w": torch.zeros(1)}, {"epochs": 1})
    assert catalog.exists(name)
    assert catalog.load(name).metadata == {"epochs": 1}
    assert json.loads(catalog.get(name).preview()) == {"epochs": 1}
    catalog.save(name, save_weights(tmp_path / "result.safetensors", {"w": torch.ones(1)}, {"epochs": 2}))
    assert catalog.load(name).metadata == {"epochs": 2} and (folder / "mixer.safetensors").exists()
    assert old.metadata == {"epochs": 1}


def test_missing_weights_say_what_to_do(tmp_path):
    with pytest.raises(DatasetError) as caught:
        WeightsDataset(filepath=str(tmp_path / "none.safetensors")).load()
    assert isinstance(caught.value.__cause__, DataError)
    assert "Run the stage that writes these weights first" in str(caught.value)


def test_previews_work_inside_an_artifact(tmp_path, weights):
    dataset = MlflowArtifactDataset(
        dataset={"type": "samix.kedro.datasets.WeightsDataset", "filepath": str(weights.path)}
    )
    assert json.loads(dataset.preview()) == {"epochs": 2}
    assert DataCatalog({"net": dataset}).load("net") == weights


def test_a_picture_is_drawn_once_and_read_as_png(tmp_path):
    dataset = MlflowArtifactDataset(
        dataset={"type": "samix.kedro.pictures.PictureDataset", "filepath": str(tmp_path / "a.png")}
    )
    dataset._logging_activated = False
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    dataset.save(figure)
    assert dataset.load() == (tmp_path / "a.png").read_bytes()
    assert dataset.load().startswith(b"\x89PNG")
    assert base64.b64decode(dataset.preview()) == dataset.load()


def test_run_info_is_a_json_file(tmp_path):
    dataset = RunInfoDataset(filepath=str(tmp_path / "run_info.json"))
    with pytest.raises(DatasetError):
        dataset.load()
    dataset.save({"seconds": {"reporting": 1.5}})
    assert dataset.load() == json.loads(dataset.preview()) == {"seconds": {"reporting": 1.5}}
