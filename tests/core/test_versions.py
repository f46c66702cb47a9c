"""Versions and code that results record."""

from importlib import import_module

from samix.core.fingerprint import code_of
from samix.core.versions import source_digest, versions


def test_versions_name_what_is_missing(monkeypatch):
    monkeypatch.setattr("samix.core.versions._PACKAGES", ("torch", "no-such-package"))
    found = versions()
    assert found["torch"][0].isdigit()
    assert found["no-such-package"] == "not installed"


def test_code_is_the_same_whatever_its_comments_and_docstrings_say(tmp_path, monkeypatch):
    def digest(name, text):
        (tmp_path / f"toy_code_{name}.py").write_text(text)
        return code_of(import_module(f"toy_code_{name}").Toy)

    monkeypatch.syspath_prepend(tmp_path)
    body = "class Toy:\n    def f(self):\n        return {}\n"
    one = digest("one", body.format(1))
    said = '"""A module."""\n\nclass Toy:\n    """A class."""\n    def f( self ):  # why\n        return 1\n'
    assert digest("two", said) == one
    assert digest("three", body.format(2)) != one
    assert digest("four", body.format(1) + "\nx = 3\n") != one


def test_inherited_code_of_the_own_package_counts(tmp_path, monkeypatch):
    def digest(name, number):
        package = tmp_path / f"toy_package_{name}"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "base.py").write_text(f"class Base:\n    def f(self):\n        return {number}\n")
        (package / "toy.py").write_text("from .base import Base\n\n\nclass Toy(Base):\n    pass\n")
        return code_of(import_module(f"toy_package_{name}.toy").Toy)

    monkeypatch.syspath_prepend(tmp_path)
    one = digest("one", 1)
    assert digest("two", 1) == one
    assert digest("three", 2) != one


def test_the_source_has_a_digest():
    assert len(source_digest()) == 12
