import { hash, tokenize } from './text.ts';

/** A unit vector in which texts with the same words are near each other. */
export function embed(text: string, dimensions: number, seed: number): number[] {
  const vector = Array.from({ length: dimensions }, () => 0);
  for (const token of tokenize(text.toLowerCase()))
    for (let probe = 0; probe < 4; probe++) {
      const at = hash(`${token}|${probe}`, seed) % dimensions;
      vector[at] = (vector[at] ?? 0) + (hash(`${probe}|${token}`, seed) % 2 === 0 ? 1 : -1);
    }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

/** As the APIs give it: numbers, or 32-bit floats in base64. */
export function encoded(vector: number[], format: unknown): number[] | string {
  return format === 'base64' ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector;
}

/** `input` of an embeddings request: one text or several. */
export function textsOf(input: unknown): string[] | undefined {
  if (typeof input === 'string') return [input];
  return Array.isArray(input) && input.length > 0 && input.every((text) => typeof text === 'string')
    ? input
    : undefined;
}
