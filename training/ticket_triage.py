"""Sorts a bank customer's message into one of 77 intents, each of which is one token, and these into eleven queues."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.task import Example, Hyperparameters, Task, clean, split_of

FOLDER = Path(__file__).parent.parent / 'examples' / 'ticket-triage'


@dataclass(frozen=True, slots=True)
class Intent:
    """A line of `intents.csv`."""

    intent: str
    token: str
    """The word that the specialist answers with; with the blank before it, one token of the base model."""
    queue: str


def read_intents(folder: Path = FOLDER) -> dict[str, Intent]:
    """The intents by name, as the table in the example's folder lists them."""
    with (folder / 'intents.csv').open(newline='', encoding='utf-8') as file:
        return {row['intent']: Intent(**row) for row in csv.DictReader(file)}


def read_messages(folder: Path = FOLDER) -> list[tuple[str, str]]:
    """Every message, cleaned, with the name of its intent."""
    with (folder / 'messages.csv').open(newline='', encoding='utf-8') as file:
        return [(clean(row['text']), row['category']) for row in csv.DictReader(file)]


def prompt(message: str) -> str:
    """What the specialist is asked; `prompt.jinja` beside the data makes the same of a chat's last message."""
    return f'Message: {message}\nLabel:'


def target(intent: Intent) -> str:
    """What the specialist has to answer."""
    return f' {intent.token}'


def examples() -> Sequence[Example]:
    """Every message of the training file, split by its content."""
    intents = read_intents()
    return [Example(prompt(text), target(intents[intent]), split_of(text)) for text, intent in read_messages()]


TASK = Task(
    name='ticket-triage',
    examples=examples,
    hyperparameters=Hyperparameters(layers=10, epochs=3.5, batch=16),
    groups={target(intent): intent.queue for intent in read_intents().values()},
)
