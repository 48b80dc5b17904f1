"""Run with `python3 -m unittest` where requirements.txt is installed."""

import tempfile
import unittest
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from training.base_model import BaseModel
from training.checkpoint import Checkpoint, named
from training.compute import run_layers
from training.lower_layers import Prepared, prepare
from training.model import Architecture, LayerWeights, LowRank, Weights
from training.task import Example, Hyperparameters, Split, Task
from training.trainer import Trainer

ARCHITECTURE = Architecture(layers=3, width=16, heads=4, kv_heads=2, rope_base=10_000.0, epsilon=1e-5)
VOCABULARY = [f'w{index}' for index in range(40)]


def a_base_model() -> BaseModel:
    """Three layers of noise and a vocabulary of words."""
    keys = iter(jax.random.split(jax.random.key(0), 100))

    def noise(*shape: int) -> jax.Array:
        return jax.random.normal(next(keys), shape, jnp.float32) / np.sqrt(shape[-1])

    def layer() -> LayerWeights:
        return {
            'attn_norm': jnp.ones(16),
            'attn_q': noise(16, 16),
            'attn_k': noise(8, 16),
            'attn_v': noise(8, 16),
            'attn_output': noise(16, 16),
            'ffn_norm': jnp.ones(16),
            'ffn_gate': noise(32, 16),
            'ffn_up': noise(32, 16),
            'ffn_down': noise(16, 32),
        }

    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(VOCABULARY)}, unk_token='w0'))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    weights = Weights(noise(len(VOCABULARY), 16), [layer() for _ in range(3)], jnp.ones(16))
    return BaseModel(ARCHITECTURE, weights, tokenizer)


def a_task() -> Task:
    """The label of a prompt is the word before its last one, or two words after one another."""
    examples = []
    for index in range(160):
        words = [VOCABULARY[1 + (index * step + step) % 9] for step in range(3, 3 + 4 + index % 5)]
        split: Split = 'validation' if index % 5 == 0 else 'train'
        examples.append(Example(' '.join(words), f'{words[-2]} {words[0]}', split))
    settings = Hyperparameters(layers=2, rank=4, alpha=8, learning_rate=0.02, warmup_steps=4, epochs=3, batch=8)
    return Task('echo', lambda: examples, settings)


class Runs(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.base, self.task = a_base_model(), a_task()

    def prepared(self, split: Split) -> Prepared:
        examples = [example for example in self.task.examples() if example.split == split]
        return prepare(self.base, 'noise', examples, 1, self.folder, split, lambda line: None)

    def train(self, name: str, seed: int = 1, stop_after: int | None = None) -> Checkpoint:
        trainer = Trainer(self.base, self.task, seed, lambda line: None)
        train, validation = self.prepared('train'), self.prepared('validation')
        return trainer.train(train, validation, self.folder / name, stop_after=stop_after)

    def test_an_interrupted_run_ends_with_the_weights_of_an_unbroken_one(self) -> None:
        unbroken = self.train('unbroken')
        for stop in (7, 16, 30):
            self.assertEqual(self.train('interrupted', stop_after=stop).step, stop)
        interrupted = self.train('interrupted')
        self.assertEqual(interrupted.step, unbroken.step)
        self.assertEqual(interrupted.examined, unbroken.examined)
        for name, array in named(unbroken.training.adapters, 1).items():
            np.testing.assert_array_equal(named(interrupted.training.adapters, 1)[name], array, name)

    def test_another_seed_gives_other_weights(self) -> None:
        one, two = (named(self.train(f'seed{seed}', seed).training.adapters, 1) for seed in (1, 2))
        self.assertFalse(np.array_equal(one['blk.2.attn_q.up'], two['blk.2.attn_q.up']))

    def test_training_lowers_the_surprise_on_validation(self) -> None:
        trainer = Trainer(self.base, self.task, 1, lambda line: None)
        validation = self.prepared('validation')
        before = trainer.evaluate(validation, trainer.beginning().training.adapters)
        after = self.train('learned').examined[-1]
        self.assertLess(after['nll'], before['nll'] - 1)


class Layers(unittest.TestCase):
    def setUp(self) -> None:
        self.base = a_base_model()
        self.hidden = jax.random.normal(jax.random.key(1), (2, 6, 16))

    def test_padding_at_the_right_end_changes_nothing_before_it(self) -> None:
        layers = self.base.weights.layers
        padded = jnp.concatenate([self.hidden, jnp.ones((2, 4, 16))], axis=1)
        np.testing.assert_allclose(
            run_layers(self.base, layers, padded)[:, :6], run_layers(self.base, layers, self.hidden), atol=1e-5
        )

    def test_wanted_positions_alone_are_what_the_whole_has_there(self) -> None:
        layers = self.base.weights.layers
        wanted = np.array([[2, 5], [0, 3]], np.int32)
        whole = run_layers(self.base, layers, self.hidden)
        some = run_layers(self.base, layers, self.hidden, positions=wanted)
        np.testing.assert_allclose(some, np.take_along_axis(np.asarray(whole), wanted[..., None], 1), atol=1e-5)

    def test_an_adapter_is_a_change_of_its_matrix(self) -> None:
        layer = self.base.weights.layers[0]
        down, up = jnp.full((2, 16), 0.1), jnp.arange(64.0).reshape(2, 32) / 100
        adapted = run_layers(self.base, [layer], self.hidden, [{'ffn_up': LowRank(down, up)}], 3.0)
        merged = {**layer, 'ffn_up': layer['ffn_up'] + 3.0 * up.T @ down}
        np.testing.assert_allclose(adapted, run_layers(self.base, [merged], self.hidden), atol=1e-5)


if __name__ == '__main__':
    unittest.main()
