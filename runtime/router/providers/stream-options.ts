import { ApiError } from '../errors.ts';
import type { RequestBody } from '../operations.ts';

/** The client's `stream_options` with the usage asked for, in JSON; undefined where it asked for it itself. Throws an `ApiError`. */
export function withUsage(body: RequestBody): string | undefined {
  const options = body['stream_options'];
  const given = typeof options === 'object' && options !== null ? options : {};
  if ('include_usage' in given && given.include_usage === true) return undefined;
  try {
    return JSON.stringify({ ...given, include_usage: true });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the stack, as it is nested
    throw new ApiError(400, 'invalid_type', '"stream_options" is nested too deeply', { param: 'stream_options' });
  }
}

/** Whether a client that streams wants the last event with the usage. */
export function wantsUsage(body: RequestBody): boolean {
  return body['stream'] === true && withUsage(body) === undefined;
}
