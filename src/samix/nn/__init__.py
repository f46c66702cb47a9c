"""Backbones with taps, momentum networks, projector and queue."""

from samix.nn.backbones import Backbone, Features
from samix.nn.build import build_backbone
from samix.nn.classifier import Classifier, load_classifier
from samix.nn.ema import ema_, frozen_copy
from samix.nn.encoder import Encoded, Encoder, projector
from samix.nn.known import BACKBONES, KnownBackbone
from samix.nn.pretrained import load_pretrained
from samix.nn.queue import KeyQueue

__all__ = [
    "BACKBONES",
    "Backbone",
    "Classifier",
    "Encoded",
    "Encoder",
    "Features",
    "KeyQueue",
    "KnownBackbone",
    "build_backbone",
    "ema_",
    "frozen_copy",
    "load_classifier",
    "load_pretrained",
    "projector",
]
