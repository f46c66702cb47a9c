"""Trainings that are stopped, and the comparison of what they leave."""

import torch


class Stop(Exception):
    pass


class Stopper:
    """A sink that stops the training at one step."""

    def __init__(self, step):
        self.step = step

    def __call__(self, metrics, step):
        if step == self.step:
            raise Stop

    def flush(self):
        pass


def require_equal(a, b, where=""):
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            require_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            require_equal(x, y, f"{where}[{i}]")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, where
