import { performance } from 'node:perf_hooks';
import { ApiError } from '../errors.ts';
import { type Exchange, type RouterContext, set } from './exchange.ts';
import type { Limits } from './limits.ts';
import type { MinuteWindow } from './minute-window.ts';
import { foreseenTokens } from './prompt-size.ts';

/** One limit, as far as this request goes. */
interface Limit {
  /** As OpenAI's headers name it. */
  what: 'requests' | 'tokens';
  window: MinuteWindow;
  /** Of all replicas together. */
  perMinute: number;
  /** Of this replica. */
  share: number;
  /** What the request takes: never more than the whole share, so that it can be served when nobody else is. */
  amount: number;
}

/** No backend's count of tokens is taken for more than this, so that sums stay exact. */
const mostTokens = 2 ** 31;

/**
 * Holds a policy's clients to its limits. Takes one request, and the tokens that can be foreseen; what they really were is
 * settled in the end. 429 with `retry-after` where a limit is reached, and then nothing is taken.
 */
export function limit(exchange: Exchange, { limits }: RouterContext): void {
  const { route } = set(exchange.route, 'route');
  if (!route.limits) return;
  const { requestsPerMinute, tokensPerMinute, per } = route.limits;
  const account = limits.account(route.policy.uid, per === 'Key' ? exchange.principal?.digest : undefined);
  const now = performance.now();
  const all: Limit[] = [];
  if (requestsPerMinute !== undefined) all.push(limitOf('requests', account.requests, 1, requestsPerMinute, limits));
  if (tokensPerMinute !== undefined)
    all.push(limitOf('tokens', account.tokens, foreseenTokens(exchange.body), tokensPerMinute, limits));

  for (const one of all) {
    const waitMs = one.window.waitFor(one.amount, one.share, now);
    if (waitMs > 0) throw reached(one, per, waitMs, headersOf(all, limits, now), exchange.model);
  }
  for (const { window, amount } of all) window.add(amount, now);
  exchange.reservation = {
    account,
    tokens: all.find(({ what }) => what === 'tokens')?.amount,
    at: now,
    headers: headersOf(all, limits, now),
  };
}

/**
 * Takes the tokens that a request has really cost, in all its attempts, in place of those that were foreseen. Where an
 * answer was given whose tokens nobody counted, or the client left before they were, it stays at what was foreseen.
 */
export function settle({ reservation, attempts, committed, gone }: Exchange): void {
  if (reservation?.tokens === undefined) return;
  const { account, tokens: foreseen, at } = reservation;
  let spent = 0;
  for (const { usage } of attempts) if (usage) spent += usage.prompt + usage.completion;
  if (spent === 0 && (committed || gone)) return;
  const more = Math.min(Math.round(spent), mostTokens) - foreseen;
  const now = performance.now();
  if (more > 0) account.tokens.add(more, now);
  else account.tokens.giveBack(-more, at, now);
}

function limitOf(what: Limit['what'], window: MinuteWindow, amount: number, perMinute: number, limits: Limits): Limit {
  const share = limits.share(perMinute);
  return { what, window, perMinute, share, amount: Math.min(amount, share) };
}

function reached(
  { what, perMinute }: Limit,
  per: 'Key' | 'Policy',
  waitMs: number,
  headers: readonly string[],
  model: string,
): ApiError {
  const seconds = Math.ceil(waitMs / 1000);
  const whose = per === 'Key' ? 'this key' : 'all clients together';
  const message = `rate limit of model "${model}" reached: ${perMinute} ${what} per minute for ${whose}; try again in ${seconds} s`;
  return new ApiError(429, 'rate_limit_exceeded', message, {
    retryAfterSeconds: seconds,
    headers: Object.fromEntries(pairs(headers)),
  });
}

/**
 * OpenAI's headers of rate limits (https://platform.openai.com/docs/guides/rate-limits, "Rate limits in headers"), names
 * and values in turn. What remains is what this replica has left, times the number of replicas.
 */
function headersOf(all: readonly Limit[], { replicas }: Limits, now: number): string[] {
  const headers: string[] = [];
  for (const { what, window, perMinute, share } of all) {
    const left = Math.max(share - window.used(now), 0) * replicas;
    headers.push(
      `x-ratelimit-limit-${what}`,
      String(perMinute),
      `x-ratelimit-remaining-${what}`,
      String(Math.min(left, perMinute)),
      `x-ratelimit-reset-${what}`,
      minutesAndSeconds(window.emptyIn(now)),
    );
  }
  return headers;
}

/** As OpenAI writes durations: `1s`, `1m1s`. */
function minutesAndSeconds(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}

function* pairs(headers: readonly string[]): Iterable<readonly [string, string]> {
  for (let at = 0; at + 1 < headers.length; at += 2) yield [headers[at] as string, headers[at + 1] as string];
}
