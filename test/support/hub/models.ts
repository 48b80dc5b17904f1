/** Files that look like models to whoever reads their first bytes. `size` in bytes. */

/** A GGUF header (magic, version 3, one tensor, no metadata) and deterministic noise. */
export function ggufFile(size: number, seed = 1): Buffer {
  const head = Buffer.alloc(24);
  head.write('GGUF', 0, 'latin1');
  head.writeUInt32LE(3, 4);
  head.writeBigUInt64LE(1n, 8);
  return Buffer.concat([head, noise(size - head.length, seed)]);
}

/** A safetensors file with one tensor of bytes. */
export function safetensorsFile(size: number, seed = 1): Buffer {
  const header = (bytes: number) =>
    Buffer.from(JSON.stringify({ weight: { dtype: 'U8', shape: [bytes], data_offsets: [0, bytes] } }));
  const bytes = size - 8 - header(size).length;
  const head = header(bytes);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  return Buffer.concat([length, head, noise(bytes, seed)]);
}

/** A safetensors file with tensors of these names and shapes, all zero. A type says how many bytes an element has. */
export function safetensorsOf(tensors: { name: string; shape: number[]; dtype: string }[]): Buffer {
  let end = 0;
  const entries = tensors.map(({ name, shape, dtype }) => {
    const begin = end;
    end += shape.reduce((product, length) => product * length, 1) * (Number(dtype.replace(/^\D+/, '')) / 8);
    return [name, { dtype, shape, data_offsets: [begin, end] }] as const;
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.alloc(end)]);
}

function noise(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
