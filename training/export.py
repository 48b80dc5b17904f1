"""Writes a trained adapter as the engines read it: GGUF for llama.cpp, PEFT's files for vLLM."""

import json
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

from training.checkpoint import Tensors
from training.task import Hyperparameters

Heads = Mapping[str, int]
"""How many heads the rows of a projection belong to, for those that are rotated."""

PEFT_NAMES = {
    'attn_q': 'self_attn.q_proj',
    'attn_k': 'self_attn.k_proj',
    'attn_v': 'self_attn.v_proj',
    'attn_output': 'self_attn.o_proj',
    'ffn_gate': 'mlp.gate_proj',
    'ffn_up': 'mlp.up_proj',
    'ffn_down': 'mlp.down_proj',
}


def write_gguf(path: Path, tensors: Tensors, name: str, settings: Hyperparameters) -> None:
    """An adapter for llama.cpp's `--lora`, in float16. `tensors` are named as in a checkpoint."""
    beside = path.with_suffix('.tmp')
    writer = gguf.GGUFWriter(beside, 'llama')
    writer.add_type('adapter')
    writer.add_string('adapter.type', 'lora')
    writer.add_float32('adapter.lora.alpha', settings.alpha)
    writer.add_name(name)
    for projection in projections(tensors):
        down, up = tensors[f'{projection}.down'], tensors[f'{projection}.up'].T
        writer.add_tensor(f'{projection}.weight.lora_a', np.ascontiguousarray(down, np.float16))
        writer.add_tensor(f'{projection}.weight.lora_b', np.ascontiguousarray(up, np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    beside.replace(path)


def write_peft(folder: Path, tensors: Tensors, settings: Hyperparameters, heads: Heads) -> None:
    """An adapter for vLLM's `--lora-modules`, in float16, in the layout of Hugging Face's Llama."""
    folder.mkdir(parents=True, exist_ok=True)
    named: Tensors = {}
    for projection in projections(tensors):
        _, layer, kind = projection.split('.')
        prefix = f'base_model.model.model.layers.{layer}.{PEFT_NAMES[kind]}'
        up = tensors[f'{projection}.up'].T
        named[f'{prefix}.lora_A.weight'] = np.ascontiguousarray(tensors[f'{projection}.down'], np.float16)
        named[f'{prefix}.lora_B.weight'] = np.ascontiguousarray(
            halves_from_pairs(up, heads[kind]) if kind in heads else up, np.float16
        )
    save_file(named, folder / 'adapter_model.safetensors')
    config = {
        'peft_type': 'LORA',
        'task_type': 'CAUSAL_LM',
        'base_model_name_or_path': 'HuggingFaceTB/SmolLM2-135M-Instruct',
        'r': settings.rank,
        'lora_alpha': settings.alpha,
        'lora_dropout': 0.0,
        'bias': 'none',
        'fan_in_fan_out': False,
        'inference_mode': True,
        'target_modules': [name.split('.')[1] for name in PEFT_NAMES.values()],
    }
    (folder / 'adapter_config.json').write_text(json.dumps(config, indent=2) + '\n')


def projections(tensors: Tensors) -> list[str]:
    """The names of the adapted matrices, in the order of layers."""
    names = {name.rsplit('.', 1)[0] for name in tensors}
    return sorted(names, key=lambda name: (int(name.split('.')[1]), list(PEFT_NAMES).index(name.split('.')[2])))


def halves_from_pairs(rows: np.ndarray, heads: int) -> np.ndarray:
    """Reorders each head's rows from llama.cpp's neighbouring rotary pairs to Hugging Face's two halves."""
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)
