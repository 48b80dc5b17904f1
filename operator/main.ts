import type { Server } from 'node:http';
import { hostname } from 'node:os';
import { setInterval } from 'node:timers';
import { apiVersion, group } from '../crds/names.ts';
import { connect } from '../kube/connect.ts';
import { EventRecorder } from '../kube/events.ts';
import { fenced } from '../kube/fence.ts';
import { LeaderElector } from '../kube/lease.ts';
import pkg from '../package.json' with { type: 'json' };
import { readConfig } from '../process/config.ts';
import type { Logger } from '../process/logger.ts';
import { createRegistry } from '../process/metrics.ts';
import { type Probes, serveProbes } from '../process/probes.ts';
import { aborted } from '../process/shutdown.ts';
import { operatorConfigSchema } from './config.ts';
import { createControllers } from './controllers.ts';
import { createWatches, type Watches } from './watches.ts';

export interface OperatorOptions {
  /** `--config`: YAML, see `config.ts`. */
  configFile: string;
  /** `--kubeconfig`, for use outside of a cluster. */
  kubeconfig?: string | undefined;
  /** `--service-account-dir`: where token, `ca.crt` and namespace of this pod's service account are. */
  serviceAccountDir?: string | undefined;
  /** Where `/healthz`, `/readyz` and `/metrics` are; 0 takes a free one. */
  port: number;
  log: Logger;
  /** Ends the operator in order. */
  signal: AbortSignal;
}

/** Work under way may take so long to end at a shutdown, in milliseconds; kubelet gives 30 s by default. */
const drainMs = 25_000;
/** When the lease was lost: before a rival may start. */
const deposedMs = 3_000;

/**
 * Runs the operator until `signal` aborts: caches always, controllers while this process leads. Rejects with a `UserError`
 * for what a person can cure.
 */
export async function runOperator(options: OperatorOptions): Promise<void> {
  const { kubeconfig, serviceAccountDir, port, log, signal } = options;
  const config = readConfig(operatorConfigSchema, options.configFile);
  const registry = createRegistry();
  const client = await connect({
    ...(kubeconfig !== undefined && { kubeconfig: { path: kubeconfig } }),
    serviceAccountDir,
    registry,
    userAgent: `cadre-operator/${pkg.version}`,
  });
  const watches = createWatches(client, config, log, registry);
  const server = await serveProbes(probesOf(watches, signal, registry), { host: '::', port, setting: '--port' });
  const cluster = fenced(client, () => elector.leading);
  const events = new EventRecorder({ cluster, controller: `${group}/operator`, instance: hostname(), log });
  const controllers = createControllers({ cluster, watches, events, config, log, registry });
  const elector = new LeaderElector({
    cluster: client,
    namespace: config.namespace,
    name: 'cadre-operator',
    log,
    registry,
    async lead(leading) {
      controllers.start();
      await aborted(leading);
      if (signal.aborted) await watches.stop();
      await controllers.stop(signal.aborted ? drainMs : deposedMs);
      if (signal.aborted) await events.flush(1000);
    },
  });
  log.info({ version: pkg.version, server: client.server, namespaces: config.watchNamespaces }, 'starting');
  watches.start();
  const telling = tellWhatIsMissing(watches, log);
  try {
    await Promise.race([watches.synced(), aborted(signal)]);
    clearInterval(telling);
    if (!signal.aborted) log.info('caches synced');
    await elector.run(signal);
  } finally {
    clearInterval(telling);
    await watches.stop();
    await controllers.close();
    await closeServer(server);
    await client.close();
    log.info('stopped');
  }
}

function probesOf(watches: Watches, signal: AbortSignal, registry: Probes['registry']): Probes {
  return {
    registry,
    healthy: () => watches.stuck(),
    // Not leadership: a standby with warm caches is ready.
    ready() {
      if (signal.aborted) return 'shutting down';
      const missing = watches.missing();
      return missing.length === 0 ? undefined : `not listed yet: ${missing.join(', ')}`;
    },
  };
}

/** A first list that does not come has a few common causes, which its errors do not always name. */
function tellWhatIsMissing(watches: Watches, log: Logger): NodeJS.Timeout {
  return setInterval(() => {
    const missing = watches.missing();
    if (missing.length === 0) return;
    const ours = missing.some((plural) => plural === 'specializedmodels' || plural === 'routingpolicies');
    const question = ours ? `are the CRDs of ${apiVersion} installed` : 'can the API server be reached';
    log.warn({ missing }, `still waiting for first lists; ${question}, and may the operator list these?`);
  }, 15_000).unref();
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
