import { KubeError } from './errors.ts';
import type { Cluster } from './types.ts';

/**
 * A cluster that takes writes only while we lead, by the clock at the moment of the call: a process that was stopped and goes
 * on (a paused virtual machine, a long stall) does not write before it notices that its lease has run out.
 */
export function fenced(cluster: Cluster, leading: () => boolean): Cluster {
  const guard = (): void => {
    if (!leading()) throw new KubeError('Aborted', 'not sent: this process does not lead any more');
  };
  return {
    get: (...call) => cluster.get(...call),
    list: (...call) => cluster.list(...call),
    watch: (...call) => cluster.watch(...call),
    async create(...call) {
      guard();
      return cluster.create(...call);
    },
    async replace(...call) {
      guard();
      return cluster.replace(...call);
    },
    async apply(...call) {
      guard();
      return cluster.apply(...call);
    },
    async applyStatus(...call) {
      guard();
      return cluster.applyStatus(...call);
    },
    async delete(...call) {
      guard();
      return cluster.delete(...call);
    },
  };
}
