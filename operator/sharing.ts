/*
 * The children of a thousand models are alike: the same probes, security contexts, labels and owner references. Equal parts
 * of what is kept are one object here, so that a thousand Deployments take the room of a few. What is in the caches is never
 * changed, so nobody can tell.
 */

/** What was seen lately; forgetting it costs room, not truth. */
const most = 4096;
const longestString = 128;
const largestPart = 512;

const strings = new Map<string, string>();
/** By their JSON. */
const parts = new Map<string, object>();

/** The same string for equal ones. */
export function shared(text: string): string {
  if (text.length > longestString) return text;
  const known = strings.get(text);
  if (known !== undefined) return known;
  if (strings.size >= most) strings.clear();
  strings.set(text, text);
  return text;
}

/** The same object for equal JSON values, where they are small. */
export function sharedPart<T>(value: T): T {
  if (typeof value === 'string') return shared(value) as T;
  if (typeof value !== 'object' || value === null) return value;
  const text = JSON.stringify(value);
  return text.length <= largestPart ? (lookUp(text, value) as T) : sharedFields(value, farDown);
}

/**
 * A value with its small parts shared, as a spec: what is near the top is its object's own, or too large. Takes its argument
 * over: parts of it are replaced.
 */
export function sharedTree<T>(value: T): T {
  return sharedFields(value, 0);
}

/** From this depth on parts are tried: spec, template, spec, containers. */
const farDown = 4;

function sharedFields<T>(value: T, depth: number): T {
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Record<string, unknown>;
  for (const key in record) {
    const field = record[key];
    if (typeof field === 'string') record[key] = shared(field);
    else if (typeof field === 'object')
      record[key] = depth < farDown ? sharedFields(field, depth + 1) : sharedPart(field);
  }
  return value;
}

function lookUp(text: string, value: object): object {
  const known = parts.get(text);
  if (known) return known;
  if (parts.size >= most) parts.clear();
  parts.set(text, value);
  return value;
}
