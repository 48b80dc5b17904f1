"""Run with `python3 -m unittest` where numpy is installed."""

import unittest
from itertools import islice

import numpy as np

from training.batches import Sequences, batches_from, epoch_order, make_batch, padded_length

LENGTHS = [5 + (index * 7) % 40 for index in range(1000)]


class Order(unittest.TestCase):
    def test_an_epoch_holds_every_example_once(self) -> None:
        rows = np.concatenate(epoch_order(LENGTHS, 16, seed=1, epoch=0))
        self.assertEqual(sorted(rows.tolist()), list(range(1000)))

    def test_the_order_depends_on_seed_and_epoch_alone(self) -> None:
        def order(seed: int, epoch: int) -> list[int]:
            return np.concatenate(epoch_order(LENGTHS, 16, seed, epoch)).tolist()

        self.assertEqual(order(1, 0), order(1, 0))
        self.assertNotEqual(order(1, 0), order(1, 1))
        self.assertNotEqual(order(1, 0), order(2, 0))

    def test_going_on_gives_the_batches_that_an_unbroken_run_would_have_got(self) -> None:
        whole = list(islice(batches_from(LENGTHS, 16, 1, 0), 150))
        rest = list(islice(batches_from(LENGTHS, 16, 1, 70), 80))
        for expected, got in zip(whole[70:], rest, strict=True):
            np.testing.assert_array_equal(expected, got)

    def test_sorting_keeps_padding_below_a_tenth(self) -> None:
        lengths = LENGTHS * 8
        batches = epoch_order(lengths, 16, seed=1, epoch=0)
        padded = sum(16 * padded_length(max(lengths[row] for row in rows)) for rows in batches)
        self.assertLess(padded, 1.1 * sum(lengths))


class Layout(unittest.TestCase):
    def test_positions_end_at_the_last_input_and_absent_targets_weigh_nothing(self) -> None:
        inputs = [np.arange(7, dtype=np.int32), np.arange(9, dtype=np.int32)]
        targets = [np.array([50], np.int32), np.array([60, 61, 62], np.int32)]
        batch = make_batch(Sequences(inputs, targets), np.array([0, 1]), batch=3)
        self.assertEqual(batch.length, 10)
        self.assertEqual(batch.positions.tolist(), [[6, 0, 0], [6, 7, 8], [0, 0, 0]])
        self.assertEqual(batch.targets.tolist(), [[50, 0, 0], [60, 61, 62], [0, 0, 0]])
        self.assertEqual(batch.weights.tolist(), [[1, 0, 0], [1, 1, 1], [0, 0, 0]])


if __name__ == '__main__':
    unittest.main()
