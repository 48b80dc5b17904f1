"""Run with `python3 -m unittest` where requirements.txt is installed."""

import json
import tempfile
import unittest
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

from training.export import halves_from_pairs, write_gguf, write_peft
from training.task import Hyperparameters

SETTINGS = Hyperparameters(rank=2, alpha=4.0)
TENSORS = {
    'blk.28.attn_q.down': np.arange(16, dtype=np.float32).reshape(2, 8),
    'blk.28.attn_q.up': np.arange(16, dtype=np.float32).reshape(2, 8),
    'blk.28.ffn_down.down': np.ones((2, 12), np.float32),
    'blk.28.ffn_down.up': np.ones((2, 8), np.float32),
}


class Gguf(unittest.TestCase):
    def test_holds_the_matrices_as_llama_cpp_names_and_shapes_them(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'adapter.gguf'
            write_gguf(path, TENSORS, 'a name', SETTINGS)
            reader = gguf.GGUFReader(path)
            tensors = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
            fields = {
                key: reader.fields[key].contents() for key in ('general.type', 'adapter.type', 'adapter.lora.alpha')
            }
        self.assertEqual(fields, {'general.type': 'adapter', 'adapter.type': 'lora', 'adapter.lora.alpha': 4.0})
        self.assertEqual(tensors['blk.28.attn_q.weight.lora_a'].shape, (2, 8))
        np.testing.assert_array_equal(tensors['blk.28.attn_q.weight.lora_b'], TENSORS['blk.28.attn_q.up'].T)
        self.assertEqual(tensors['blk.28.ffn_down.weight.lora_a'].dtype, np.float16)

    def test_is_the_same_file_for_the_same_weights(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ('one.gguf', 'two.gguf')]
            for path in paths:
                write_gguf(path, TENSORS, 'a name', SETTINGS)
            self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes())


class Peft(unittest.TestCase):
    def test_rotated_rows_are_in_halves(self) -> None:
        # One head of four: pairs (0, 1) and (2, 3) become halves (0, 2) and (1, 3).
        rows = np.array([[0], [1], [2], [3], [10], [11], [12], [13]])
        self.assertEqual(halves_from_pairs(rows, heads=2)[:, 0].tolist(), [0, 2, 1, 3, 10, 12, 11, 13])

    def test_names_are_those_of_hugging_face(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_peft(Path(folder), TENSORS, SETTINGS, {'attn_q': 2})
            tensors = load_file(Path(folder) / 'adapter_model.safetensors')
            config = json.loads((Path(folder) / 'adapter_config.json').read_text())
        prefix = 'base_model.model.model.layers.28.'
        np.testing.assert_array_equal(
            tensors[f'{prefix}self_attn.q_proj.lora_B.weight'], halves_from_pairs(TENSORS['blk.28.attn_q.up'].T, 2)
        )
        self.assertEqual(tensors[f'{prefix}mlp.down_proj.lora_A.weight'].shape, (2, 12))
        self.assertEqual((config['r'], config['lora_alpha']), (2, 4.0))


if __name__ == '__main__':
    unittest.main()
