"""The training step, forward and all losses, is one graph that other draws do not compile again."""

import copy
import shutil

import pytest
import torch
from torch._dynamo.backends.debugging import aot_eager
from torch._inductor.compile_fx import compile_fx
from torch._subclasses.functional_tensor import FunctionalTensor

from helpers import tiny_moco, tiny_supervised
from samix.config.networks import BackboneConfig
from samix.mixup import for_graph

pytestmark = pytest.mark.compile

STEPS = 6
VIT = BackboneConfig(name="test_vit", stem="imagenet", image_size=32, tap=2)
SHORT = BackboneConfig(name="test_resnet", stem="imagenet", tap=3)  # inductor takes a second per layer


def supervised(kind, backbone=tiny_supervised.BACKBONE):
    """A host and its batches by step."""
    learner, side = tiny_supervised.learner_of(kind, backbone=backbone), backbone.image_size or 16
    return learner, lambda step: tiny_supervised.batch_of(step, side=side)


def moco(kind, **options):
    """As `supervised`."""
    if kind == "samix_p":
        return tiny_moco.with_samix_p(tiny_moco.learner_of("none")), tiny_moco.batch_of
    return tiny_moco.learner_of(kind, **options), tiny_moco.batch_of


HOSTS = {
    "supervised none": lambda: supervised("none"),
    "supervised mixup": lambda: supervised("mixup"),
    "supervised cutmix": lambda: supervised("cutmix"),
    "supervised resizemix": lambda: supervised("resizemix"),
    "supervised samix": lambda: supervised("samix"),
    "supervised samix_p": lambda: supervised("samix_p"),
    "transformer mixup": lambda: supervised("mixup", VIT),
    "transformer samix": lambda: supervised("samix", VIT),
    "moco none": lambda: moco("none"),
    "moco mixup": lambda: moco("mixup"),
    "moco samix, instance": lambda: moco("instance"),
    "moco samix, cluster": lambda: moco("cluster"),
    "moco samix_p": lambda: moco("samix_p"),
}


@pytest.fixture
def double(float64, monkeypatch):
    """The fixture float64, for the tensors of the tracer as well; Python numbers of a graph are constants."""
    monkeypatch.setattr(FunctionalTensor, "float", FunctionalTensor.double)
    torch._dynamo.reset()
    with torch._dynamo.config.patch(specialize_float=True):
        yield
    torch._dynamo.reset()


class Counted:
    """A backend that counts the graphs which it has compiled to the end."""

    def __init__(self, backend):
        self.backend, self.graphs = backend, 0

    def __call__(self, graph, inputs):
        compiled = self.backend(graph, inputs)
        self.graphs += 1
        return compiled


def one_step(learner, call, batch, step):
    """Loss and gradients of a step, then SGD and what follows the step."""
    ctx = tiny_moco.context(step)
    draws = learner.draw(batch, ctx)
    learner.before_step(ctx)
    loss = call(batch, for_graph(draws))["loss"]
    loss.backward()
    trained = {name: p for name, p in learner.named_parameters() if p.grad is not None}
    gradients = {name: p.grad.clone() for name, p in trained.items()}
    with torch.no_grad():
        for parameter in trained.values():
            parameter -= 0.01 * parameter.grad
            parameter.grad = None
    learner.after_step(ctx)
    return loss.detach(), gradients


def compared(host, backend, steps=STEPS):
    """Graphs that were compiled; each step is compared with the eager step of a copy."""
    learner, batch_of = host
    eager, counted = copy.deepcopy(learner), Counted(backend)
    compiled = torch.compile(learner, backend=counted, fullgraph=True, dynamic=False)
    for step in range(steps):
        found = one_step(learner, compiled, batch_of(step), step)
        expected = one_step(eager, eager, batch_of(step), step)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        assert len(found[1]) > 5
    return counted.graphs


@pytest.mark.parametrize("name", HOSTS)
def test_a_step_is_one_graph_and_equals_eager(name, double):
    assert compared(HOSTS[name](), aot_eager) == 1


@pytest.mark.parametrize("kind", ["none", "mixup", pytest.param("samix", marks=pytest.mark.long)])
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor requires the C++ compiler g++")
def test_inductor_compiles_a_supervised_step_once(kind, double):
    assert compared(supervised(kind, SHORT), compile_fx, steps=3) == 1


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor requires the C++ compiler g++")
def test_inductor_compiles_a_step_of_samix_c_once(double):
    assert compared(moco("cluster", backbone=SHORT), compile_fx, steps=3) == 1
