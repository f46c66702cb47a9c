import pytest
from pydantic import ValidationError

from samix.commands.table import main as table
from samix.config.ssl import ModelConfig
from samix.methods import METHODS
from samix.methods.toy import Toy


def test_it_is_a_method_of_the_registry():
    assert METHODS["toy"] is Toy


def test_its_parameters():
    model = ModelConfig(method={"name": "toy", "options": {"temperature": 0.3}})
    assert model.method_config.temperature == 0.3 and model.method_config.batch_size == 256
    with pytest.raises(ValidationError, match="Did you mean 'temperature'"):
        ModelConfig(method={"name": "toy", "options": {"temprature": 0.3}})


def test_the_table_lists_it(capsys):
    table(["methods"])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "Parameters of the toy" in line]
    assert "toy" in row.split("|")[1] and "`temperature=0.5`" in row
