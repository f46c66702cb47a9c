"""Names of random streams are part of the behaviour: a renamed stream makes other draws."""

import ast
from pathlib import Path

from samix.core.random import Stream, seed_for

SOURCES = Path(__file__).parents[2] / "src/samix"
NAMES = {
    *("backbone", "projector", "heads", "linear_head", "cluster_head", "odc_head", "detector"),
    *("queue", "kmeans", "renew", "random_halves"),
    *("split", "limit", "order", "scenes", "augment", "augment_q", "augment_k", "flip"),
    *("lam", "pairing", "policy", "shuffle", "lam_mixer", "pairing_mixer", "mixer", "switch_off"),
    *("plain_mix", "pairing_plain", "global"),
}
TAKERS = {"seed_for", "generator_for", "numpy_generator_for"}
METHODS = {"generator", "shared_generator", "numpy_generator", "shared_numpy_generator"}


def test_the_names_are_these():
    assert {stream.value for stream in Stream} == NAMES


def test_a_stream_seeds_as_its_name_does():
    assert all(seed_for(3, stream, 7) == seed_for(3, stream.value, 7) for stream in Stream)
    assert seed_for(3, Stream.LAM, 7) == 7651370867519870847


def test_the_sources_name_streams_by_these_constants():
    """No call that makes a generator has a string of its own."""
    found = []
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in TAKERS | METHODS:
                texts = [a for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                found += [f"{path.name}:{node.lineno}" for _ in texts]
    assert not found
