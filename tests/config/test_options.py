"""Options of a class, by its own model or by its keywords."""

from typing import Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from samix.config.mixing import PolicyConfig
from samix.config.options import options_model, read_options
from samix.mixup import POLICIES


class Plain:
    def __init__(self, sides: int, form: Literal["round", "square"] = "round", *, scale: float = 1.0):
        self.given = sides, form, scale


class Child(Plain):
    pass


class Bare:
    pass


class Modelled:
    class Options(BaseModel, extra="forbid"):
        sides: int = Field(3, ge=3)

    def __init__(self, network):
        pass


def test_keywords_are_the_options_of_a_class():
    assert list(options_model(Plain).model_fields) == ["sides", "form", "scale"]
    assert options_model(Child).model_fields.keys() == options_model(Plain).model_fields.keys()
    assert not options_model(Bare).model_fields
    assert Plain(**read_options(Plain, {"sides": 4, "scale": 2})).given == (4, "round", 2.0)
    assert options_model(Modelled) is Modelled.Options
    assert read_options(Modelled, {"sides": 5}) == {"sides": 5} and read_options(Modelled, {}) == {}


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (Plain, {}, "options.sides: missing"),
        (
            Plain,
            {"sides": 1, "frm": 2},
            "options.frm: unknown. Did you mean 'form'? Known: form, scale, sides",
        ),
        (Plain, {"sides": "many"}, "options.sides = 'many': Input should be a valid integer"),
        (Plain, {"sides": 1, "form": "flat"}, "options.form = 'flat': Input should be 'round' or 'square'"),
        (Bare, {"sides": 1}, "options.sides: unknown. There are no options"),
        (Modelled, {"sides": 2}, "options.sides = 2: Input should be greater than or equal to 3"),
        (Modelled, {"network": 2}, "options.network: unknown. Known: sides"),
    ],
)
def test_options_that_cannot_be(kind, given, message):
    with pytest.raises(ValueError, match=r"^options") as caught:
        read_options(kind, given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("none", {"cells": 4}, "options are of a policy, and name is none"),
        ("samix", {"eta": 0.5}, "options.eta: unknown. There are no options"),
        ("samix_p", {"backbone": "resnet18"}, "There are no options"),
        ("mixup", {"alpha": 1}, "There are no options"),
        ("gridmix", {"cell": 4}, "options.cell: unknown. Did you mean 'cells'?"),
        ("gridmix", {"form": "hole"}, "options.form = 'hole': Input should be 'holes' or 'cells'"),
        ("adautomix", {"parants": 3}, "options.parants: unknown. Did you mean 'parents'"),
        ("adautomix", {"parents": 1}, "options.parents = 1: Input should be greater than or equal to 2"),
    ],
)
def test_options_of_policies_are_checked_with_the_parameters(name, options, message):
    with pytest.raises(ValidationError) as caught:
        PolicyConfig(name=name, options=options)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", POLICIES)
def test_the_defaults_of_a_policy_are_good_options(name):
    """A model that refuses the defaults would refuse whoever spells them out."""
    fields = options_model(POLICIES[name]).model_fields
    given = {key: field.default for key, field in fields.items() if field.default is not None}
    assert PolicyConfig(name=name, options=given).options == given
