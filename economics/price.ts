/**
 * What tokens of a model cost, as whole tenths of a nano-dollar a token: a price of $0.10 for a million tokens is 1,000 of
 * these. So every price of at most four decimals is a whole number, and sums of tokens times prices are exact below 2^53,
 * which is $900,000.
 */
export interface Price {
  input: number;
  output: number;
  /** Of prompt tokens that were read from the provider's cache; absent: they cost what others do. */
  cachedInput?: number | undefined;
  /** Of prompt tokens that were written to it; absent: they cost what others do. */
  cacheWrite?: number | undefined;
}

/** Tokens as an upstream counted them. */
export interface Tokens {
  /** With the cached ones. */
  prompt: number;
  completion: number;
  /** Of the prompt's, read from a cache. */
  cached: number;
  /** Of the prompt's, written to one. */
  cacheWrite: number;
}

const tenthsPerDollarAMillion = 10_000;

/** Dollars for a million tokens, as a decimal number of at most four decimals, in tenths of a nano-dollar a token. */
export function perToken(dollarsPerMillion: string): number {
  return Math.round(Number(dollarsPerMillion) * tenthsPerDollarAMillion);
}

/** What an attempt cost, in whole nano-dollars; rounded once, half up. */
export function costOf({ prompt, completion, cached, cacheWrite }: Tokens, price: Price): number {
  const { input, output, cachedInput = input, cacheWrite: writing = input } = price;
  const read = Math.min(cached, prompt);
  const written = Math.min(cacheWrite, prompt - read);
  const others = prompt - read - written;
  return Math.round((others * input + read * cachedInput + written * writing + completion * output) / 10);
}

/** Nano-dollars as dollars, with every digit: `0.000123456`. */
export function inDollars(nanoDollars: number): string {
  const whole = Math.floor(nanoDollars / 1e9);
  const fraction = String(nanoDollars % 1e9).padStart(9, '0');
  return `${whole}.${fraction.replace(/0{1,7}$/, '')}`;
}
