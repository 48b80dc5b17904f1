"""Synthetic messages of a shop's customers, each with the record that an extraction has to find in it.

Nothing here was written by a customer. A message says what is wrong and mentions some of order number, amount and date of
the order, now and then also numbers and dates that belong in no field (a tracking number, shipping costs, a promised day);
it has typing errors, small letters, missing apostrophes and stops. The same seed makes the same messages.
"""

import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from training.extraction_phrases import (
    CLOSINGS,
    CURRENCIES,
    DATES,
    DISTRACTORS,
    FACTS,
    GREETINGS,
    ISSUES,
    MONTHS,
    VOCABULARY,
    split_at,
)
from training.task import Split

FIELDS = ('order', 'amount', 'date')
"""The fields that a message may leave out."""

SIZES: dict[Split, int] = {'train': 2500, 'validation': 500, 'test': 500}
SEED = 2026


@dataclass(frozen=True, slots=True)
class Record:
    """What a message says of an order; None is what it does not say."""

    order: str | None
    """The order's number in capitals, without `#`."""
    amount: str | None
    """What was paid for the order, as a JSON number with the decimals that the message gives, e.g. `49.90`."""
    currency: str | None
    """ISO 4217: EUR, USD, GBP or CHF; None exactly where the amount is."""
    date: str | None
    """The day of the order, MM-DD."""
    issue: str
    """What is wrong, one of the keys of `ISSUES`."""

    def json(self) -> str:
        """One line without blanks, the keys in a fixed order: what the model learns to write."""
        text = ','.join(
            f'"{key}":{value if key == "amount" and value else json.dumps(value)}'
            for key, value in (
                ('order', self.order),
                ('amount', self.amount),
                ('currency', self.currency),
                ('date', self.date),
                ('issue', self.issue),
            )
        )
        return '{' + text + '}'


@dataclass(frozen=True, slots=True)
class Message:
    """A message with its record, and the phrasings and words that it is made of."""

    text: str
    record: Record
    split: Split
    phrasings: tuple[str, ...]
    words: tuple[tuple[str, str], ...]
    """List of the vocabulary and word."""


def messages(seed: int = SEED) -> list[Message]:
    """All messages of all splits: no text twice, no phrasing and no word of the vocabulary in two splits."""
    made: list[Message] = []
    for split, size in SIZES.items():
        writer = _Writer(random.Random(f'{seed} {split}'), split)
        seen: set[str] = set()
        while len(seen) < size:
            message = writer.write(list(ISSUES)[len(seen) % len(ISSUES)])
            if message.text in seen:
                continue
            seen.add(message.text)
            made.append(message)
    return made


