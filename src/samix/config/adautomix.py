"""AdAutoMix's own options."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from samix.config.base import Config


class AdAutoMixConfig(Config):
    """`options` of policy adautomix; its network is trained with the optimiser of the Mixer's parameters."""

    parents: int = Field(3, ge=2, description="K: images in a mixed one; of 2 the first is the image itself")
    random_parents: bool = Field(False, description="2 to `parents`, drawn in every step")
    rho: float = Field(
        0.5, ge=0, le=1, description="weight of a linear mix besides the learnt one, of 3 and more parents; "
        "un-mixed images have 1 - rho"
    )  # fmt: skip
    balance: float = Field(0.3, ge=0, le=1, description="b: adversarial steps have weight b on the mixed CE")
    interval: int = Field(2, ge=1, description="every interval-th step is adversarial")
    cosine: Literal["similar", "as_released"] = Field(
        "similar",
        description="similar: the mixed image is to stay like its parents, the paper's aim; as_released: the "
        "published code's sign, which makes it unlike them",
    )
    lam_margin: float = Field(
        0.03, ge=-1, lt=0.5, description="linear mixes where the largest share is 1 - lam_margin and more"
    )
