"""From examples to batches: rows of one length, little padding, an order that depends on seed and epoch alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

WINDOW = 64
"""Batches whose examples are sorted by length together: more save padding, fewer mix better."""


@dataclass(frozen=True)
class Sequences:
    """Tokenised examples of one split."""

    inputs: list[np.ndarray]
    """Per example its tokens but the last: at each, the next one is to be foretold."""
    targets: list[np.ndarray]
    """Per example the target's tokens; the prediction of the last is made at the last input."""

    def __len__(self) -> int:
        return len(self.inputs)

    @cached_property
    def most_targets(self) -> int:
        """The most targets that an example has."""
        return max(map(len, self.targets))

    @property
    def tokens(self) -> int:
        """Input tokens of all examples together."""
        return sum(len(tokens) for tokens in self.inputs)


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples side by side. Rows beyond them, and positions beyond an example's targets, weigh nothing."""

    rows: np.ndarray
    """Which examples they are."""
    length: int
    """Tokens of the padded input."""
    positions: np.ndarray
    """[batch, targets]: the inputs at which targets are foretold."""
    targets: np.ndarray
    """[batch, targets]"""
    weights: np.ndarray
    """[batch, targets]: 1 where there is a target, else 0."""


def padded_length(tokens: int) -> int:
    """The next length for which a program is compiled: steps that grow, so that there are few and little is padded."""
    step = 2 if tokens <= 24 else 4 if tokens <= 32 else 8 if tokens <= 64 else 16
    return -(-tokens // step) * step


def epoch_order(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Every example once, in batches of like lengths, shuffled; the same for the same arguments."""
    random = np.random.default_rng([seed, epoch])
    shuffled = random.permutation(len(lengths))
    groups = sorted_groups(shuffled, lengths, batch)
    return [groups[index] for index in random.permutation(len(groups))]


def plain_order(lengths: Sequence[int], batch: int) -> list[np.ndarray]:
    """Every example once, in batches of like lengths."""
    return sorted_groups(np.arange(len(lengths)), lengths, batch)


def sorted_groups(order: np.ndarray, lengths: Sequence[int], batch: int) -> list[np.ndarray]:
    """Cuts windows from an order, sorts each by length, and cuts them into batches; the last one may be short."""
    groups = []
    for start in range(0, len(order), batch * WINDOW):
        window = sorted(order[start : start + batch * WINDOW], key=lambda row: lengths[row])
        groups += [np.array(window[at : at + batch]) for at in range(0, len(window), batch)]
    return groups


def make_batch(sequences: Sequences, rows: np.ndarray, batch: int) -> Batch:
    """Lays the rows side by side, as wide as the most targets that any example has: one program less to compile."""
    width = sequences.most_targets
    positions = np.zeros((batch, width), np.int32)
    targets = np.zeros((batch, width), np.int32)
    weights = np.zeros((batch, width), np.float32)
    for at, row in enumerate(rows):
        end, wanted = len(sequences.inputs[row]), sequences.targets[row]
        positions[at, : len(wanted)] = np.arange(end - len(wanted), end)
        targets[at, : len(wanted)] = wanted
        weights[at, : len(wanted)] = 1
    longest = max(len(sequences.inputs[row]) for row in rows)
    return Batch(rows, padded_length(longest), positions, targets, weights)


def batches_from(lengths: Sequence[int], batch: int, seed: int, step: int) -> Iterator[np.ndarray]:
    """The rows of step `step` and of all that follow, without end."""
    per_epoch = -(-len(lengths) // batch)
    epoch, skip = divmod(step, per_epoch)
    while True:
        yield from epoch_order(lengths, batch, seed, epoch)[skip:]
        epoch, skip = epoch + 1, 0
