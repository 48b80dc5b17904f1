"""The output of the layers below the adapted ones.

They never change, so it is computed once for every example and kept in a file, for later runs as well.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from training.base_model import BaseModel, tokens_of
from training.batches import Sequences, padded_length, plain_order
from training.compute import run_layers
from training.progress import Progress
from training.task import Example

BATCH = 64


@dataclass(frozen=True)
class Prepared:
    """Tokenised examples with the lower layers' output."""

    sequences: Sequences
    output: np.ndarray
    """[tokens of all examples one after the other, width], in memory only where it is read."""

    @cached_property
    def lengths(self) -> list[int]:
        """Input tokens of each example."""
        return [len(tokens) for tokens in self.sequences.inputs]

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each example's output begins."""
        return np.cumsum([0, *self.lengths])

    def output_of(self, row: int) -> np.ndarray:
        """[tokens, width]"""
        return self.output[self.starts[row] : self.starts[row + 1]]


def tokenise(base: BaseModel, examples: list[Example]) -> Sequences:
    """Prompt and target are tokenised apart, for so they meet in an engine."""
    inputs, targets = [], []
    for example in examples:
        prompt, target = tokens_of(base.tokenizer, example.prompt), tokens_of(base.tokenizer, example.target)
        inputs.append(np.concatenate([prompt, target[:-1]]))
        targets.append(target)
    return Sequences(inputs, targets)


def prepare(
    base: BaseModel,
    base_sha256: str,
    examples: list[Example],
    layers: int,
    folder: Path,
    name: str,
    report: Callable[[str], None],
) -> Prepared:
    """Runs the lowest `layers` over the examples, unless the folder has their output already."""
    sequences = tokenise(base, examples)
    content = [base_sha256, layers, [tokens.tolist() for tokens in sequences.inputs]]
    path = folder / f'lower-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]}.npy'
    if not path.exists():
        beside = path.with_suffix('.tmp.npy')
        np.save(beside, run_lower(base, sequences, layers, name, report))
        beside.replace(path)
    return Prepared(sequences, np.load(path, mmap_mode='r'))


def run_lower(
    base: BaseModel, sequences: Sequences, layers: int, name: str, report: Callable[[str], None]
) -> np.ndarray:
    """[tokens of all examples one after the other, width]"""
    lengths = [len(tokens) for tokens in sequences.inputs]
    starts = np.cumsum([0, *lengths])
    whole = np.empty((sequences.tokens, base.architecture.width), np.float32)
    progress = Progress(f'{name}: layers that stay as they are', sequences.tokens, report)
    for rows in plain_order(lengths, BATCH):
        tokens = np.zeros((BATCH, padded_length(max(lengths[row] for row in rows))), np.int32)
        for at, row in enumerate(rows):
            tokens[at, : lengths[row]] = sequences.inputs[row]
        output = np.asarray(run_layers(base, base.weights.layers[:layers], base.weights.embedding[tokens]))
        for at, row in enumerate(rows):
            whole[starts[row] : starts[row + 1]] = output[at, : lengths[row]]
        progress.advance(sum(lengths[row] for row in rows))
    return whole
