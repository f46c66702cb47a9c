"""A run without the stages that its settings do not need."""

import logging

import pytest
from kedro.framework.project import pipelines

from helpers.environments import Settings as Environment
from samix.kedro.pipelines.chains import SelectivePipeline
from samix.kedro.session import _named_stages
from samix.pipeline_registry import register_pipelines


@pytest.fixture(scope="module")
def registered():
    return register_pipelines()


def made_for(pipeline, named=(), **policies):
    changes = {f"{stage}.policy.name": policy for stage, policy in policies.items()}
    return pipeline.for_run(Environment("cifar10", changes).values, frozenset(named))


def stages(pipeline):
    return {node.namespace for node in pipeline.nodes}


@pytest.mark.slow
def test_what_nothing_needs_is_left_out_with_its_reason_and_its_results(registered, caplog):
    whole = registered["samix_sl"]
    with caplog.at_level(logging.INFO):
        needed = made_for(whole, sl_training="cutmix")
    assert caplog.messages == ["mixer_pretraining_sl: skipped, policy cutmix needs no Mixer"]
    assert stages(whole) - stages(needed) == {"mixer_pretraining_sl"}
    assert not [name for name in needed.all_inputs() if name.startswith("mixer_pretraining_sl")]
    checked = next(node for node in needed.nodes if node.short_name == "check_settings")
    assert "params:mixer_pretraining_sl" in checked.inputs  # sl_training reads it for other policies


@pytest.mark.slow
def test_what_is_needed_stays(registered, caplog):
    with caplog.at_level(logging.INFO):
        for name, policies in (("samix_sl", {"sl_training": "samix_p"}), ("samix_ssl", {})):
            assert stages(made_for(registered[name], **policies)) == stages(registered[name])
    assert not caplog.messages


@pytest.mark.slow
def test_a_stage_alone_takes_what_its_policy_needs(registered):
    stage = registered["ssl_training"]
    inputs = {policy: made_for(stage, ssl_training=policy).inputs() for policy in ("none", "samix_p")}
    assert "mixer_pretraining.mixer_weights" in inputs["samix_p"]
    unused = ("mixer_pretraining.", "pseudo_labels.")
    assert not [name for name in inputs["none"] if name.startswith(unused)]


@pytest.mark.slow
def test_a_stage_that_is_named_runs_and_is_reported(registered):
    needed = made_for(registered["samix_ssl"], ["mixer_pretraining"], ssl_training="cutmix")
    assert "mixer_pretraining" in stages(needed)
    report = next(node for node in needed.nodes if node.name == "reporting.summarise")
    assert "mixer_pretraining.metrics" in report.inputs
    alone = made_for(registered["reporting"], ssl_training="cutmix")
    assert not [name for name in alone.inputs() if name.startswith(("mixer_pretraining", "pseudo_labels"))]


def test_options_name_stages(monkeypatch, project):
    options = {
        "node_names": ["mixer_pretraining.pretrain_mixer"],
        "from_nodes": ["pseudo_labels.cluster_images"],
        "to_outputs": ["linear_evaluation.metrics"],
        "namespaces": ["sl_training"],
        "to_nodes": None,
    }
    named = _named_stages(["chain"], [], options)
    assert named == {"chain", "mixer_pretraining", "pseudo_labels", "linear_evaluation", "sl_training"}
    tagged = pipelines["chain"].filter(node_names=["ssl_training.train"]).tag("slow") + pipelines["reporting"]
    monkeypatch.setitem(pipelines, "chain", tagged)
    assert _named_stages(["chain"], ["slow"], {}) == {"chain", "ssl_training"}


@pytest.mark.slow
def test_the_session_runs_what_is_left_and_keeps_the_whole(project, monkeypatch):
    """For this run alone, under both names of the default."""
    from tiny import pipeline_registry

    made = pipeline_registry.register_pipelines()
    asked = []

    class Recorder(SelectivePipeline):
        def for_run(self, parameters, named):
            asked.append((parameters["seed"], named))
            return made["data_preparation"]

    whole = Recorder(lambda _: made["chain"])
    monkeypatch.setattr(
        pipeline_registry, "register_pipelines", lambda: {**made, "chain": whole, "__default__": whole}
    )
    pipelines.configure("tiny.pipeline_registry")
    project.run("__default__", seed=4)
    assert asked == [(4, frozenset({"__default__"}))]
    assert pipelines["chain"] is whole and pipelines["__default__"] is whole
    run = project.runs()[0]
    assert run.data.tags["pipeline"] == "chain" and run.data.tags["seed"] == "4"
    assert "ssl_training.epochs" not in run.data.params
    monkeypatch.undo()
    pipelines.configure("tiny.pipeline_registry")
