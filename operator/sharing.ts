/*
 * The children of a thousand models are alike: the same probes, security contexts, labels and owner references. Equal parts
 * of what is kept are one object here, so that a thousand Deployments take the room of a few. What is in the caches is never
 * changed, so nobody can tell.
 */

/** Parts that were seen lately; forgetting them costs room, not truth. */
const most = 4096;
const longestString = 128;
const longestKey = 1024;

const strings = new Map<string, string>();
/** Objects and arrays by what they are made of, in which parts stand as their numbers. */
const values = new Map<string, object>();
const numbers = new WeakMap<object, number>();
let lastNumber = 0;

/** The same string for equal ones. */
export function shared(text: string): string {
  if (text.length > longestString) return text;
  const known = strings.get(text);
  if (known !== undefined) return known;
  if (strings.size >= most) strings.clear();
  strings.set(text, text);
  return text;
}

/** The same object for equal JSON values. Takes its argument over: parts of it are replaced. */
export function sharedDeep<T>(value: T): T {
  if (typeof value === 'string') return shared(value) as T;
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Record<string, unknown>;
  let made = Array.isArray(value) ? '[' : '{';
  for (const key in record) {
    const part = sharedDeep(record[key]);
    record[key] = part;
    // With its length, so that no name can look like the end of another.
    made += `${key.length} ${key}${signature(part)},`;
  }
  if (made.length > longestKey) return value;
  const known = values.get(made);
  if (known) return known as T;
  if (values.size >= most) values.clear();
  values.set(made, value);
  numbers.set(value, ++lastNumber);
  return value;
}

/** Tells parts apart as JSON would: strings are quoted, objects are numbered. */
function signature(part: unknown): string {
  if (typeof part === 'string') return JSON.stringify(part);
  if (typeof part !== 'object' || part === null) return String(part);
  let number = numbers.get(part);
  if (number === undefined) {
    // One that was too large to be shared.
    number = ++lastNumber;
    numbers.set(part, number);
  }
  return `#${number}`;
}
