"""The page: everything in it, escaped, complete in itself."""

import base64
import re
from html.parser import HTMLParser

import pytest

from samix.analysis.report import HEADLINES, Picture, html_report, markdown_report

RUN = {
    "command": "kedro run --params='a<b & c'",
    "pipeline": "samix_ssl",
    "environment": "base",
    "seed": 7,
    "versions": {"torch": "2.15.0", "python": "3.11"},
    "commit": "abc123",
    "dirty": "true",
    "seconds": {"data_preparation": 1.26, "ssl_training": 30.0},
}
SUMMARY = {
    "detection.AP": 0.16123,
    "linear.top1": 93.17,
    "mixer.mask_error": 0.0512,
    "clustering.largest": 211.0,
    "seconds.ssl_training": 30.0,
}
PICTURES = [
    Picture("Masks <over> lam", b"\x89PNG one", "mixer/masks.png"),
    Picture("Confusion", b"\x89PNG two", "linear/confusion.png"),
]
VOID = {"meta", "img", "br", "hr", "link"}


class Page(HTMLParser):
    """Headings, cells and pictures of a page; fails where tags do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.images, self.rows = [], {}, [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes))
        if tag == "tr":
            self.rows.append([])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)
        elif self.open and data.strip():
            self.text.setdefault(self.open[-1], []).append(data)


@pytest.fixture
def page():
    return Page(html_report(SUMMARY, RUN, PICTURES))


def test_page_is_well_formed_and_names_the_run(page):
    assert page.text["title"] == page.text["h1"] == ["samix: samix_ssl, environment base, seed 7"]
    assert page.text["code"] == [RUN["command"]]


def test_page_has_all_figures_once(page):
    rows = dict(page.rows)
    assert len(page.rows) == len(rows)
    assert rows[HEADLINES["linear.top1"]] == "93.17"
    assert rows[HEADLINES["detection.AP"]] == "0.1612"
    assert rows["clustering.largest"] == "211"
    assert rows["ssl_training"] == "30.0" and rows["total"] == "30.0"
    assert rows["commit"] == "abc123 (with uncommitted changes)" and rows["torch"] == "2.15.0"
    assert not any(name.startswith("seconds.") for name in rows)


def test_headlines_come_in_their_order(page):
    names = [row[0] for row in page.rows]
    assert names[:3] == [HEADLINES[key] for key in ("linear.top1", "detection.AP", "mixer.mask_error")]


def test_pictures_are_inside_the_page_with_their_captions(page):
    assert [image["alt"] for image in page.images] == [p.caption for p in PICTURES]
    for image, picture in zip(page.images, PICTURES, strict=True):
        kind, data = image["src"].split(",")
        assert kind == "data:image/png;base64" and base64.b64decode(data) == picture.png
    assert page.text["h2"][-2:] == ["Masks <over> lam", "Confusion"]
    text = html_report(SUMMARY, RUN, PICTURES)
    assert not re.search(r"(src|href)=.(?!data:)", text)  # needs no other file


def cells(line):
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_has_the_same_figures_and_links_to_the_pictures(page):
    text = markdown_report(SUMMARY, RUN, PICTURES)
    table = [cells(line) for line in text.splitlines() if line.startswith("|")]
    assert all(len(row) == 2 for row in table)  # a name with a bar in it stays one cell
    assert [row for row in table if row[0] and "---" not in row[0]] == page.rows
    assert re.findall(r"!\[.*\]\((.*)\)", text) == [p.path for p in PICTURES]
    assert text.startswith("# samix: samix_ssl, environment base, seed 7\n\n    kedro run")


@pytest.mark.parametrize("report", [html_report, markdown_report])
def test_a_part_without_figures_has_no_heading(report):
    text = report({"linear.top1": 93.0}, RUN, [])
    assert "More figures" not in text and "Results" in text
    assert "Results" not in report({}, RUN, [])


def test_a_clean_commit_is_not_called_dirty():
    assert "uncommitted" not in html_report(SUMMARY, RUN | {"dirty": "false"}, [])


def test_a_project_without_history_has_no_commit():
    run = {key: value for key, value in RUN.items() if key not in ("commit", "dirty")}
    assert ["commit", "unknown"] in Page(html_report(SUMMARY, run, [])).rows
