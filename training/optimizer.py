"""AdamW without decay (Kingma and Ba, 2015) on clipped gradients, and its learning rate over time."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from training.model import LayerAdapter

BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-8
CLIP = 1.0
"""Longer gradients, over all parameters together, are shortened to this norm."""
FLOOR = 0.02
"""The share of the highest learning rate that is left at the end."""


class Training(NamedTuple):
    """All that changes during a training; arrays of one shape each for every parameter."""

    adapters: list[LayerAdapter]
    mean: list[LayerAdapter]
    """Adam's running mean of the gradients."""
    square: list[LayerAdapter]
    """Adam's running mean of their squares."""


def start(adapters: list[LayerAdapter]) -> Training:
    """Before the first step."""
    zeros = jax.tree.map(jnp.zeros_like, adapters)
    return Training(adapters, zeros, zeros)


def learning_rate(step: int, steps: int, highest: float, warmup: int) -> float:
    """The rate of step `step` (from 0) of `steps`: up in a line, then down along half a cosine."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return highest * min(1.0, (step + 1) / warmup) * (FLOOR + (1 - FLOOR) * cosine)


@jax.jit
def update(training: Training, gradients: list[LayerAdapter], rate: Array, step: Array) -> Training:
    """One step, numbered from 0."""
    norm = jnp.sqrt(sum(jnp.sum(leaf * leaf) for leaf in jax.tree.leaves(gradients)))
    gradients = jax.tree.map(lambda leaf: leaf * jnp.minimum(1.0, CLIP / (norm + 1e-6)), gradients)
    mean = jax.tree.map(lambda old, new: BETA1 * old + (1 - BETA1) * new, training.mean, gradients)
    square = jax.tree.map(lambda old, new: BETA2 * old + (1 - BETA2) * new * new, training.square, gradients)
    mean_scale, square_scale = 1 / (1 - BETA1 ** (step + 1)), 1 / (1 - BETA2 ** (step + 1))
    adapters = jax.tree.map(
        lambda value, m, s: value - rate * m * mean_scale / (jnp.sqrt(s * square_scale) + EPSILON),
        training.adapters,
        mean,
        square,
    )
    return Training(adapters, mean, square)
