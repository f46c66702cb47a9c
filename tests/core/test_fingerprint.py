"""Equal parts give equal fingerprints, and every change shows."""

import pandas as pd
import pytest
import torch

from samix.config.networks import MixerConfig
from samix.core.errors import DataError
from samix.core.fingerprint import fingerprint
from samix.core.weights import save_weights


def frame(**changes):
    return pd.DataFrame({"index": [0, 1], "label": [3, 4], "path": [None, "a.png"], **changes})


def test_equal_parts_in_any_order():
    one = fingerprint(a={"x": 1, "y": [1, 2]}, b=MixerConfig(), c=frame())
    two = fingerprint(c=frame(), b=MixerConfig(), a={"y": [1, 2], "x": 1})
    assert one == two
    assert len(one) == 32 and set(one) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": MixerConfig()}, {"a": MixerConfig(rescale_k=0.25)}),
        ({"a": frame()}, {"a": frame(label=[4, 3])}),
        ({"a": frame()}, {"a": frame().rename(columns={"label": "pseudo_label"})}),
        ({"a": frame()}, {"a": frame().iloc[::-1]}),
        ({"a": frame()}, {"a": frame(path=[None, "b.png"])}),
        ({"a": frame()}, {"a": frame().drop(columns="path")}),
    ],
)
def test_changes_show(one, two):
    assert fingerprint(**one) != fingerprint(**two)


def test_files_count_by_content(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"1")
    (tmp_path / "c").write_bytes(b"2")
    a, b, c = (fingerprint(file=tmp_path / name) for name in "abc")
    assert a == b != c


def test_folders_count_by_names_and_sizes_of_their_files(tmp_path):
    def folder(name, files):
        for file, content in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return fingerprint(folder=tmp_path / name)

    one = folder("a", {"x.txt": "12", "deep/y.txt": "3"})
    assert folder("b", {"deep/y.txt": "4", "x.txt": "56"}) == one
    others = {
        folder("c", {"x.txt": "12"}),
        folder("d", {"x.txt": "1", "deep/y.txt": "3"}),
        folder("e", {"x.txt": "12", "y.txt": "3"}),
    }
    assert len(others | {one}) == 4


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match="no file or folder .*gone"):
        fingerprint(file=tmp_path / "gone")


def test_weights_count_by_content(tmp_path):
    a = save_weights(tmp_path / "a.safetensors", {"w": torch.ones(2)}, {"v": 1})
    b = save_weights(tmp_path / "b.safetensors", {"w": torch.ones(2)}, {"v": 1})
    c = save_weights(tmp_path / "c.safetensors", {"w": torch.zeros(2)}, {"v": 1})
    d = save_weights(tmp_path / "d.safetensors", {"w": torch.ones(2)}, {"v": 2})
    digests = [fingerprint(w=file) for file in (a, b, c, d)]
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_how_weights_were_made_does_not_count(tmp_path):
    record = {"fingerprint": "f", "made_with": {"threads": 1}}
    a = save_weights(tmp_path / "a.safetensors", {"w": torch.ones(2)}, {"v": 1})
    b = save_weights(tmp_path / "b.safetensors", {"w": torch.ones(2)}, {"v": 1, **record})
    c = save_weights(tmp_path / "c.safetensors", {"u": torch.ones(2)}, {"v": 1})
    d = save_weights(tmp_path / "d.safetensors", {"w": torch.ones(1, 2)}, {"v": 1})
    assert a.fingerprint == b.fingerprint and len({a.fingerprint, c.fingerprint, d.fingerprint}) == 3


def test_what_is_not_understood_is_refused():
    with pytest.raises(TypeError):
        fingerprint(a=torch.ones(1))
