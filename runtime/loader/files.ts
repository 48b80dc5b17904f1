import { open, readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { SourceField } from '../../crds/v1alpha1/model-source.ts';
import { type LoadFailureCode, loadError } from './report.ts';

/**
 * The first sixteen bytes of a GGUF file: magic, version, number of tensors.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * @throws UserError `NotAGguf`
 */
export async function verifyGgufHead(path: string, field: SourceField): Promise<void> {
  const head = await firstBytes(path, 16);
  const name = basename(path);
  const what = field === 'model' ? 'the model' : 'the adapter (convert_lora_to_gguf.py)';
  if (head.length < 16 || head.toString('latin1', 0, 4) !== 'GGUF')
    throw loadError(
      'NotAGguf',
      `${name} is not a GGUF file: it does not begin with "GGUF"; convert ${what}, or correct ${field}.uri`,
    );
  const version = head.readUInt32LE(4);
  if (version !== 2 && version !== 3)
    throw loadError('NotAGguf', `${name} has GGUF version ${version}; llama.cpp reads 2 and 3: convert ${what} again`);
  if (head.readBigUInt64LE(8) === 0n)
    throw loadError('NotAGguf', `${name} holds no tensors; it may be a vocabulary only`);
}

/** What a safetensors file says of its tensors, by their names; beside them `__metadata__`, which has none of this. */
export type Safetensors = Record<string, { dtype?: string; shape?: number[]; data_offsets?: [number, number] }>;

/** https://github.com/huggingface/safetensors#format: the header's length in eight bytes, the header, the tensors. */
export async function verifySafetensors(path: string, code: LoadFailureCode): Promise<Safetensors> {
  const { size } = await stat(path);
  const head = await firstBytes(path, 9);
  const headerBytes = head.length === 9 ? head.readBigUInt64LE(0) : 0n;
  if (head[8] !== 0x7b || headerBytes < 2n || headerBytes > 100_000_000n || headerBytes + 8n > BigInt(size))
    throw loadError(code, `${basename(path)} is not a safetensors file, or only a part of one`);
  const header = await firstBytes(path, 8 + Number(headerBytes));
  let entries: Safetensors;
  try {
    entries = JSON.parse(header.toString('utf8', 8)) as Safetensors;
  } catch {
    throw loadError(code, `${basename(path)} is not a safetensors file: its header is not JSON`);
  }
  const end = Math.max(0, ...Object.values(entries).map(({ data_offsets: offsets }) => offsets?.[1] ?? 0));
  if (header.length + end > size)
    throw loadError(code, `${basename(path)} has ${size} bytes of ${header.length + end}: it was cut short`);
  return entries;
}

async function firstBytes(path: string, length: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** What stands in a file of JSON, which must be an object. */
export async function readJsonObject(path: string, code: LoadFailureCode): Promise<object> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw loadError(code, `${basename(path)} is not a JSON object; the file is damaged`);
}
