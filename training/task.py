"""What a task tells the trainer.

A task is a module of this package that holds one `TASK`. The trainer knows nothing else of it: it learns to continue
each prompt with its target, whether that is one token (a label) or a line of JSON.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Split = Literal['train', 'validation', 'test']

END = '<|im_end|>'
"""The text of the token at which an engine stops generating. A target of more than one token ends with it."""


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to learn or to be examined in."""

    prompt: str
    """The whole prompt as the engine will see it, e.g. `Message: Where is my card?\\nLabel:`."""
    target: str
    """What has to follow, byte for byte: ` delivery`, or ` {"order":null}<|im_end|>`. Only its tokens carry loss."""
    split: Split


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """How the adapter is trained. The defaults suit a classification of short messages on two cores."""

    layers: int = 12
    """The uppermost layers that are adapted, of 30. Those below run once, and their output is kept in memory."""
    rank: int = 8
    alpha: float = 16.0
    learning_rate: float = 1e-3
    """The highest one: after `warmup_steps` it falls along a cosine to 2 % of itself."""
    warmup_steps: int = 40
    epochs: float = 3.0
    batch: int = 32
    """Examples in a step."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task for a specialist."""

    name: str
    """Names the run's folder, and the adapter in its metadata."""
    examples: Callable[[], Sequence[Example]]
    """All of them, always the same and in the same order: what chance decides comes from a seed of the task's own."""
    hyperparameters: Hyperparameters
    groups: Mapping[str, str] | None = None
    """Classification only: the group of each target, for the accuracy of probabilities summed by group."""


def clean(text: str) -> str:
    """The text on one line, with single blanks: what is trained on and what is asked later are the same."""
    return ' '.join(text.split())


def split_of(text: str) -> Split:
    """The split that a cleaned text belongs to, by its content alone: 0 of 10 validates, 1 of 10 tests.

    So a text that occurs twice never lies on both sides, and the order of a file means nothing.
    """
    bucket = int(hashlib.sha256(text.lower().encode()).hexdigest(), 16) % 10
    return 'validation' if bucket == 0 else 'test' if bucket == 1 else 'train'
