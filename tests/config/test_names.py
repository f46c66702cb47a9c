"""Names in parameters, and tables that import a class when it is looked up."""

import sys
from fractions import Fraction
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from samix.config.alphas import DataSet
from samix.config.comparison import Variant
from samix.config.data import DataConfig
from samix.config.detection import DetectorConfig
from samix.config.mixing import PolicyConfig
from samix.config.names import OneOf, Registered
from samix.config.stages import LinearEvaluationConfig

TABLE = {"half": "fractions:Fraction", "twice": "no_such_module:Twice", "third": "fractions:Third"}


def test_a_table_imports_what_is_looked_up_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    table = Registered({**TABLE, "zen": "this:s"})
    assert list(table) == [*TABLE, "zen"] and len(table) == 4 and "zen" in table and "one" not in table
    assert table["half"] is Fraction
    assert "this" not in sys.modules


def test_what_cannot_be_looked_up():
    table = Registered(TABLE)
    for name, error in (("one", KeyError), ("twice", ModuleNotFoundError), ("third", AttributeError)):
        with pytest.raises(error):
            table[name]


def test_the_name_of_a_class():
    class Mine(Fraction):
        pass

    table = Registered(TABLE)
    assert table.name_of(Fraction) == "half" and table.name_of(Mine) is None


def test_the_names_are_those_of_the_moment():
    """Another package may add its own, also after the parameters' models are made."""
    names = {"one": "fractions:Fraction"}
    adapter = TypeAdapter(Annotated[str, OneOf(names, "none")])
    with pytest.raises(ValidationError):
        adapter.validate_python("two")
    names["two"] = "fractions:Fraction"
    assert [adapter.validate_python(name) for name in ("none", "one", "two")] == ["none", "one", "two"]


@pytest.mark.parametrize(
    ("model", "values", "close"),
    [
        (PolicyConfig, {"name": "cutmx"}, "cutmix"),
        (PolicyConfig, {"name": "non"}, "none"),
        (Variant, {"policy": "samixp"}, "samix_p"),
        (PolicyConfig, {"name": "random_choice", "options": {"policies": ["mixup", "cutmx"]}}, "cutmix"),
        (DataConfig, {"source": "cifar_100"}, "cifar100"),
        (DetectorConfig, {"name": "faster_rcnn"}, "faster_rcnn_c4"),
        (LinearEvaluationConfig, {"protocols": ["liner"]}, "linear"),
    ],
)
def test_a_name_that_is_almost_right(model, values, close):
    with pytest.raises(ValidationError, match=f"unknown. Did you mean '{close}'.* Known: ") as caught:
        model(**values)
    assert "Value error, unknown" not in str(caught.value)


def test_other_values_are_refused_as_well():
    for wrong in (None, 3, ["mixup"]):
        with pytest.raises(ValidationError, match="valid string"):
            PolicyConfig(name=wrong)
    with pytest.raises(ValidationError, match=r"unknown\. Known: aircraft"):
        TypeAdapter(DataSet).validate_python("no data set at all")
