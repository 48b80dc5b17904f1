import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../crds/duration.ts';
import { errorMessage } from '../process/errors.ts';

/** A port to listen on; 0 takes a free one. */
export function port(text: string): number {
  const number = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || number > 65_535) throw new InvalidArgumentError('It must be a port, 0 to 65535.');
  return number;
}

/** Milliseconds of a duration such as `5s` or `1m30s`; a bare number is seconds. */
export function duration(text: string): number {
  try {
    return parseDuration(/^[0-9]+$/.test(text) ? `${text}s` : text);
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
}

/** An absolute http or https URL. */
export function httpUrl(text: string): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError('It must be a URL that begins with http:// or https://.');
  }
  return text.replace(/\/+$/, '');
}
