"""The network and the self-supervised method."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from samix.config.base import Config
from samix.config.data import AugmentConfig
from samix.config.names import OneOf, Registered
from samix.config.networks import BackboneConfig, ProjectorConfig
from samix.config.options import problems_of
from samix.config.registry import METHODS
from samix.config.training import OptimizerConfig

CrossView = Literal["q2k", "swap", "same", "same_swap"]


class MethodConfig(Config):
    """Parameters that every self-supervised method has."""

    batch_size: int = Field(256, ge=2, description="images of a global batch")
    cross_view: CrossView = Field(
        "q2k",
        description="views of (first parent, second parent) -> (first target, second target). q2k: qq -> kk; "
        "swap: qk -> kq; ablations, same: qq -> qq; same_swap: qk -> qk",
    )
    projector: ProjectorConfig = ProjectorConfig()
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()


class EMAMethodConfig(MethodConfig):
    """Parameters of methods whose teacher is a moving average of the encoder."""

    renamed = {"momentum": "ema"}

    ema: float = Field(
        0.999, ge=0, le=1, description="m of the momentum encoder, which is m * itself + (1 - m) * encoder"
    )
    ema_buffers: bool = Field(
        False, description="average BatchNorm's statistics as well; else the momentum encoder has its own"
    )


class MoCoConfig(EMAMethodConfig):
    """MoCo v2: shared by every stage that trains with it; the batch size divides the queue."""

    queue: int = Field(16384, ge=2, description="negatives; at least a batch, at most the data set")
    temperature: float = Field(0.2, gt=0)


def method_parameters(name: str) -> type[MethodConfig]:
    """The model of a method's parameters; for a method other than moco its module is imported."""
    return MoCoConfig if name == "moco" else Registered[Any](METHODS)[name].Config


class MethodChoice(Config):
    """Which method trains without labels."""

    name: Annotated[str, OneOf(METHODS)] = Field("moco", description="of `samix table methods`")
    options: dict[str, Any] = Field(
        {}, description="parameters of a method other than moco, whose own are those of model.moco"
    )

    @model_validator(mode="after")
    def _options_are_the_methods(self) -> Self:
        if self.name == "moco" and self.options:
            raise ValueError("options are for methods other than moco: set model.moco")
        if self.name != "moco":
            self.config()
        return self

    def config(self) -> MethodConfig:
        """The parameters of a method other than moco."""
        model = method_parameters(self.name)
        try:
            return model.model_validate(self.options)
        except ValidationError as error:
            raise PydanticCustomError("options", "{text}", {"text": problems_of(model, error)}) from error


class ModelConfig(Config):
    """The network and the self-supervised method, shared by every stage."""

    backbone: BackboneConfig = BackboneConfig()
    method: MethodChoice = MethodChoice()
    moco: MoCoConfig = MoCoConfig()

    @property
    def method_config(self) -> MethodConfig:
        """The parameters of the chosen method."""
        return self.moco if self.method.name == "moco" else self.method.config()
