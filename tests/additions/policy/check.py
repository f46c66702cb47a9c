import pytest
from pydantic import ValidationError

from samix.config.mixing import PolicyConfig
from samix.mixup import POLICIES, RandomChoice
from samix.mixup.table import name_of, policy_rows
from samix.mixup.toy import Toy


def test_it_is_a_policy_of_the_registry():
    assert POLICIES["toy"] is Toy and name_of(Toy()) == "toy"
    assert type(RandomChoice(("mixup", "toy")).policies[1]) is Toy
    assert [row[-1] for row in policy_rows() if row[0] == "toy"] == ["`times=1`"]


def test_its_options():
    assert PolicyConfig(name="toy", options={"times": 2}).options == {"times": 2}
    with pytest.raises(ValidationError, match="Did you mean 'times'"):
        PolicyConfig(name="toy", options={"time": 2})
