"""Where a training stands, in one file that is replaced as a whole."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from training.model import LayerAdapter, LowRank
from training.optimizer import Training

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    training: Training
    step: int
    """Steps that are done."""
    cpu_seconds: float
    """What all runs up to here have used."""
    examined: list[dict[str, float]]
    """The figures on validation after each pass over the data."""


def named(adapters: list[LayerAdapter], first_layer: int) -> Tensors:
    """The arrays of adapters by name: `blk.20.attn_q.down` [rank, in] and `blk.20.attn_q.up` [rank, out]."""
    tensors: Tensors = {}
    for layer, adapter in enumerate(adapters, first_layer):
        for projection, change in adapter.items():
            tensors[f'blk.{layer}.{projection}.down'] = np.asarray(change.down)
            tensors[f'blk.{layer}.{projection}.up'] = np.asarray(change.up)
    return tensors


def unnamed(tensors: Tensors, like: list[LayerAdapter], first_layer: int) -> list[LayerAdapter]:
    """The adapters whose arrays `named` has named."""

    def change(layer: int, projection: str) -> LowRank:
        name = f'blk.{layer}.{projection}'
        return LowRank(jnp.asarray(tensors[f'{name}.down']), jnp.asarray(tensors[f'{name}.up']))

    return [
        {projection: change(layer, projection) for projection in adapter}
        for layer, adapter in enumerate(like, first_layer)
    ]


def save_checkpoint(path: Path, checkpoint: Checkpoint, first_layer: int) -> None:
    """Writes beside the place, waits for the disk and moves it there: a kill leaves the old one or the new."""
    parts = checkpoint.training._asdict()
    tensors = {
        f'{part}/{name}': array
        for part, adapters in parts.items()
        for name, array in named(adapters, first_layer).items()
    }
    state = {name: getattr(checkpoint, name) for name in ('step', 'cpu_seconds', 'examined')}
    save_atomically(path, tensors, {'state': json.dumps(state)})


def load_checkpoint(path: Path, beginning: Checkpoint, first_layer: int) -> Checkpoint:
    """What was saved, or the beginning when nothing was."""
    if not path.exists():
        return beginning
    tensors, metadata = load_tensors(path)
    parts = {
        part: unnamed({name.removeprefix(f'{part}/'): array for name, array in tensors.items()}, adapters, first_layer)
        for part, adapters in beginning.training._asdict().items()
    }
    state = json.loads(metadata['state'])
    return Checkpoint(Training(**parts), **state)


def save_atomically(path: Path, tensors: Tensors, metadata: dict[str, str]) -> None:
    """A safetensors file, wholly there or not at all."""
    beside = path.with_suffix('.tmp')
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, beside, metadata)
    with beside.open('rb') as file:
        os.fsync(file.fileno())
    beside.replace(path)


def load_tensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """The arrays and the metadata of a safetensors file."""
    with safe_open(path, 'np') as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118 - no mapping
