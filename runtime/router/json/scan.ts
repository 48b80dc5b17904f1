const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** Told where the value of a wanted member is: bytes [start, end). Returns false to stop looking. */
export type Found = (name: number, start: number, end: number) => boolean;

/**
 * Finds members of the object at the top level of a JSON document without parsing it: a document that is passed on needs
 * a name changed, not every number of it read and written again. Stops at the first thing that is not JSON.
 */
export function scanMembers(json: Buffer, names: readonly Buffer[], found: Found): void {
  let at = skipSpace(json, 0);
  if (json[at] !== openBrace) return;
  at = skipSpace(json, at + 1);
  while (json[at] === quote) {
    const keyEnd = stringEnd(json, at);
    const name = indexOfName(json, at + 1, keyEnd - 1, names);
    at = skipSpace(json, keyEnd);
    if (json[at] !== colon) return;
    const start = skipSpace(json, at + 1);
    const end = valueEnd(json, start);
    if (end === start || (name >= 0 && !found(name, start, end))) return;
    at = skipSpace(json, end);
    if (json[at] !== comma) return;
    at = skipSpace(json, at + 1);
  }
}

/** The first byte at or after `at` that is not JSON's white space. */
export function skipSpace(json: Buffer, at: number): number {
  for (;;) {
    const byte = json[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at++;
  }
}

/** `at` is an opening quote; the index after the closing one, or the length where there is none. */
function stringEnd(json: Buffer, at: number): number {
  at++;
  // Most strings are short, for which a loop is faster than a native call; long ones (images) are not walked through.
  for (const near = at + 48; at < near; at++) {
    const byte = json[at];
    if (byte === quote) return at + 1;
    if (byte === undefined) return json.length;
    if (byte === backslash) at++;
  }
  for (let end = json.indexOf(quote, at); end >= 0; end = json.indexOf(quote, end + 1)) {
    let escapes = 0;
    while (end - 1 - escapes >= at && json[end - 1 - escapes] === backslash) escapes++;
    if (escapes % 2 === 0) return end + 1;
  }
  return json.length;
}

function valueEnd(json: Buffer, at: number): number {
  let depth = 0;
  while (at < json.length) {
    const byte = json[at];
    if (byte === quote) {
      at = stringEnd(json, at);
      if (depth === 0) return at;
    } else if (byte === openBrace || byte === openBracket) {
      depth++;
      at++;
    } else if (byte === closeBrace || byte === closeBracket) {
      if (depth === 0) return at;
      depth--;
      at++;
      if (depth === 0) return at;
    } else if (depth === 0 && (byte === comma || byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09)) {
      return at;
    } else {
      at++;
    }
  }
  return at;
}

function indexOfName(json: Buffer, start: number, end: number, names: readonly Buffer[]): number {
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as Buffer;
    if (end - start === name.length && equalAt(json, start, name)) return i;
  }
  // A key may be written with escapes (`"\u006dodel"`), which every parser reads as the same name.
  for (let at = start; at < end; at++) {
    if (json[at] === backslash) return indexOfEscaped(json.toString('utf8', start - 1, end + 1), names);
  }
  return -1;
}

function indexOfEscaped(key: string, names: readonly Buffer[]): number {
  try {
    const name = JSON.parse(key) as string;
    return names.findIndex((wanted) => wanted.toString() === name);
  } catch {
    return -1; // not a JSON string: the document is not JSON, and whoever parses it will say so
  }
}

function equalAt(json: Buffer, start: number, name: Buffer): boolean {
  for (let i = 0; i < name.length; i++) if (json[start + i] !== name[i]) return false;
  return true;
}
