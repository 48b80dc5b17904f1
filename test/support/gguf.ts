/** A value of a GGUF header, by its type. */
export type GgufValue = { string: string } | { float32: number } | { uint32: number } | { strings: string[] };

/** A tensor of 32-bit floats. Its shape is written as GGUF does: the length of a row first. */
export interface GgufTensor {
  name: string;
  shape: number[];
  /** Each of its elements; default 0. */
  value?: number;
}

const alignment = 32;
/** Numbers of the value types and of the tensor type F32: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
const types = { uint32: 4, float32: 6, string: 8, array: 9 };

/** A whole GGUF file of version 3. */
export function ggufOf(header: Record<string, GgufValue>, tensors: GgufTensor[]): Buffer {
  const parts: Buffer[] = [
    Buffer.from('GGUF'),
    uint32(3),
    uint64(tensors.length),
    uint64(Object.keys(header).length),
    ...Object.entries(header).flatMap(([name, value]) => [text(name), valueOf(value)]),
  ];
  const data: Buffer[] = [];
  let offset = 0;
  for (const { name, shape, value = 0 } of tensors) {
    parts.push(text(name), uint32(shape.length), ...shape.map(uint64), uint32(0), uint64(offset));
    const floats = Buffer.from(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value).buffer);
    const padded = pad(floats);
    data.push(padded);
    offset += padded.length;
  }
  return Buffer.concat([pad(Buffer.concat(parts)), ...data]);
}

/** What there is to say about an adapter that is not as `loraGguf` makes it. */
export interface LoraOptions {
  /** `general.architecture` of the model that it was trained for. */
  architecture?: string;
  header?: Record<string, GgufValue>;
  /** The tensor of the base that it changes, its row length and its number of rows. */
  target?: [name: string, columns: number, rows: number];
  /** Of all elements of both halves. */
  value?: number;
}

/** A LoRA adapter of rank 1 in GGUF; as it is, for SmolLM2-135M. */
export function loraGguf({ architecture = 'llama', header, target, value = 0.01 }: LoraOptions = {}): Buffer {
  const [name, columns, rows] = target ?? ['blk.29.attn_q.weight', 576, 576];
  return ggufOf(
    {
      'general.architecture': { string: architecture },
      'general.type': { string: 'adapter' },
      'adapter.type': { string: 'lora' },
      'adapter.lora.alpha': { float32: 1 },
      ...header,
    },
    [
      { name: `${name}.lora_a`, shape: [columns, 1], value },
      { name: `${name}.lora_b`, shape: [1, rows], value },
    ],
  );
}

function valueOf(value: GgufValue): Buffer {
  if ('string' in value) return Buffer.concat([uint32(types.string), text(value.string)]);
  if ('uint32' in value) return Buffer.concat([uint32(types.uint32), uint32(value.uint32)]);
  if ('float32' in value) return Buffer.concat([uint32(types.float32), float32(value.float32)]);
  const items = value.strings.map(text);
  return Buffer.concat([uint32(types.array), uint32(types.string), uint64(items.length), ...items]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function pad(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((alignment - (bytes.length % alignment)) % alignment)]);
}
