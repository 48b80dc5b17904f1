"""The base model as the file says that an engine will serve: its weights, dequantised, and its tokenizer."""

from dataclasses import dataclass
from pathlib import Path

import gguf
import jax.numpy as jnp
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from training.model import Architecture, LayerWeights, Weights

CONTROL = gguf.TokenType.CONTROL


@dataclass(frozen=True, slots=True)
class BaseModel:
    architecture: Architecture
    weights: Weights
    tokenizer: Tokenizer


def read_base_model(path: Path) -> BaseModel:
    """Reads a GGUF file of the Llama architecture with a tied output matrix and SmolLM2's tokenizer.

    Adapters are trained against these very weights, rounding errors of the quantisation included, for it is on them
    that they will be applied.

    Raises:
        ValueError: the file holds another architecture or tokenizer.
    """
    reader = gguf.GGUFReader(path)

    def value(key: str):  # noqa: ANN202 - the type is the file's
        found = reader.get_field(key)
        if found is None:
            raise ValueError(f'{path}: no {key}')
        return found.contents()

    if value('general.architecture') != 'llama' or value('tokenizer.ggml.pre') != 'smollm':
        raise ValueError(f'{path}: only the architecture llama with the tokenizer smollm is known here')
    architecture = Architecture(
        layers=value('llama.block_count'),
        width=value('llama.embedding_length'),
        heads=value('llama.attention.head_count'),
        kv_heads=value('llama.attention.head_count_kv'),
        rope_base=value('llama.rope.freq_base'),
        epsilon=value('llama.attention.layer_norm_rms_epsilon'),
    )
    tensors = {tensor.name.removesuffix('.weight'): tensor for tensor in reader.tensors}
    if 'output' in tensors:
        raise ValueError(f'{path}: the output matrix is not the embedding')

    def array(name: str):  # noqa: ANN202
        tensor = tensors[name]
        return jnp.asarray(gguf.dequantize(tensor.data, tensor.tensor_type), dtype=jnp.float32)

    layers: list[LayerWeights] = [{} for _ in range(architecture.layers)]
    for name in tensors:
        if name.startswith('blk.'):
            _, index, part = name.split('.')
            layers[int(index)][part] = array(name)
    weights = Weights(array('token_embd'), layers, array('output_norm'))
    tokenizer = build_tokenizer(
        value('tokenizer.ggml.tokens'), value('tokenizer.ggml.token_type'), value('tokenizer.ggml.merges')
    )
    return BaseModel(architecture, weights, tokenizer)


def build_tokenizer(tokens: list[str], types: list[int], merges: list[str]) -> Tokenizer:
    """SmolLM2's tokenizer from a model file's lists: byte-level pairs, digits one by one, no token before the text."""
    pairs = [tuple(merge.split(' ')) for merge in merges]
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


def tokens_of(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """The token numbers of a text; a control token's name in it becomes that token."""
    return np.array(tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int32)
