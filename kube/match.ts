/**
 * Whether a live object has everything that a desired one says, so that applying it would change nothing. Objects: each of
 * the desired fields matches; the live one may have more, e.g. defaults. Lists: as long, and matching one by one; only in
 * `ownerReferences` and `finalizers`, which others add to, the desired ones may be anywhere. Quantities match by value.
 */
export function contains(live: unknown, desired: unknown, key = '', parent = ''): boolean {
  if (desired === live || desired === undefined) return true;
  if (Array.isArray(desired)) {
    if (!Array.isArray(live)) return false;
    if (sharedLists.has(key)) return desired.every((one) => live.some((other) => contains(other, one)));
    return live.length === desired.length && desired.every((one, at) => contains(live[at], one, '', key));
  }
  if (isObject(desired)) {
    // The server leaves out what is empty.
    if (live === undefined) return Object.values(desired).every((value) => value === undefined);
    if (!isObject(live) || Array.isArray(live)) return false;
    for (const name in desired) {
      if (!contains(live[name], desired[name], name, key)) return false;
    }
    return true;
  }
  return (quantityMaps.has(parent) || quantities.has(key)) && sameQuantity(live, desired);
}

/** Whether two JSON values are equal; the order of fields and fields that are undefined do not count. */
export function equals(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((one, at) => equals(one, b[at]));
  }
  if (!isObject(a) || !isObject(b) || Array.isArray(b)) return false;
  for (const name in a) if (!equals(a[name], b[name])) return false;
  for (const name in b) if (b[name] !== undefined && a[name] === undefined) return false;
  return true;
}

const sharedLists = new Set(['ownerReferences', 'finalizers']);
/** Fields whose values are quantities, and single fields that are one. */
const quantityMaps = new Set(['limits', 'requests', 'capacity', 'allocatable', 'hard', 'overhead']);
const quantities = new Set(['sizeLimit', 'divisor', 'averageValue', 'storage']);

/** https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource#Quantity */
const quantity = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d+))?$/;
const suffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

function sameQuantity(a: unknown, b: unknown): boolean {
  const [one, other] = [valueOf(a), valueOf(b)];
  return one !== undefined && one === other;
}

function valueOf(given: unknown): number | undefined {
  const found = typeof given === 'string' || typeof given === 'number' ? quantity.exec(String(given)) : null;
  if (!found) return undefined;
  const [, digits = '', suffix = '', exponent = '0'] = found;
  if (suffix.endsWith('i')) return Number(digits) * 2 ** (10 * binarySuffixes.indexOf(suffix));
  // As text, so that 100m is the same number as 0.1.
  return Number(`${digits}e${3 * (suffixes.indexOf(suffix) - 3) + Number(exponent)}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
