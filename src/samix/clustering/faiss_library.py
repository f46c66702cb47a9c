"""faiss, imported when it is first needed, so that the library works without it."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from samix.config.clustering import FaissDevice
from samix.core.errors import DependencyError

logger = logging.getLogger(__name__)


def import_faiss() -> Any:
    """The faiss module. Raises: DependencyError if it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise DependencyError(
            "Clustering needs faiss, which is not installed: install faiss-cpu or the extra `gpu` of samix."
        ) from error
    return faiss


def faiss_uses_gpu(device: FaissDevice) -> bool:
    """Whether faiss runs on the GPU for this choice; "auto" falls back to the CPU and logs this once.

    Raises: DependencyError for "gpu" without a faiss built for GPUs or without a GPU.
    """
    faiss = import_faiss()
    if device == "cpu":
        return False
    found: bool = faiss.get_num_gpus() > 0  # 0 from the CPU build as well
    if device == "gpu" and not found:
        raise DependencyError(
            "faiss_device: gpu needs a GPU and a faiss built for it (the extra `gpu` of samix); "
            "faiss finds no GPU. Use faiss_device: auto or cpu."
        )
    if not found:
        _say_once("faiss finds no GPU: clustering runs on the CPU.")
    return found


@cache
def _say_once(message: str) -> None:
    logger.info(message)
