import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../process/logger.ts';
import type { RouterConfig } from './config.ts';

/** The open connections of a server, from now on. */
export function connectionsOf(server: Server): ReadonlySet<Socket> {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return open;
}

export interface DrainOptions {
  server: Server;
  /** As `connectionsOf` gives them. */
  connections: ReadonlySet<Socket>;
  context: { draining: boolean };
  config: RouterConfig['drain'];
  log: Logger;
}

/**
 * Ends a server without losing a request. Endpoints take a while to spread, and until then clients still come: they are
 * answered, but no connection is kept. Then nobody new is let in, and those that are there are waited for.
 */
export async function drain({ server, connections, context, config, log }: DrainOptions): Promise<void> {
  context.draining = true;
  await sleep(config.delaySeconds * 1000);
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection whose answer began before all this was promised to be kept: nobody but us ends it now.
  const sweep = setInterval(() => {
    server.closeIdleConnections();
    // To Node these are not idle but about to send a request, for which nobody has to be waited for.
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroy();
  }, 100);
  const late = new AbortController();
  const deadline = sleep(config.deadlineSeconds * 1000, 'late' as const, { signal: late.signal }).catch(
    () => 'closed' as const,
  );
  const outcome = await Promise.race([closed.then(() => 'closed' as const), deadline]);
  late.abort();
  if (outcome === 'late') {
    log.warn({ deadlineSeconds: config.deadlineSeconds }, 'requests still in flight at the deadline are cut off');
    server.closeAllConnections();
    await closed;
  }
  clearInterval(sweep);
}