class _Writer:
    """Writes messages in the phrasings and words of one split."""

    def __init__(self, rng: random.Random, split: Split) -> None:
        self.rng = rng
        self.split = split
        lists = {**ISSUES, 'facts': FACTS, 'distractors': DISTRACTORS, 'greetings': GREETINGS, 'closings': CLOSINGS}
        self.lists = {
            name: [(phrasing, frozenset(re.findall(r'\{(\w+)\}', phrasing))) for phrasing in _of(split, phrasings)]
            for name, phrasings in lists.items()
        }
        self.vocabulary = {kind: _of(split, words) for kind, words in VOCABULARY.items()}
        self.careless = False
        self.small = False
        self.phrasings: list[str] = []
        self.words: list[tuple[str, str]] = []
        self.values: dict[str, str] = {}

    def write(self, issue: str) -> Message:
        rng = self.rng
        self.careless = rng.random() < 0.25
        self.small = rng.random() < 0.2
        self.phrasings, self.words = [], []
        record = self._invent(issue)
        open_fields = {field for field in FIELDS if getattr(record, field) is not None}
        sentences = [self._say(issue, open_fields)]
        while open_fields:
            sentences.append(self._say('facts', open_fields, must=True))
        for _ in range(rng.choices((0, 1, 2), (0.6, 0.35, 0.05))[0]):
            sentences.append(self._say('distractors', set()))
        if rng.random() < 0.35:
            rng.shuffle(sentences)
        if rng.random() < 0.2:
            sentences.insert(0, self._say('greetings', set()))
        if rng.random() < 0.15:
            sentences.append(self._say('closings', set()))
        return Message(self._join(sentences), record, self.split, tuple(self.phrasings), tuple(self.words))

    def _invent(self, issue: str) -> Record:
        """A record, and in `values` how this message writes it. Each field is there in every second message, more or less."""
        rng = self.rng
        order = amount = currency = date = None
        self.values = {}
        if rng.random() < 0.55:
            order = self._order_number()
            self.values['order'] = rng.choice(('', '', '#')) + (order.lower() if self.small else order)
        if rng.random() < 0.55:
            currency = rng.choice(list(CURRENCIES))
            amount, self.values['amount'] = self._amount(currency)
        if rng.random() < 0.55:
            date, self.values['date'] = self._date()
        return Record(order, amount, currency, date, issue)

    def _order_number(self) -> str:
        rng = self.rng
        digits = ''.join(rng.choice('0123456789') for _ in range(rng.choice((4, 5, 6))))
        digits = str(rng.randint(1, 9)) + digits[1:]
        return rng.choice((f'{self._word("prefix")}-{digits}', f'{self._word("prefix")}{digits}', digits))

    def _amount(self, currency: str, below: int = 1500) -> tuple[str, str]:
        """The number as JSON, and the amount as it is written."""
        rng = self.rng
        whole = rng.randint(3, below) if rng.random() < 0.25 else rng.randint(3, min(below, 200))
        cents = rng.choice((0, 5, 49, 50, 90, 95, 99, rng.randint(1, 98)))
        number = f'{whole}' if rng.random() < 0.3 else f'{whole}.{cents:02}'
        written = f'{whole:,}{number[len(str(whole)) :]}' if rng.random() < 0.5 else number
        forms = CURRENCIES[currency]
        if currency == 'EUR' and ',' not in written and rng.random() < 0.3:
            written = written.replace('.', ',')
        return number, rng.choice(forms['every'] + (forms['test'] if self.split == 'test' else [])).format(n=written)

    def _date(self) -> tuple[str, str]:
        """The date as MM-DD, and as it is written."""
        rng = self.rng
        month, day = rng.randint(1, 12), rng.randint(1, 28)
        name = MONTHS[month - 1]
        ending = 'th' if 10 < day < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')
        form = rng.choice(DATES['every'] + (DATES['test'] if self.split == 'test' else []))
        written = form.format(d=day, o=f'{day}{ending}', m=name, s=name[:3], dd=f'{day:02}', mm=f'{month:02}')
        return f'{month:02}-{day:02}', written

    def _say(self, name: str, open_fields: set[str], must: bool = False) -> str:
        """A phrasing of a list that asks for no field but open ones (for one at least, if it must), filled.

        The fields that it says are no longer open.
        """
        fits = [
            (phrasing, said)
            for phrasing, slots in self.lists[name]
            if (said := slots.intersection(FIELDS)) <= open_fields
            and (said or not must)
            and phrasing not in self.phrasings
        ]
        phrasing, said = self.rng.choice(fits)
        open_fields -= said
        self.phrasings.append(phrasing)
        chosen = re.sub(r'\(([^()|]*(?:\|[^()|]*)+)\)', lambda match: self.rng.choice(match[1].split('|')), phrasing)
        if self.careless and self.rng.random() < 0.7:
            chosen = self._mistype(chosen)
        return re.sub(r'\{(\w+)\}', lambda match: self._fill(match[1]), ' '.join(chosen.split()))

    def _fill(self, slot: str) -> str:
        rng = self.rng
        if slot in self.values:
            return self.values[slot]
        if slot == 'other_id':
            return rng.choice(('', '0')) + str(rng.randint(10**5, 10**8))
        if slot == 'other_code':
            return rng.choice(('JD', '1Z', '')) + str(rng.randint(10**6, 10**9))
        if slot == 'other_amount':
            return self._amount(rng.choice(list(CURRENCIES)), below=60)[1]
        if slot == 'other_date':
            return self._date()[1]
        return self._word(slot)

    def _word(self, kind: str) -> str:
        word = self.rng.choice(self.vocabulary[kind])
        self.words.append((kind, word))
        return word

    def _mistype(self, text: str) -> str:
        """One slip in one word of four letters or more, never inside a slot: letters swapped, one lost, one doubled."""
        words = [match for match in re.finditer(r'\{\w+\}|[a-z]{4,}', text) if not match[0].startswith('{')]
        if not words:
            return text
        word = self.rng.choice(words)
        at = word.start() + self.rng.randint(1, len(word[0]) - 2)
        a, b = text[at], text[at + 1]
        return text[:at] + self.rng.choice((b + a, b, a + a + b)) + text[at + 2 :]

    def _join(self, sentences: Iterable[str]) -> str:
        rng = self.rng
        text = ' '.join(sentences)
        if rng.random() < 0.2:
            text = re.sub(r'\. ', rng.choice((', ', ' ', ' - ', '; ')), text)
        if rng.random() < 0.25:
            text = text.rstrip('.')
        if rng.random() < 0.15:
            text = re.sub(r"(\w)'(\w)", r'\1\2', text)
        return text.lower() if self.small else text


def _of(split: Split, entries: Sequence[str]) -> list[str]:
    return [entry for position, entry in enumerate(entries) if split_at(position) == split]
