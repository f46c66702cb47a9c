import dataclasses

import torch

from samix.evaluation.protocol import EVALUATIONS, Frozen


def test_it_finds_the_nearest_mean():
    given = dict.fromkeys(field.name for field in dataclasses.fields(Frozen))
    train, test = torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([[0.5], [5.1], [20.0], [4.9]])
    frozen = Frozen(
        **given
        | {
            "card": {"classes": ["low", "high"]},
            "features": {"train": train, "test": test},
            "labels": {"train": torch.tensor([0, 0, 1]), "test": torch.tensor([0, 1, 0, 0])},
        }
    )
    assert EVALUATIONS["toy"](frozen).figures == {"top1": 75.0}
