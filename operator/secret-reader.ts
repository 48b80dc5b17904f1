import { isKubeError } from '../kube/errors.ts';
import { resources } from '../kube/resources.ts';
import type { Cluster } from '../kube/types.ts';
import { errorMessage } from '../process/errors.ts';
import type { Logger } from '../process/logger.ts';
import type { Secret, SecretReader, SecretView } from './context.ts';
import { createPolledReader, type Pace, type PolledReader, type Reader } from './polled-reader.ts';

export interface SecretReaderOptions extends Pace {
  cluster: Pick<Cluster, 'get'>;
  /** Called for each object that named a Secret when something about the Secret changed. */
  changed: (reader: Reader) => void;
  log: Logger;
}

/**
 * Reads the Secrets that objects name, again and again, because the operator may neither list nor watch them. `clear` forgets
 * all of them, when the work ends.
 */
export function createSecretReader(options: SecretReaderOptions): SecretReader & PolledReader<SecretView> {
  const { cluster, log } = options;
  return createPolledReader<SecretView>({ ...options, unread: { state: 'Unknown' }, isThere, isSame, read });

  async function read(namespace: string, name: string, last: SecretView): Promise<SecretView> {
    try {
      const { apiVersion, kind, metadata, type, data } = await cluster.get<Secret>(resources.secrets, name, namespace);
      const { annotations, uid, resourceVersion } = metadata;
      const kept = { name, namespace, annotations, uid, resourceVersion } as Secret['metadata'];
      return { state: 'Present', secret: { apiVersion, kind, metadata: kept, type, data } as Secret };
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return { state: 'Missing' };
      log.warn({ namespace, name, err: error }, 'a Secret could not be read; what was read last stays in use');
      return last.state === 'Unknown' ? { state: 'Unknown', problem: errorMessage(error) } : last;
    }
  }
}

function isThere({ state }: SecretView): boolean {
  return state === 'Present';
}

function isSame(a: SecretView, b: SecretView): boolean {
  if (a.state === 'Present' && b.state === 'Present') {
    const [before, now] = [a.secret.metadata, b.secret.metadata];
    return before.uid === now.uid && before.resourceVersion === now.resourceVersion;
  }
  if (a.state === 'Unknown' && b.state === 'Unknown') return a.problem === b.problem;
  return a.state === b.state;
}
