"""Which precision a training gets."""

import logging

import pytest
import torch

from helpers.toys import toy_job
from samix.config.training import TrainingConfig
from samix.training import launch
from samix.training.launch import resolve_precision


def training(tmp_path, **options):
    return TrainingConfig(work_dir=tmp_path, **options)


def set_cpu(monkeypatch, **units):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, **units})


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_what_is_configured_holds_on_every_machine(tmp_path, monkeypatch, precision):
    for units in ({}, {"amx_bf16": True}):
        set_cpu(monkeypatch, **units)
        assert resolve_precision(training(tmp_path, device="cpu", precision=precision)) == precision


@pytest.mark.parametrize(
    ("units", "found"),
    [({}, "no"), ({"amx_bf16": False}, "no"), ({"avx512_bf16": True}, "bf16"), ({"bf16": True}, "bf16")],
)
def test_auto_is_bf16_where_the_cpu_has_units_for_it(tmp_path, monkeypatch, units, found):
    set_cpu(monkeypatch, **units)
    assert resolve_precision(training(tmp_path, device="cpu", precision="auto")) == found


@pytest.mark.parametrize("native", [True, False])
def test_auto_asks_a_gpu_for_units_that_are_its_own(tmp_path, monkeypatch, native):
    set_cpu(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    # torch says yes to an emulation as well
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native
    )
    assert resolve_precision(training(tmp_path, precision="auto")) == ("bf16" if native else "no")


def test_float32_is_the_default(tmp_path):
    assert training(tmp_path).precision == "no"


@pytest.mark.parametrize(("units", "found"), [({}, "no"), ({"amx_bf16": True}, "bf16")])
def test_a_launched_worker_has_it_and_the_log_says_so(tmp_path, monkeypatch, caplog, units, found):
    set_cpu(monkeypatch, **units)
    seen = []
    job = toy_job(tmp_path, precision="auto")
    with caplog.at_level(logging.INFO, "samix.training.launch"):
        launch(lambda job, accelerator: seen.append(accelerator.mixed_precision), job, job.training)
    assert seen == [found]
    assert caplog.messages == [f"training.precision: auto is {found} on this CPU"]
