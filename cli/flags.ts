import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../crds/duration.ts';
import { type EngineType, engineTypes } from '../crds/v1alpha1/specialized-model.ts';
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

/** An address to listen on. */
export interface HostPort {
  host: string;
  port: number;
}

/** `127.0.0.1:8080`, `[::1]:8080`, `:8080` (every address), `8080` (this machine only). */
export function hostPort(text: string): HostPort {
  const [, bracketed, plain, digits = ''] = /^(?:(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]]*)):)?(\d+)$/.exec(text) ?? [];
  if (digits === '') throw new InvalidArgumentError('It must be HOST:PORT, e.g. 127.0.0.1:8080.');
  const host = bracketed ?? (plain === undefined ? '127.0.0.1' : plain || '::');
  return { host, port: port(digits) };
}

/** Values of an option that may be given several times. */
export function several(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}

/** `NAME=URL` or `NAMESPACE/NAME=URL`, several times: origins by name. */
export type Endpoints = ReadonlyMap<string, readonly string[]>;

export function endpoint(text: string, before: Endpoints | undefined): Endpoints {
  const [name, address] = assignment(text, 'NAME=URL, e.g. ticket-classifier=http://127.0.0.1:9001');
  const url = URL.parse(address);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError('Its URL must begin with http:// or https://, e.g. http://127.0.0.1:9001.');
  }
  if (url.pathname !== '/' || url.search || url.hash || url.username || url.password) {
    throw new InvalidArgumentError(`Its URL must be no more than scheme, host and port: ${url.origin}.`);
  }
  const origins = before?.get(name) ?? [];
  return new Map(before).set(name, [...new Set([...origins, url.origin])]);
}

/** `NAME=VLLM` or `NAME=LlamaCpp`, several times: engines by name. */
export type Engines = ReadonlyMap<string, EngineType>;

export function engine(text: string, before: Engines | undefined): Engines {
  const [name, type] = assignment(text, 'NAME=TYPE, e.g. ticket-classifier=LlamaCpp');
  const known = engineTypes.find((one) => one === type);
  if (!known) throw new InvalidArgumentError(`Its type must be one of ${engineTypes.join(', ')}.`);
  return new Map(before).set(name, known);
}

/** Names of environment variables, by the name of a Secret and then by the key in it. */
export type SecretVariables = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** `NAME/KEY=VARIABLE` or `NAMESPACE/NAME/KEY=VARIABLE`, several times. */
export function secretVariable(text: string, before: SecretVariables | undefined): SecretVariables {
  const form = 'NAME/KEY=VARIABLE, e.g. openai/token=OPENAI_API_KEY';
  const [, name = '', key = '', variable = ''] = /^((?:[^/=]+\/)?[^/=]+)\/([^/=]+)=([A-Za-z_]\w*)$/.exec(text) ?? [];
  if (name === '') throw new InvalidArgumentError(`It must be ${form}.`);
  return new Map(before).set(name, new Map(before?.get(name)).set(key, variable));
}

function assignment(text: string, form: string): [name: string, value: string] {
  const [, name = '', value = ''] = /^((?:[a-z0-9-]+\/)?[a-z0-9][a-z0-9-]*)=(.+)$/.exec(text) ?? [];
  if (name === '') throw new InvalidArgumentError(`It must be ${form}.`);
  return [name, value];
}
