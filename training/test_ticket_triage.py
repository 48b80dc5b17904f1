"""Run with `python3 -m unittest`; needs nothing but Python."""

import unittest
from collections import Counter

from training.task import clean, split_of
from training.ticket_triage import TASK, examples, prompt, read_intents, read_messages


class Table(unittest.TestCase):
    def test_lists_the_intents_of_the_data_and_no_others(self) -> None:
        self.assertEqual(set(read_intents()), {intent for _, intent in read_messages()})

    def test_every_intent_has_a_word_of_its_own(self) -> None:
        tokens = [intent.token for intent in read_intents().values()]
        self.assertEqual(len(set(tokens)), 77)

    def test_there_are_eleven_queues(self) -> None:
        self.assertEqual(len({intent.queue for intent in read_intents().values()}), 11)

    def test_targets_have_the_queues_of_their_intents(self) -> None:
        groups = TASK.groups or {}
        self.assertEqual(groups[' PIN'], 'security')
        self.assertEqual({example.target for example in examples()}, set(groups))


class Splits(unittest.TestCase):
    def test_are_about_a_tenth_each_for_validation_and_test(self) -> None:
        counts = Counter(example.split for example in examples())
        self.assertEqual(counts, {'train': 8014, 'validation': 1005, 'test': 984})

    def test_share_no_text(self) -> None:
        seen: dict[str, str] = {}
        for example in examples():
            self.assertEqual(seen.setdefault(example.prompt.lower(), example.split), example.split)

    def test_ignore_case_and_white_space(self) -> None:
        self.assertEqual(split_of(clean('Where  is\nmy card?')), split_of(clean('where is my CARD? ')))


class Prompt(unittest.TestCase):
    def test_ends_where_the_label_goes_on(self) -> None:
        self.assertEqual(prompt('Where is my card?'), 'Message: Where is my card?\nLabel:')


if __name__ == '__main__':
    unittest.main()
