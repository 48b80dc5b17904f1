import { createRequire } from 'node:module';
import type { buildConnector as BuildConnector, Pool as UndiciPool } from 'undici';

const load = createRequire(import.meta.url);

/*
 * The two parts of undici that we need. Its index also loads fetch, WebSocket, EventSource, caches and mocks: 12 MB of memory
 * and 60 ms at each start (undici 8.13, which is pinned). This can go when undici has entry points of its own for them.
 */
export const Pool = load('undici/lib/dispatcher/pool.js') as typeof UndiciPool;
export const buildConnector = load('undici/lib/core/connect.js') as typeof BuildConnector;
