"""Weights files carry tensors and their description."""

import pytest
import torch
from safetensors.torch import save_file

from samix.core.errors import DataError
from samix.core.weights import WeightsFile, save_weights


def tensors_of():
    base = torch.randn(4, 6)
    return {
        "encoder.weight": base,
        "encoder.part": base[1:3],  # shares storage
        "head.bias": torch.arange(3),
        "head.turned": base.T,  # not contiguous
        "head.scalar": torch.tensor(0.5, requires_grad=True),
    }


def test_round_trip(tmp_path):
    tensors, about = tensors_of(), {"kind": "test", "nested": {"mean": [0.1, 0.2]}, "none": None}
    file = save_weights(tmp_path / "w.safetensors", tensors, about)
    assert file == WeightsFile(tmp_path / "w.safetensors")
    loaded = file.load()
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor) and loaded[name].dtype == tensor.dtype
    assert file.metadata == about
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_prefix_selects_and_is_removed(tmp_path):
    file = save_weights(tmp_path / "w.safetensors", tensors_of(), {})
    assert file.load("head.").keys() == {"bias", "turned", "scalar"}
    with pytest.raises(DataError, match="'tail.'"):
        file.load("tail.")


def test_prefix_is_removed_once(tmp_path):
    file = save_weights(tmp_path / "w.safetensors", {"a.a.b": torch.ones(1)}, {})
    assert file.load("a.").keys() == {"a.b"}


@pytest.mark.parametrize("content", [None, b"no weights at all"])
def test_unreadable_files_are_named(tmp_path, content):
    path = tmp_path / "w.safetensors"
    if content:
        path.write_bytes(content)
    for read in (lambda: WeightsFile(path).load(), lambda: WeightsFile(path).metadata):
        with pytest.raises(DataError, match="w.safetensors"):
            read()


def test_foreign_files_have_no_metadata(tmp_path):
    path = tmp_path / "w.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file({"a": torch.ones(1)}, path, metadata)
        with pytest.raises(DataError, match="not written by samix"):
            _ = WeightsFile(path).metadata
        assert WeightsFile(path).load()["a"] == 1


def test_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.ones(1)}, {"v": 1})
    with pytest.raises(TypeError):
        save_weights(path, {"a": torch.zeros(1)}, {"v": object()})
    assert WeightsFile(path).load()["a"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]
