"""Tables on the screen and in pages."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from samix.commands import main
from samix.commands.table import TABLES, write_into
from samix.core.errors import ConfigError
from samix.mixup.table import report

ROOT = Path(__file__).parents[2]
MARKS = "# Page\n\n<!-- samix table methods -->\n{}\n<!-- end of samix table methods -->\n\nMore.\n"


def commands_of_make_docs():
    """Arguments of each `samix` that `make docs` runs."""
    (recipe,) = re.findall(r"^docs:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.M)
    lines = [line.strip() for line in recipe.splitlines()]
    assert all(line.startswith("$(BIN)/samix ") for line in lines)
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.slow
def test_policies_are_printed(capsys):
    main(["table", "policies"])
    assert capsys.readouterr().out.strip() == report()


@pytest.mark.slow
def test_make_docs_changes_nothing(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("*.png"))
    monkeypatch.chdir(tmp_path)
    for arguments in commands_of_make_docs():
        main(arguments)
    for page in (tmp_path / "docs").glob("*.md"):
        assert page.read_text() == (ROOT / "docs" / page.name).read_text(), "make docs writes another page"


def test_make_docs_writes_every_table_that_a_page_has_a_place_for():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    places = [
        (table, page.relative_to(ROOT).as_posix())
        for page in pages
        for table in re.findall(r"<!-- samix table (\w+) -->", page.read_text())
    ]
    found = [arguments for arguments in commands_of_make_docs() if arguments[0] == "table"]
    assert sorted(found) == sorted(["table", table, "--into", page] for table, page in places)
    assert places and {table for table, _ in places} <= TABLES.keys()


@pytest.mark.parametrize("old", ["", "\nan old table\n"])
def test_a_table_takes_the_place_of_the_old_one(tmp_path, old):
    page = tmp_path / "page.md"
    page.write_text(MARKS.format(old))
    write_into(page, "methods", "new\n\nrows")
    assert page.read_text() == MARKS.format("\nnew\n\nrows\n")
    main(["table", "methods", "--into", str(page)])
    assert "| moco " in page.read_text() and "new" not in page.read_text()


def test_a_page_without_a_place(tmp_path, capsys):
    with pytest.raises(ConfigError, match=r"there is no page .*none\.md"):
        write_into(tmp_path / "none.md", "methods", "rows")
    page = tmp_path / "page.md"
    for text in ("nothing", MARKS.replace("end of", "no end of"), MARKS.replace("methods", "backbones")):
        page.write_text(text)
        with pytest.raises(SystemExit) as end:
            main(["table", "methods", "--into", str(page)])
        assert end.value.code == 1 and page.read_text() == text
        assert "has no place for the table: write the lines <!-- samix table me" in capsys.readouterr().err
