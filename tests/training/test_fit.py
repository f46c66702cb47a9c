"""What `fit` computes, reports and refuses, against plain loops."""

import math

import pytest
import torch
from timm.models import VisionTransformer
from torch import nn

from helpers.toys import PLAIN, Line, Notes, Numbers, toy_job, train
from samix.config.networks import MixerConfig
from samix.core.errors import TrainingError
from samix.core.learner import Learner, OptimizedModules
from samix.core.random import seed_for
from samix.core.step import StepContext
from samix.mixup import Mixer


def by_hand(steps, lr, momentum, decay):
    """Weights and losses of SGD on `Line`, in float64, with gradients written out."""
    weight = torch.arange(6, dtype=torch.float64).view(2, 3) / 10
    bias = torch.tensor([0.5, -0.5], dtype=torch.float64)
    speed = [torch.zeros_like(weight), torch.zeros_like(bias)]
    losses = []
    for step in range(steps):
        ctx = StepContext(seed=seed_for(3, "toy job/fit"), step=step, total_steps=steps, epoch=step // 4)
        x, y = (t.double() for t in Numbers().load(ctx))
        error = x @ weight.T + bias - y
        losses.append(error.square().mean().item())
        gradients = [error.T @ x / 8 + decay * weight, error.sum(0) / 8 + decay * bias]
        speed = [momentum * s + g for s, g in zip(speed, gradients, strict=True)]
        weight, bias = weight - lr * speed[0], bias - lr * speed[1]
    return weight, bias, losses


def test_weights_and_losses_equal_those_of_a_loop_by_hand(tmp_path):
    learner = Line(PLAIN.model_copy(update={"momentum": 0.9, "weight_decay": 0.1}))
    history = train(toy_job(tmp_path), learner)
    weight, bias, losses = by_hand(12, 0.1, 0.9, 0.1)
    torch.testing.assert_close(learner.linear.weight.detach().double(), weight, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(learner.linear.bias.detach().double(), bias, atol=1e-5, rtol=1e-5)
    assert [row["loss"] for row in history] == pytest.approx(losses, rel=1e-5)
    assert learner.after == 11


class Told(Line):
    """Notes the calls of `fit` and what they are given."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def draw(self, batch, ctx):
        self.calls.append(("draw", ctx.step, len(batch), torch.initial_seed()))
        return super().draw(batch, ctx)

    def before_step(self, ctx):
        self.calls.append(("before_step", ctx.step))

    def training_step(self, batch, draws):
        self.calls.append(("training_step", int(draws), len(batch)))
        return super().training_step(batch, draws)

    def after_step(self, ctx):
        self.calls.append(("after_step", ctx.step))


def test_calls_of_a_step_in_their_order(tmp_path):
    """The global generator is seeded in each step, before the first of its calls."""
    learner = Told()
    train(toy_job(tmp_path), learner, epochs=1)
    seeds = [seed_for(seed_for(3, "toy job/fit"), "global", step, 0) for step in range(4)]
    assert learner.calls == [
        call
        for step in range(4)
        for call in (
            ("draw", step, 2, seeds[step]),
            ("before_step", step),
            ("training_step", step, 2),
            ("after_step", step),
        )
    ]


def test_a_row_is_the_mean_since_the_row_before(tmp_path):
    """Rows at every third step, at checkpoints (every fifth) and at the end."""
    history = train(toy_job(tmp_path, log_every=3, checkpoint_every=5), Line())
    *_, losses = by_hand(12, 0.1, 0.0, 0.0)
    bounds = [0, 3, 5, 6, 9, 10, 12]
    assert [row["step"] for row in history] == bounds[1:]
    assert [row["epoch"] for row in history] == [step / 4 for step in bounds[1:]]
    for row, start, stop in zip(history, bounds[:-1], bounds[1:], strict=True):
        assert row["loss"] == pytest.approx(sum(losses[start:stop]) / (stop - start), rel=1e-5)
        assert row["step_seen"] == (start + stop - 1) / 2
        assert row["lr/line"] == 0.1


def test_epoch_end_sees_a_resting_learner_and_its_figures_reach_row_and_sink(tmp_path):
    seen, sink = [], Notes()

    def validate(learner, ctx):
        seen.append((ctx.step, ctx.epoch, learner.training, torch.is_grad_enabled()))
        return {"top1": 10.0 * ctx.epoch}

    learner = Line()
    history = train(toy_job(tmp_path, sink=sink, log_every=3), learner, on_epoch_end=validate)
    assert seen == [(3, 0, False, False), (7, 1, False, False), (11, 2, False, False)]
    assert learner.training
    assert {row["step"]: row["top1"] for row in history if "top1" in row} == {4: 0.0, 8: 10.0, 12: 20.0}
    assert [row for row in sink.rows if "top1" in row[1]] == [
        (4, {"top1": 0.0}),
        (8, {"top1": 10.0}),
        (12, {"top1": 20.0}),
    ]
    assert sink.flushed == 1


def test_sink_gets_the_rows_under_the_name_of_the_fit(tmp_path):
    sink = Notes()
    history = train(toy_job(tmp_path, sink=sink, log_every=4), Line(), name="init", epochs=2)
    keys = ("loss", "step_seen", "lr/line")
    assert sink.rows == [(row["step"], {f"init/{key}": row[key] for key in keys}) for row in history]


def test_figures_without_a_value_stay_out_of_the_sink(tmp_path):
    sink = Notes()
    history = train(toy_job(tmp_path, sink=sink), Line(), epochs=1, on_epoch_end=lambda *_: {"auc": math.nan})
    assert math.isnan(history[-1]["auc"])
    assert len(sink.rows) == 5 and sink.rows[-1] == (4, {})


class Diverging(Line):
    """Its loss (nan) or its gradient (inf) leaves the real numbers at one step."""

    def __init__(self, step, where):
        super().__init__()
        self.bad, self.where = step, where

    def training_step(self, batch, draws):
        metrics = super().training_step(batch, draws)
        if draws != self.bad:
            return metrics
        if self.where == "loss":
            return {**metrics, "loss": metrics["loss"] * math.nan}
        zero = self.linear.weight.sum() * 0
        return {**metrics, "loss": metrics["loss"] + zero.sqrt()}  # value 0, slope infinite


@pytest.mark.parametrize("bad", [4, 5, 6, 7])
def test_a_loss_that_is_not_finite_stops_the_training_and_is_not_saved(tmp_path, bad):
    sink = Notes()
    job = toy_job(tmp_path, sink=sink, checkpoint_every=4, log_every=10)
    with pytest.raises(TrainingError, match=rf"toy job: the loss is not finite at step {bad} .*'loss': nan"):
        train(job, Diverging(bad, "loss"))
    resumed = Numbers()
    train(job, Line(), resumed)
    assert resumed.loaded[0] == 4  # the checkpoint of step 4 was kept, none was written after it
    assert all(math.isfinite(value) for _, row in sink.rows for value in row.values())


def test_weights_that_are_not_finite_are_not_saved_though_the_loss_was(tmp_path):
    job = toy_job(tmp_path, checkpoint_every=4, log_every=10)
    with pytest.raises(TrainingError, match="weights are not finite after step 7"):
        train(job, Diverging(7, "gradient"))
    resumed = Numbers()
    train(job, Line(), resumed)
    assert resumed.loaded[0] == 4
    with pytest.raises(TrainingError, match="weights are not finite after step 11"):
        train(toy_job(tmp_path / "end"), Diverging(11, "gradient"))
    assert not list((tmp_path / "end").rglob("*.pt"))


def test_gradient_is_clipped_to_its_norm(tmp_path):
    learner = Line(PLAIN.model_copy(update={"lr": 1.0, "clip_grad": 0.25}))
    before = torch.cat([p.detach().flatten().clone() for p in learner.parameters()])

    class One(Numbers):
        steps_per_epoch = 1

    train(toy_job(tmp_path), learner, One(), epochs=1)
    after = torch.cat([p.detach().flatten() for p in learner.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.25, rel=1e-4)


class Idle(Learner):
    """No gradient anywhere: only weight decay moves the parameters."""

    def __init__(self, optimizer):
        super().__init__()
        self.optimizer = optimizer
        self.body = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Linear(2, 2))
        self.gamma = nn.Parameter(torch.ones(()))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        nn.init.ones_(self.frozen.bias)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.fill_(1.0)

    def training_step(self, batch, draws):
        return {"loss": sum(p.sum() * 0 for p in self.parameters() if p.requires_grad)}

    def parameter_sets(self):
        return {"all": OptimizedModules([self], self.optimizer)}


@pytest.mark.parametrize(
    ("decay_all", "decayed"),
    [
        (True, {f"body.{part}.{kind}" for part in range(3) for kind in ("weight", "bias")} | {"gamma"}),
        (False, {"body.0.weight", "body.2.weight"}),
    ],
)
def test_what_decays(tmp_path, decay_all, decayed):
    learner = Idle(PLAIN.model_copy(update={"weight_decay": 0.5, "decay_all": decay_all}))
    train(toy_job(tmp_path), learner, epochs=1)
    moved = {name for name, p in learner.named_parameters() if not bool((p == 1).all())}
    assert moved == decayed
    for name in moved:
        expected = (1 - 0.1 * 0.5) ** 4
        assert learner.get_parameter(name).flatten()[0].item() == pytest.approx(expected, rel=1e-5)


class Pair(Line):
    """Two sets with optimisers of their own."""

    def parameter_sets(self):
        self.linear.weight.requires_grad_(False)
        self.second = nn.Linear(2, 2)
        slow = PLAIN.model_copy(update={"lr": 1e-3, "name": "adamw"})
        return {
            "line": OptimizedModules([self.linear], PLAIN),
            "second": OptimizedModules([self.second], slow),
        }

    def training_step(self, batch, draws):
        return {"loss": self.second(self.linear(batch[0])).square().mean()}


def test_each_set_has_its_optimiser(tmp_path):
    learner = Pair()
    before = {name: p.detach().clone() for name, p in learner.named_parameters()}
    history = train(toy_job(tmp_path), learner, epochs=1)
    assert (history[0]["lr/line"], history[0]["lr/second"]) == (0.1, 1e-3)
    assert torch.equal(learner.linear.weight, before["linear.weight"])
    assert not torch.equal(learner.linear.bias, before["linear.bias"])


def test_bf16_computes_in_half_precision_and_keeps_full_weights(tmp_path):
    kinds = []

    class Watched(Line):
        def training_step(self, batch, draws):
            kinds.append(self.linear(batch[0]).dtype)
            return super().training_step(batch, draws)

    learner = Watched()
    history = train(toy_job(tmp_path, precision="bf16"), learner, epochs=10)
    assert set(kinds) == {torch.bfloat16}
    assert {p.dtype for p in learner.parameters()} == {torch.float32}
    assert history[-1]["loss"] < 0.05 * history[0]["loss"]


class Sometimes(Line):
    """Reports a figure in every third step only, as a learner does that trains a part of itself then."""

    def training_step(self, batch, draws):
        metrics = super().training_step(batch, draws)
        return metrics if draws % 3 else {**metrics, "rare": 10.0 * draws}


def test_a_figure_that_some_steps_lack_is_the_mean_of_those_that_have_it(tmp_path):
    """Steps 0 to 11, rows of four: 0 and 3, 6, 9; a row without any has no such column."""
    history = train(toy_job(tmp_path / "four", log_every=4), Sometimes())
    assert [row["rare"] for row in history] == [15.0, 60.0, 90.0]
    *_, losses = by_hand(12, 0.1, 0.0, 0.0)
    assert [row["loss"] for row in history] == pytest.approx([sum(losses[i : i + 4]) / 4 for i in (0, 4, 8)])
    alone = train(toy_job(tmp_path / "one"), Sometimes())
    assert [row["step"] for row in alone if "rare" in row] == [1, 4, 7, 10]
    assert [row["step_seen"] for row in alone] == list(range(12))


def test_before_epoch_runs_between_epochs_and_nowhere_else(tmp_path):
    """12 steps of 4 an epoch: before steps 4 and 8, in training mode."""
    seen = []

    def shift(learner, ctx):
        seen.append((ctx.step, ctx.epoch, learner.training))
        learner.linear.bias.data.add_(1)

    learner, plain = Line(PLAIN.model_copy(update={"lr": 1e-12})), Line()
    train(toy_job(tmp_path), learner, before_epoch=shift)
    assert seen == [(4, 1, True), (8, 2, True)]
    torch.testing.assert_close(learner.linear.bias, plain.linear.bias + 2)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [4, 5, 7, 8, 9])
def test_before_epoch_is_not_repeated_by_a_resumed_run(tmp_path, stop):
    """Its effect is in the checkpoint of the epoch's end, or comes again with the steps before it."""

    def halve(learner, ctx):
        learner.linear.weight.data.mul_(0.5)

    job = toy_job(tmp_path / "two", checkpoint_every=4 if stop % 2 else 3)
    whole, resumed = Line(), Line()
    train(toy_job(tmp_path / "one"), whole, before_epoch=halve)
    with pytest.raises(KeyboardInterrupt):
        train(job, Line(), Numbers(fails_at=stop), before_epoch=halve)
    train(job, resumed, before_epoch=halve)
    assert torch.equal(whole.linear.weight, resumed.linear.weight)
    assert torch.equal(whole.linear.bias, resumed.linear.bias)


class Networks(Learner):
    """A nested ViT and Mixer: the parameters they exclude from weight decay stay excluded under any name."""

    def __init__(self, optimizer):
        super().__init__()
        self.optimizer = optimizer
        vit = {"img_size": 8, "patch_size": 4, "embed_dim": 6, "depth": 1, "num_heads": 1, "num_classes": 2}
        self.part = nn.ModuleDict({"vit": VisionTransformer(**vit), "mixer": Mixer(6, MixerConfig())})
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.fill_(1.0)

    def training_step(self, batch, draws):
        return {"loss": sum(p.sum() * 0 for p in self.parameters())}

    def parameter_sets(self):
        return {name: OptimizedModules([part], self.optimizer) for name, part in self.part.items()}


@pytest.mark.parametrize("decay_all", [True, False])
def test_tokens_positions_and_gamma_do_not_decay(tmp_path, decay_all):
    learner = Networks(PLAIN.model_copy(update={"weight_decay": 0.5, "decay_all": decay_all}))
    train(toy_job(tmp_path), learner, epochs=1)
    kept = {name for name, p in learner.named_parameters() if bool((p == 1).all())}
    excepted = {"part.vit.cls_token", "part.vit.pos_embed", "part.mixer.gamma"}
    thin = {name for name, p in learner.named_parameters() if p.ndim <= 1}
    assert kept == (set() if decay_all else excepted | thin)
    decayed = {"part.vit.patch_embed.proj.weight", "part.mixer.query.weight", "part.mixer.content.0.weight"}
    assert not decayed & kept and excepted <= {name for name, _ in learner.named_parameters()}
