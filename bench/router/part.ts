import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createBackend } from './backend.ts';
import { createBareProxy } from './bare.ts';
import { startCadre } from './cadre.ts';

/** A process of its own: `node part.ts backend|bare|cadre [BACKEND_PORT]`. Tells its parent its port, and ends with it. */
const [part, port = '0'] = process.argv.slice(2);
process.on('disconnect', () => process.exit());
process.send?.({ port: await start(Number(port)) });

async function start(backendPort: number): Promise<number> {
  if (part === 'cadre') return startCadre(backendPort);
  const server = part === 'bare' ? createBareProxy(`http://127.0.0.1:${backendPort}`) : createBackend();
  return listening(server);
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
