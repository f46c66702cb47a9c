"""Stage data_preparation: images, read, checked, listed, shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kedro.pipeline import Node, Pipeline

from samix.config.data import DataConfig
from samix.kedro.pipelines.declared import SEED, declared_node, sections_of
from samix.stages.checks import check_settings
from samix.stages.stage import Stage

NAME = "data_preparation"
DETAILS = {"contact_sheet_picture": "The images"}
"""Captions of its pictures, see `Stage`."""


def data_preparation(stages: Sequence[Stage]) -> Pipeline:
    """The stage data_preparation, which checks the settings of the stages that follow it."""
    sections = list(dict.fromkeys(f"params:{section}" for stage in stages for section in stage.sections))

    def check(found: dict[str, Any]) -> dict[str, Any]:
        """Hold the settings of the stages that follow against the data; the card passes through."""
        if stages:
            check_settings(stages, sections_of(found), found["unchecked_card"])
        card: dict[str, Any] = found["unchecked_card"]
        return card

    return Pipeline(
        [
            Node(
                prepare_images,
                ["params:data_preparation", SEED],
                ["manifest", "unchecked_card", "class_counts_table"],
                name="prepare_images",
            ),
            declared_node(
                check, ["unchecked_card", *sections], "dataset_card", name="check_settings", shown=check
            ),
            Node(
                describe_images,
                ["dataset_card", "manifest", "class_counts_table"],
                ["metrics", "contact_sheet_picture", "class_counts_chart"],
                name="describe_images",
            ),
        ],
        namespace=NAME,
        parameters={"params:data_preparation", SEED, *sections},
    )


def prepare_images(data: DataConfig, seed: int) -> tuple[Any, dict[str, Any], Any]:
    """Read, check and list the images: manifest, card and class counts."""
    from samix.data import prepare

    return tuple(prepare(data, seed))  # type: ignore[return-value]


def describe_images(
    card: dict[str, Any], manifest: Any, class_counts: Any
) -> tuple[dict[str, float], Any, Any]:
    """Figures, contact sheet and chart of the class counts."""
    from samix.analysis.images import class_counts_figure, contact_sheet
    from samix.data import Images

    metrics = {f"data.{split}": float(count) for split, count in card["counts"].items()}
    metrics |= {"data.classes": float(len(card["classes"])), "data.duplicates": float(card["duplicates"])}
    sheet = contact_sheet(Images(card, manifest).open("train"), card)
    return metrics, sheet, class_counts_figure(class_counts)
