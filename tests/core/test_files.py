"""Files are whole or absent."""

import json

import pytest

from samix.core.errors import DataError
from samix.core.files import atomic_path, read_json, write_json


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_success_renames(tmp_path):
    target = tmp_path / "a" / "b.bin"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent and temporary.suffix == ".bin"
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["b.bin"]


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_what_was_there(tmp_path, old, error):
    target = tmp_path / "b.bin"
    if old:
        target.write_bytes(old)
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert names(tmp_path) == (["b.bin"] if old else [])
    assert not old or target.read_bytes() == old


def test_success_replaces(tmp_path):
    target = tmp_path / "b.bin"
    target.write_bytes(b"old")
    with atomic_path(str(target)) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["b.bin"]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    target = tmp_path / "b.bin"
    target.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), atomic_path(target):
        """Nothing is written."""
    assert target.read_bytes() == b"old"


def test_json_round_trip(tmp_path):
    content = {"mean": [0.1, 1e-300], "name": "größe", "none": None}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content
    assert json.loads((tmp_path / "a.json").read_bytes()) == content


def test_json_that_cannot_be_written_changes_nothing(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    assert read_json(tmp_path / "a.json") == 1
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("content", [None, '{"a": ', ""])
def test_json_that_cannot_be_read_names_the_file(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match="a.json"):
        read_json(path)
