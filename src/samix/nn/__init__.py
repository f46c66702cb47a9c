"""Backbones with taps, momentum networks, projector and queue."""

from samix.nn.backbones import Backbone, Features, build_backbone
from samix.nn.encoder import Encoded, Encoder, projector
from samix.nn.momentum import ema_, momentum_copy
from samix.nn.queue import KeyQueue

__all__ = [
    "Backbone",
    "Encoded",
    "Encoder",
    "Features",
    "KeyQueue",
    "build_backbone",
    "ema_",
    "momentum_copy",
    "projector",
]
