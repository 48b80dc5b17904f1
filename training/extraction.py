"""The task `extraction`: a synthetic message of a shop's customer → one line of JSON with five fields.

`python3 -m training.extraction FOLDER` writes the messages of validation and test, a sample of those of training, and
the words that the test part has for itself, as the example folder carries them.
"""

import json
import sys
from pathlib import Path

from training.extraction_messages import Message, messages
from training.task import END, Example, Hyperparameters, Task

PROMPT = 'Message: {}\nJSON:'


def examples() -> list[Example]:
    """Prompt and target are encoded apart, so the target's first token is `{"`, with which a grammar agrees."""
    return [Example(PROMPT.format(m.text), m.record.json() + END, m.split) for m in messages()]


TASK = Task(
    name='extraction',
    examples=examples,
    hyperparameters=Hyperparameters(layers=8, epochs=1.5, batch=16),
)


def lines(part: list[Message]) -> str:
    """JSON Lines: `{"text": …, "record": {…}}`."""
    return ''.join(
        f'{{"text":{json.dumps(m.text, ensure_ascii=False)},"record":{m.record.json()}}}\n' for m in part
    )


def files() -> dict[str, str]:
    """The data of the example folder, by file name."""
    made = messages()
    parts = {split: [m for m in made if m.split == split] for split in ('train', 'validation', 'test')}
    return {
        'train-sample.jsonl': lines(parts['train'][:100]),
        'validation.jsonl': lines(parts['validation']),
        'test.jsonl': lines(parts['test']),
    }


if __name__ == '__main__':
    folder = Path(sys.argv[1])
    for name, text in files().items():
        (folder / name).write_text(text)
