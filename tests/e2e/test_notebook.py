from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow
NOTEBOOK = Path(__file__).parents[2] / "notebooks/quickstart.ipynb"


def test_the_notebook_is_committed_without_outputs():
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs") and not cell.get("execution_count")


def test_the_notebook_runs_on_what_a_chain_has_left(finished):
    project, _ = finished
    notebook = nbformat.read(project.path / "notebooks/quickstart.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(project.path / "notebooks")}}
    ).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kinds = [{kind for out in cell.outputs for kind in out.get("data", {})} for cell in code]
    assert sum("image/png" in kind for kind in kinds) == 3
    assert "torch.Size([8, 3, 32, 32])" in code[-1].outputs[-1]["text"]
