import { type FileHandle, open } from 'node:fs/promises';

/** What a GGUF file says of itself before its data. */
export interface GgufHeader {
  /** Metadata that is text, by its key. Other metadata is passed over. */
  texts: Map<string, string>;
  tensors: Map<string, GgufTensor>;
  /** Bytes that the file must have, as far as the sizes of its tensors' types are known. */
  bytes: number;
}

export interface GgufTensor {
  /** The length of a row first, as GGUF writes it. */
  shape: number[];
}

/** A file that ends too early, or says what can't be. */
export class GgufError extends Error {
  override readonly name = 'GgufError';
}

/** Bytes of metadata values, by their type; text is 8, an array 9. */
const valueBytes: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};
const textType = 8;
const arrayType = 9;

/** Elements in a block and its bytes, by the tensor's type: ggml.h and the block structures of ggml-common.h. */
const tensorTypes: Readonly<Record<number, readonly [elements: number, bytes: number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  30: [1, 2],
};

const mostTensors = 1_000_000;
const mostDimensions = 4;
const longestText = 2 ** 26;

/**
 * Reads the header of a GGUF file, version 2 or 3, and none of its data:
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * @throws GgufError where the file is cut short or is no such file
 */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    return await headerOf(new Bytes(file, size));
  } finally {
    await file.close();
  }
}

async function headerOf(bytes: Bytes): Promise<GgufHeader> {
  const magic = await bytes.take(8);
  if (magic.toString('latin1', 0, 4) !== 'GGUF') throw new GgufError('does not begin with "GGUF"');
  const tensorCount = await bytes.count(mostTensors);
  const valueCount = await bytes.count(mostTensors);
  const texts = new Map<string, string>();
  let alignment = 32;
  for (let at = 0; at < valueCount; at++) {
    const key = await bytes.text();
    const type = await bytes.uint32();
    if (type === textType) texts.set(key, await bytes.text());
    else if (key === 'general.alignment' && type === 4) alignment = await bytes.uint32();
    else await passOver(type, bytes);
  }
  const tensors = new Map<string, GgufTensor>();
  let end = 0;
  for (let at = 0; at < tensorCount; at++) {
    const name = await bytes.text();
    const dimensions = await bytes.uint32();
    if (dimensions > mostDimensions) throw new GgufError(`has a tensor of ${dimensions} dimensions`);
    const shape: number[] = [];
    for (let dimension = 0; dimension < dimensions; dimension++) shape.push(await bytes.count());
    const type = await bytes.uint32();
    const offset = await bytes.count();
    tensors.set(name, { shape });
    end = Math.max(end, offset + sizeOf(type, shape));
  }
  return { texts, tensors, bytes: Math.ceil(bytes.position / alignment) * alignment + end };
}

/** In bytes; 0 for a type that is not known here. */
function sizeOf(type: number, shape: number[]): number {
  const [elements, bytes] = tensorTypes[type] ?? [1, 0];
  return (shape.reduce((product, length) => product * length, 1) / elements) * bytes;
}

async function passOver(type: number, bytes: Bytes): Promise<void> {
  if (type === textType) return bytes.skip(await bytes.count());
  if (type !== arrayType) return bytes.skip(bytesOf(type));
  const itemType = await bytes.uint32();
  const length = await bytes.count();
  // Arrays of arrays are none that llama.cpp reads; `bytesOf` refuses them.
  if (itemType !== textType) return bytes.skip(length * bytesOf(itemType));
  for (let at = 0; at < length; at++) bytes.skip(await bytes.count());
}

function bytesOf(type: number): number {
  const size = valueBytes[type];
  if (size === undefined) throw new GgufError(`has metadata of the unknown type ${type}`);
  return size;
}

const chunkBytes = 1 << 20;

/** Reads a file from its beginning on, a chunk at a time. */
class Bytes {
  readonly #file: FileHandle;
  readonly #size: number;
  #chunk: Buffer = Buffer.alloc(0);
  #chunkAt = 0;
  #position = 0;

  constructor(file: FileHandle, size: number) {
    this.#file = file;
    this.#size = size;
  }

  get position(): number {
    return this.#position;
  }

  /** The next so many bytes, good until the next call. */
  async take(length: number): Promise<Buffer> {
    this.#require(length);
    const from = this.#position - this.#chunkAt;
    if (from < 0 || from + length > this.#chunk.length) await this.#fill(Math.max(length, chunkBytes));
    const at = this.#position - this.#chunkAt;
    const taken = this.#chunk.subarray(at, at + length);
    if (taken.length < length) throw new GgufError('ended while it was read');
    this.#position += length;
    return taken;
  }

  skip(length: number): void {
    this.#require(length);
    this.#position += length;
  }

  async uint32(): Promise<number> {
    return (await this.take(4)).readUInt32LE();
  }

  /** A number of things or bytes, written in 64 bits. */
  async count(most = Number.MAX_SAFE_INTEGER): Promise<number> {
    const value = (await this.take(8)).readBigUInt64LE();
    if (value > BigInt(most)) throw new GgufError(`has a count of ${value} in its header`);
    return Number(value);
  }

  async text(): Promise<string> {
    const length = await this.count(longestText);
    return (await this.take(length)).toString('utf8');
  }

  #require(length: number): void {
    if (this.#position + length > this.#size)
      throw new GgufError(`has ${this.#size} bytes, and its header does not end within them: it was cut short`);
  }

  async #fill(length: number): Promise<void> {
    const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, this.#position);
    this.#chunk = buffer.subarray(0, bytesRead);
    this.#chunkAt = this.#position;
  }
}
