import type { RequestBody } from '../operations.ts';

/** The client's `stream_options` with the usage asked for, in JSON; undefined where it asked for it itself. */
export function withUsage(body: RequestBody): string | undefined {
  const options = body['stream_options'];
  const given = typeof options === 'object' && options !== null ? options : {};
  if ('include_usage' in given && given.include_usage === true) return undefined;
  return JSON.stringify({ ...given, include_usage: true });
}

/** Whether a client that streams wants the last event with the usage. */
export function wantsUsage(body: RequestBody): boolean {
  return body['stream'] === true && withUsage(body) === undefined;
}
