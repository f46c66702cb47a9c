"""`kedro run` as a user runs it: refused parameters, errors, signals and exit codes."""

import signal

import pytest
from click.testing import CliRunner
from kedro.framework.cli.project import run as kedro_run
from kedro.io import DatasetError
from kedro.runner import ParallelRunner

from samix.core.errors import ConfigError, DataError
from samix.kedro.interrupts import Interrupted, interruptible, signal_behind
from samix.kedro.session import is_expected

pytestmark = pytest.mark.slow


@pytest.fixture
def command(project, monkeypatch):
    """The command line's `kedro run`, in the project."""
    monkeypatch.chdir(project.path)
    return lambda *arguments: CliRunner().invoke(kedro_run, arguments)


def test_both_spellings_of_the_pipeline_option_run(command):
    assert command("--pipeline=data_preparation").exit_code == 0
    assert command("--pipelines=data_preparation").exit_code == 0


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--params=sed=1", "sed: unknown. Did you mean 'seed'?"),
        (
            "--params=ssl_training.epochs=10",
            "ssl_training.epochs = 10: Input should be less than or equal to 9.",
        ),
        ("--params=ssl_training.fate=error", "Error: the loss is not finite at step 5\n"),
        ("--pipelines=chian", "There is no pipeline 'chian'. Did you mean 'chain'?"),
        ("--env=othr", "There is no environment 'othr' in conf/. Did you mean 'other'?"),
        ("--runner=ParallelRunner", "The ParallelRunner cannot run samix"),
    ],
)
def test_an_expected_error_is_one_message(command, argument, expected):
    result = command(argument)
    assert result.exit_code == 1
    assert expected in result.output
    assert "Traceback" not in result.output


def test_a_bug_keeps_its_traceback(command):
    result = command("--params=ssl_training.fate=bug")
    assert isinstance(result.exception, RuntimeError)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_ends_with_the_code_of_its_signal(command, name):
    result = command(f"--params=ssl_training.fate={name}")
    assert result.exit_code == 128 + signal.Signals[name]
    assert f"Error: interrupted by {name}\n" in result.output


def test_a_missing_file_of_an_earlier_stage_is_one_message(command, project):
    (project.path / "data/card.json").unlink(missing_ok=True)
    result = command("--pipelines=ssl_training")
    assert result.exit_code == 1
    assert "card.json" in result.output


def test_python_gets_the_errors_themselves(project):
    with pytest.raises(ConfigError, match="ParallelRunner"):
        project.run("chain", runner=ParallelRunner())
    with pytest.raises(ConfigError, match="no pipeline 'x'"):
        project.run("x")


def test_handlers_come_back_after_the_first_signal():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught, interruptible():
        assert signal.getsignal(signal.SIGTERM) is not before
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.signum == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_are_found_behind_other_errors():
    class SignalException(Exception):  # as torch elastic's
        sigval = signal.SIGTERM

    wrapped = RuntimeError("launch failed")
    wrapped.__cause__ = SignalException()
    assert signal_behind(wrapped) == signal.SIGTERM
    assert signal_behind(KeyboardInterrupt()) == signal.SIGINT
    assert signal_behind(RuntimeError()) is None
    assert signal_behind(None) is None


def test_kedros_wrapper_of_an_error_is_looked_into():
    def wrapped(cause):
        error = DatasetError("failed while loading")
        error.__cause__ = cause
        return error

    assert is_expected(wrapped(DataError("no such file")))
    assert is_expected(wrapped(FileNotFoundError()))
    assert not is_expected(wrapped(KeyError()))
    assert not is_expected(RuntimeError())
