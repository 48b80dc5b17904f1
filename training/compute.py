"""The model's functions compiled, one program a layer.

All layers share it, so that compiling for a new length takes seconds, where one program for the whole model would take
a minute; it runs as fast.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from training import model
from training.base_model import BaseModel
from training.model import Architecture, LayerAdapter, LayerWeights, Weights


def run_layers(
    base: BaseModel,
    layers: list[LayerWeights],
    hidden: Array,
    adapters: list[LayerAdapter] | None = None,
    scale: float = 0.0,
    positions: np.ndarray | None = None,
) -> Array:
    """The output [examples, tokens, width] of consecutive layers, given their input of the same shape.

    With `positions` [examples, wanted] the last layer's output is computed at these tokens alone.
    """
    for index, layer in enumerate(layers):
        wanted = positions if index == len(layers) - 1 else None
        hidden = _layer(base.architecture, layer, adapters[index] if adapters else {}, scale, hidden, wanted)
    return hidden


def cross_entropy(base: BaseModel, output: Array, targets: np.ndarray, weights: np.ndarray) -> Array:
    """The mean over targets, in nats, of the last layer's output at them.

    It is over the whole vocabulary, so that an engine's most probable token is the answer without further help.
    """
    return _cross_entropy(base.architecture, base.weights.embedding, base.weights.output_norm, output, targets, weights)


def judge(base: BaseModel, output: Array, targets: np.ndarray, among: np.ndarray) -> tuple[Array, Array, Array]:
    """The most probable token, the targets' negative log-likelihood and the probabilities of the tokens `among`."""
    return _judge(base.architecture, base.weights.embedding, base.weights.output_norm, output, targets, among)


_layer = jax.jit(model.run_layer, static_argnums=(0, 3))


@jax.jit(static_argnums=0)
def _cross_entropy(
    architecture: Architecture, embedding: Array, norm: Array, output: Array, targets: Array, weights: Array
) -> Array:
    losses = _losses(model.output_logits(architecture, Weights(embedding, [], norm), output), targets)
    return jnp.sum(losses * weights) / jnp.sum(weights)


@jax.jit(static_argnums=0)
def _judge(
    architecture: Architecture, embedding: Array, norm: Array, output: Array, targets: Array, among: Array
) -> tuple[Array, Array, Array]:
    logits = model.output_logits(architecture, Weights(embedding, [], norm), output)
    return logits.argmax(axis=-1), _losses(logits, targets), jax.nn.softmax(logits[..., among], axis=-1)


def _losses(logits: Array, targets: Array) -> Array:
    return jax.nn.logsumexp(logits, axis=-1) - jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
