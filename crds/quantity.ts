import { InvalidValueError } from './invalid-value.ts';

/** What a quantity that is not negative looks like: Kubernetes' own notation, with exponents of at most two digits. */
export const quantityPattern = '^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$';
/** Longest text of a quantity. */
export const maxQuantityLength = 32;

const binary = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const decimalPower: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const nanoPower = 9;
const parts = /^([0-9]*)\.?([0-9]*)([a-zA-Z]*)([-+]?[0-9]*)$/;

/**
 * A Kubernetes quantity in billionths of its base unit (cores or bytes), exactly; smaller fractions are rounded up, as
 * Kubernetes does. A number is taken as a number of base units.
 *
 * @throws InvalidValueError when it is not a quantity, or a negative one.
 */
export function quantityToNano(quantity: string | number): bigint {
  const text = String(quantity);
  const match = parts.exec(text);
  if (text.length > maxQuantityLength || !new RegExp(quantityPattern).test(text) || !match) {
    throw new InvalidValueError(`"${text}" is not a quantity; write a number with a unit, such as 2, 500m or 16Gi`);
  }
  const [, whole = '', fraction = '', suffix = '', exponent = ''] = match;
  const digits = BigInt(whole + fraction);
  const shift = binary.indexOf(suffix) + 1;
  const power = (exponent ? Number(exponent) : shift ? 0 : (decimalPower[suffix] ?? 0)) + nanoPower - fraction.length;
  const scaled = digits * 1024n ** BigInt(shift);
  return power >= 0 ? scaled * 10n ** BigInt(power) : divideUp(scaled, 10n ** BigInt(-power));
}

/**
 * A Kubernetes quantity as a number of its base unit: cores for CPU (`500m` is 0.5), bytes for memory (`1Ki` is 1024).
 * Exact for whole numbers up to 2^53; `quantityToNano` is exact for all.
 *
 * @throws InvalidValueError when it is not a quantity, or a negative one.
 */
export function parseQuantity(quantity: string | number): number {
  const nano = quantityToNano(quantity);
  const unit = 10n ** BigInt(nanoPower);
  return Number(nano / unit) + Number(nano % unit) / 1e9;
}

/** Less than, equal to or greater than zero as `a` is smaller than, equal to or larger than `b`; exact. */
export function compareQuantities(a: string | number, b: string | number): number {
  const difference = quantityToNano(a) - quantityToNano(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function divideUp(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}
