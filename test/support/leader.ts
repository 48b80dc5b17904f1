/**
 * A candidate of a leader election, as a process of its own: `node leader.ts KUBECONFIG NAMESPACE [LINGER_MS]`. While it
 * leads it writes its process id into the ConfigMap `work`, by a fenced client, again and again. Its work takes LINGER_MS
 * to end. Prints `standing`, `leading`, `stopping` and `stopped`, each with the nanoseconds since this machine started.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../kube/connect.ts';
import { isKubeError } from '../../kube/errors.ts';
import { fenced } from '../../kube/fence.ts';
import { LeaderElector } from '../../kube/lease.ts';
import { resources } from '../../kube/resources.ts';
import type { KubeObject } from '../../kube/types.ts';
import { createLogger } from '../../process/logger.ts';
import { shutdownSignal } from '../../process/shutdown.ts';

const [kubeconfig = '', namespace = '', lingerMs = '0'] = process.argv.slice(2);
const say = (what: string): void => void process.stderr.write(`${what} ${process.hrtime.bigint()}\n`);
const log = createLogger('leader', 'warn');
const kube = await connect({ kubeconfig: { path: kubeconfig } });

const elector = new LeaderElector({
  cluster: kube,
  namespace,
  name: 'election',
  log,
  timing: { leaseMs: 8000, renewMs: 5000, retryMs: 500 },
  async lead(signal) {
    say('leading');
    const cluster = fenced(kube, () => elector.leading);
    for (let n = 0; !signal.aborted; n++) {
      const data = { by: String(process.pid), n: String(n) };
      const work: KubeObject & { data: object } = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'work', namespace },
        data,
      };
      try {
        await cluster.apply(resources.configMaps, work, { fieldManager: 'leader', timeoutMs: 1000, signal });
      } catch (error) {
        if (!isKubeError(error)) throw error;
      }
      await sleep(20);
    }
    say('stopping');
    await sleep(Number(lingerMs));
    say('stopped');
  },
});
say('standing');
await elector.run(shutdownSignal(log));
await kube.close();
