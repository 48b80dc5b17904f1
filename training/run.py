"""A run: one task trained with one seed, in a folder that its settings name."""

import hashlib
import importlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from training.task import Example, Task

RECIPE = 1
"""Goes up when the trainer changes so that the same settings give other weights."""


@dataclass(frozen=True, slots=True)
class Run:
    """All that decides what weights come out."""

    task: Task
    seed: int
    base: Path
    base_sha256: str
    data_sha256: str

    @property
    def settings(self) -> dict[str, object]:
        """The same as data."""
        return {
            'recipe': RECIPE,
            'task': self.task.name,
            'seed': self.seed,
            'base': {'file': self.base.name, 'sha256': self.base_sha256},
            'data': {'sha256': self.data_sha256},
            'hyperparameters': asdict(self.task.hyperparameters),
        }

    @property
    def name(self) -> str:
        """The folder's name: other settings, another folder."""
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()
        return f'{self.task.name}-seed{self.seed}-{digest[:12]}'


def make_run(task: Task, seed: int, base: Path) -> Run:
    """Looks at the data and the base model of a run."""
    return Run(task, seed, base, file_digest(base), examples_digest(list(task.examples())))


def load_task(name: str) -> Task:
    """The task of that name, e.g. `ticket-triage`.

    Raises:
        SystemExit: there is none.
    """
    try:
        task = importlib.import_module(f'training.{name.replace("-", "_")}').TASK
    except (ModuleNotFoundError, AttributeError):
        raise SystemExit(f'there is no task {name}') from None
    assert isinstance(task, Task)
    return task


def examples_digest(examples: list[Example]) -> str:
    """SHA-256 over all examples in their order."""
    lines = (json.dumps([one.split, one.prompt, one.target]) for one in examples)
    return hashlib.sha256('\n'.join(lines).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def environment() -> dict[str, str]:
    """On what it was computed."""
    packages = ('jax', 'jaxlib', 'numpy', 'gguf', 'tokenizers', 'safetensors')
    return {
        'python': platform.python_version(),
        **{name: version(name) for name in packages},
        'machine': f'{os.cpu_count()} cores, {platform.machine()}',
    }
