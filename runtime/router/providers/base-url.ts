import type { CallableBackend } from './dialect.ts';

/** What a provider's base URL says to those who send requests there. */
export interface BaseUrl {
  hostname: string;
  /** Path without a slash at its end. */
  prefix: string;
}

const read = new WeakMap<CallableBackend, BaseUrl>();

/** Reads a provider's base URL, once for each route. Undefined for a model. */
export function baseUrlOf(backend: CallableBackend): BaseUrl | undefined {
  if (backend.kind !== 'Provider') return undefined;
  let base = read.get(backend);
  if (!base) {
    const { hostname, pathname } = new URL(backend.baseUrl);
    read.set(backend, (base = { hostname, prefix: pathname.replace(/\/$/, '') }));
  }
  return base;
}
