import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { type ModelBackend, type Route, routeVersion } from '../../crds/route-table.ts';
import { clientKey, routeSecret, startRouting } from '../router/cadre.ts';
import { labels } from '../router/labels.ts';
import { createBackend } from './backend.ts';

/** A process of its own: `node part.ts backend|cadre [BACKEND_PORT]`. Tells its parent its port, and ends with it. */
const [part, port = '0'] = process.argv.slice(2);
process.on('disconnect', () => process.exit());
process.send?.({ port: await (part === 'cadre' ? startCadre(Number(port)) : startBackend()) });

function startBackend(): Promise<number> {
  const server = createBackend();
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** The router as it ships, with one policy for each kind of backend. */
function startCadre(backendPort: number): Promise<number> {
  const routes = [routeTo('head', { classify: 'Text' }), routeTo('logprobs', {})];
  return startRouting(routes.map(routeSecret), ['head', 'logprobs'], backendPort);
}

function routeTo(name: string, over: Partial<ModelBackend>): Route {
  const backend: ModelBackend = {
    name,
    kind: 'Model',
    namespace: 'bench',
    model: name,
    engine: 'VLLM',
    task: 'Classification',
    servedModel: 'served',
    ...over,
  };
  return {
    version: routeVersion,
    policy: { namespace: 'bench', name, uid: name, generation: 1 },
    model: name,
    access: { mode: 'Keys', keys: [{ name: 'bench', sha256: createHash('sha256').update(clientKey).digest('hex') }] },
    backends: [backend],
    split: [{ backend: name, weight: 1 }],
    fallback: [],
    output: { labels: [...labels] },
    timeouts: { firstByteMs: 10_000, idleMs: 20_000, totalMs: 60_000 },
  };
}
