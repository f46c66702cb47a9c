"""Draw every policy on the same photographs.

IMAGES is a folder, searched with all folders below it, or a list of image files. --network, once or more
often, adds policies that need a trained network, and --pretrained-mixer adds SAMix-P.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from samix.core.packages import require

NEEDS = {"torch": "torch", "torchvision": "torchvision", "timm": "timm", "PIL": "pillow", "numpy": "numpy"}


def main(arguments: Sequence[str]) -> None:
    """Draw the sheet and write it.

    Raises: DependencyError for missing packages; DataError for missing or unsuitable files.
    """
    given = _parser().parse_args(arguments)
    require("samix gallery", NEEDS)
    from samix.analysis.gallery import photographs, save_sheet, sheet
    from samix.analysis.gallery_mixes import shown_policies

    shown = shown_policies(given.pretrained_mixer, given.network)
    save_sheet(sheet(shown, photographs(given.images, given.seed), given.seed), given.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="samix gallery", description=__doc__)
    parser.add_argument("images", type=Path, nargs="+", help="a folder of photographs, or four of them")
    parser.add_argument("out", type=Path, help="the sheet, a PNG file")
    parser.add_argument(
        "--network",
        type=Path,
        action="append",
        default=[],
        help="a classifier of the stage sl_training, for policies that need one; a convolutional one and a "
        "transformer for all of them",
    )
    parser.add_argument(
        "--pretrained-mixer", type=Path, help="mixer.safetensors of a stage, to show SAMix-P as well"
    )
    parser.add_argument("--seed", type=int, default=0, help="draws photographs, boxes and masks")
    return parser
