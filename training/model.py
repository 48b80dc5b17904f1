"""The base model with low-rank adapters on its upper layers, as pure functions over arrays.

The architecture is Llama's (Touvron et al., 2023) as SmolLM2 uses it: RMS norm before each half of a layer, rotary
positions, grouped-query attention, a gated feed-forward half, and an output matrix tied to the embedding. Weights keep
llama.cpp's names and layout, in which the two halves of a rotary pair lie side by side, so that an adapter trained here
is exported to llama.cpp as it is.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

PROJECTIONS = ('attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down')
"""The matrices of a layer that are adapted: all of them."""

LayerWeights = dict[str, Array]
"""A layer's matrices [out, in] and norms [width] by llama.cpp's name without `.weight`."""


class LowRank(NamedTuple):
    """A change of a matrix by `up.T @ down`, times alpha / rank (LoRA: Hu et al., 2021)."""

    down: Array
    """[rank, in]; others call it A."""
    up: Array
    """[rank, out]; the transpose of B, for its gradient is four times as fast to compute in this layout."""


LayerAdapter = dict[str, LowRank]
"""By the projection that it changes."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """The numbers that a model file states of its model."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    rope_base: float
    epsilon: float

    @property
    def head_width(self) -> int:
        """Numbers in one head's query, key or value."""
        return self.width // self.heads


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's weights in float32."""

    embedding: Array
    """[vocabulary, width]; also the output matrix."""
    layers: list[LayerWeights]
    output_norm: Array


def new_adapter(key: Array, layer: LayerWeights, rank: int) -> LayerAdapter:
    """An adapter that changes nothing yet: `down` is random as in the code of LoRA's authors, `up` is zero."""
    adapter = {}
    for name, projection_key in zip(PROJECTIONS, jax.random.split(key, len(PROJECTIONS)), strict=True):
        out_width, in_width = layer[name].shape
        bound = 1 / math.sqrt(in_width)
        down = jax.random.uniform(projection_key, (rank, in_width), jnp.float32, -bound, bound)
        adapter[name] = LowRank(down, jnp.zeros((rank, out_width), jnp.float32))
    return adapter


def output_logits(architecture: Architecture, weights: Weights, hidden: Array) -> Array:
    """Logits [..., vocabulary] of the last layer's output."""
    return _rms_norm(hidden, weights.output_norm, architecture.epsilon) @ weights.embedding.T


def run_layer(
    architecture: Architecture,
    weights: LayerWeights,
    adapter: LayerAdapter,
    scale: float,
    hidden: Array,
    wanted: Array | None,
) -> Array:
    """One layer over [examples, tokens, width], with its adapter or with `{}`.

    Attention is causal, so padding at the right end changes nothing before it. With `wanted` [examples, positions] the
    output is computed at these tokens alone, which for the last layer saves most of it.
    """

    def project(name: str, x: Array) -> Array:
        # Rows of one matrix: XLA computes the gradients of the small matrices slowly over two axes.
        rows = x.reshape(-1, x.shape[-1])
        out = rows @ weights[name].T
        if name in adapter:
            out = out + scale * ((rows @ adapter[name].down.T) @ adapter[name].up)
        return out.reshape(*x.shape[:-1], -1)

    examples, tokens, _ = hidden.shape
    heads, kv_heads, head_width = architecture.heads, architecture.kv_heads, architecture.head_width
    x = _rms_norm(hidden, weights['attn_norm'], architecture.epsilon)
    every = jnp.broadcast_to(jnp.arange(tokens), (examples, tokens))
    keys = _rotate(project('attn_k', x).reshape(examples, tokens, kv_heads, head_width), every, architecture.rope_base)
    values = project('attn_v', x).reshape(examples, tokens, kv_heads, head_width)
    at = every
    if wanted is not None:
        at = wanted
        x, hidden = (jnp.take_along_axis(array, wanted[:, :, None], axis=1) for array in (x, hidden))
    queries = _rotate(
        project('attn_q', x).reshape(examples, at.shape[1], heads, head_width), at, architecture.rope_base
    )
    queries = queries.reshape(examples, at.shape[1], kv_heads, heads // kv_heads, head_width)

    scores = jnp.einsum('eqkgd,etkd->ekgqt', queries, keys) / math.sqrt(head_width)
    visible = every[:, None, :] <= at[:, :, None]
    scores = jnp.where(visible[:, None, None, :, :], scores, -jnp.inf)
    mixed = jnp.einsum('ekgqt,etkd->eqkgd', jax.nn.softmax(scores, axis=-1), values)
    hidden = hidden + project('attn_output', mixed.reshape(examples, at.shape[1], heads * head_width))

    x = _rms_norm(hidden, weights['ffn_norm'], architecture.epsilon)
    return hidden + project('ffn_down', jax.nn.silu(project('ffn_gate', x)) * project('ffn_up', x))


def _rms_norm(x: Array, weight: Array, epsilon: float) -> Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def _rotate(x: Array, positions: Array, base: float) -> Array:
    """Rotary positions (Su et al., 2021) on [examples, tokens, heads, width], for neighbouring pairs of numbers."""
    half = x.shape[-1] // 2
    angles = positions[:, :, None].astype(jnp.float32) * base ** (-jnp.arange(half, dtype=jnp.float32) / half)
    cos, sin = jnp.cos(angles)[:, :, None, :], jnp.sin(angles)[:, :, None, :]
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.stack((even * cos - odd * sin, even * sin + odd * cos), axis=-1).reshape(x.shape)
