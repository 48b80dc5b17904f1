import json
import re
import unittest
from pathlib import Path

from training.extraction import END, PROMPT, examples, files
from training.extraction_messages import SIZES, messages
from training.extraction_phrases import ISSUES, VOCABULARY

FOLDER = Path(__file__).parent.parent / 'examples' / 'extraction'


class SyntheticMessages(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.made = messages()

    def of(self, split: str):
        return [message for message in self.made if message.split == split]

    def test_are_the_same_for_the_same_seed_and_others_for_another(self) -> None:
        self.assertEqual(messages(), self.made)
        self.assertNotEqual([m.text for m in messages(seed=1)], [m.text for m in self.made])

    def test_are_as_many_as_said_and_no_text_occurs_twice(self) -> None:
        for split, size in SIZES.items():
            self.assertEqual(len(self.of(split)), size)
        texts = [m.text.lower() for m in self.made]
        self.assertLess(len(texts) - len(set(texts)), 5)

    def test_share_no_phrasing_and_no_word_of_the_vocabulary_between_splits(self) -> None:
        for kind in ('phrasings', 'words'):
            used = [{each for m in self.of(split) for each in getattr(m, kind)} for split in SIZES]
            for one, other in ((0, 1), (0, 2), (1, 2)):
                self.assertEqual(used[one] & used[other], set())

    def test_use_every_phrasing_of_an_issue_in_some_split(self) -> None:
        used = {phrasing for m in self.made for phrasing in m.phrasings}
        self.assertEqual([p for phrasings in ISSUES.values() for p in phrasings if p not in used], [])

    def test_of_each_split_cover_every_issue_and_leave_out_every_field_now_and_then(self) -> None:
        for split in SIZES:
            records = [m.record for m in self.of(split)]
            self.assertEqual({r.issue for r in records}, set(ISSUES))
            for field in ('order', 'amount', 'date'):
                without = sum(getattr(r, field) is None for r in records) / len(records)
                self.assertGreater(without, 0.35)
                self.assertLess(without, 0.55)

    def test_contain_what_their_record_says(self) -> None:
        for m in self.made:
            if m.record.order is not None:
                self.assertIn(m.record.order.lower(), m.text.lower())
            if m.record.amount is not None:
                digits = re.sub(r'(?<=\d),(?=\d{3}(?!\d))', '', m.text).replace(',', '.')
                self.assertIn(m.record.amount, digits)
            if m.record.date is not None:
                self.assertRegex(m.text, str(int(m.record.date[3:])))
            self.assertEqual(m.record.amount is None, m.record.currency is None)

    def test_have_numbers_that_belong_in_no_field(self) -> None:
        for split in SIZES:
            distracted = [m for m in self.of(split) if any('{other_' in p for p in m.phrasings)]
            self.assertGreater(len(distracted), SIZES[split] * 0.3)

    def test_have_records_that_the_schema_accepts(self) -> None:
        schema = json.loads((FOLDER / 'schema.json').read_text())
        for m in self.made:
            self.assertEqual(problems(json.loads(m.record.json()), schema), [])

    def test_fill_every_slot(self) -> None:
        for m in self.made:
            self.assertNotRegex(m.text, r'[{}|]|\( | \)')

    def test_never_give_away_an_order_number_by_its_prefix(self) -> None:
        prefixes = set(VOCABULARY['prefix'])
        self.assertEqual(len(prefixes), len(VOCABULARY['prefix']))
        for kind, words in VOCABULARY.items():
            self.assertEqual(len(set(words)), len(words), kind)


class ExtractionTask(unittest.TestCase):
    def test_asks_with_the_message_and_wants_one_compact_line_of_json_and_the_end(self) -> None:
        first = examples()[0]
        self.assertTrue(first.prompt.startswith('Message: ') and first.prompt.endswith('\nJSON:'))
        self.assertTrue(first.target.endswith(END))
        self.assertNotIn('\n', first.target)
        record = json.loads(first.target.removesuffix(END))
        self.assertEqual(list(record), ['order', 'amount', 'currency', 'date', 'issue'])
        self.assertEqual(PROMPT.format(messages()[0].text), first.prompt)

    def test_is_the_data_that_the_example_carries(self) -> None:
        for name, text in files().items():
            self.assertEqual((FOLDER / name).read_text(), text, f'{name} is stale: python3 -m training.extraction {FOLDER}')


def problems(value: object, schema: dict) -> list[str]:
    """What a schema of the few keywords that ours uses rejects."""
    if schema.get('type') == 'object':
        found = [f'{key} is missing' for key in schema['required'] if key not in value]
        found += [f'{key} is unknown' for key in value if key not in schema['properties']]
        return found + [
            f'{key}: {problem}' for key, part in schema['properties'].items() for problem in problems(value.get(key), part)
        ]
    if 'enum' in schema:
        return [] if value in schema['enum'] else [f'{value!r} is not one of {schema["enum"]}']
    types = {'string': str, 'number': (int, float), 'null': type(None)}
    if not any(isinstance(value, types[name]) for name in schema['type']):
        return [f'{value!r} is not of type {schema["type"]}']
    if isinstance(value, str) and 'pattern' in schema and not re.search(schema['pattern'], value):
        return [f'{value!r} does not match {schema["pattern"]}']
    return []


if __name__ == '__main__':
    unittest.main()
