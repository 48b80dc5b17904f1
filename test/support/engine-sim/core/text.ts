/** Pieces of up to five characters, as a stand-in for a tokenizer: deterministic, and joined they are the text again. */
export function tokenize(text: string): string[] {
  return text.match(/ ?[\p{L}\p{N}_]{1,5}|\s+|[^\s\p{L}\p{N}_]/gu) ?? [];
}

/** A stable number for a text, as its identifier in the vocabulary. */
export function tokenId(token: string): number {
  return hash(token) % 49_152;
}

/** FNV-1a with a final mix: 32 bits, equal for equal texts everywhere. */
export function hash(text: string, seed = 0): number {
  let value = 2_166_136_261 ^ seed;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 16_777_619);
  value = Math.imul(value ^ (value >>> 15), 2_246_822_507);
  value = Math.imul(value ^ (value >>> 13), 3_266_489_909);
  return (value ^ (value >>> 16)) >>> 0;
}

/** Uniform in [0, 1), equal for equal arguments. */
export function chance(text: string, seed = 0): number {
  return hash(text, seed) / 2 ** 32;
}

/** A text as it is, anything else as JSON. */
export function asText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

export function bytesOf(text: string): number[] {
  return [...Buffer.from(text)];
}
