import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../process/logger.ts';
import type { RouterConfig } from './config.ts';

export interface DrainOptions {
  server: Server;
  context: { draining: boolean };
  config: RouterConfig['drain'];
  log: Logger;
}

/**
 * Ends a server without losing a request. Endpoints take a while to spread, and until then clients still come: they are
 * answered, but no connection is kept. Then nobody new is let in, and those that are there are waited for.
 */
export async function drain({ server, context, config, log }: DrainOptions): Promise<void> {
  context.draining = true;
  await sleep(config.delaySeconds * 1000);
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection whose answer began before all this was promised to be kept: nobody but us ends it now.
  const sweep = setInterval(() => server.closeIdleConnections(), 100);
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
