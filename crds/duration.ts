import { InvalidValueError } from './invalid-value.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** What a duration looks like: whole numbers with a unit. Two numbers of six digits in hours still fit Go's 64 bits. */
export const durationPattern = '^([0-9]{1,6}(ms|s|m|h))+$';
/** Longest text of a duration. */
export const maxDurationLength = 16;

/**
 * Milliseconds of a Go-style duration of whole numbers: `300ms`, `10s`, `5m`, `1h30m`.
 *
 * @throws InvalidValueError when the text is not one.
 */
export function parseDuration(text: string): number {
  if (text.length > maxDurationLength || !new RegExp(durationPattern).test(text)) {
    throw new InvalidValueError(
      `"${text}" is not a duration; write whole numbers with units, such as 300ms, 10s or 1h30m`,
    );
  }
  let total = 0;
  for (const [, count, unit] of text.matchAll(/([0-9]+)(ms|s|m|h)/g))
    total += Number(count) * (unitMs[unit ?? ''] ?? 0);
  return total;
}
