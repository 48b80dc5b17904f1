import { isKubeError } from '../kube/errors.ts';
import { resources } from '../kube/resources.ts';
import type { Cluster } from '../kube/types.ts';
import { errorMessage } from '../process/errors.ts';
import type { Logger } from '../process/logger.ts';
import type { Secret, SecretReader, SecretView } from './context.ts';

/** Who named a Secret: an object of a controller. */
export type Reader = Parameters<SecretReader['view']>[2];

export interface SecretReaderOptions {
  cluster: Pick<Cluster, 'get'>;
  /** Called for each object that named a Secret when something about the Secret changed. */
  changed: (reader: Reader) => void;
  log: Logger;
  /** Milliseconds until a Secret that is missing, or could not be read, is read again. Default 5 s. */
  missingMs?: number;
  /** Milliseconds until one that is there is read again. Default 60 s. */
  presentMs?: number;
  /** Reads at a time. Default 8. */
  concurrency?: number;
}

interface Entry {
  namespace: string;
  name: string;
  view: SecretView;
  readers: Map<string, Reader>;
  /** When to read it next, on the monotonic clock. */
  due: number;
}

/**
 * Reads the Secrets that objects name, again and again, because the operator may neither list nor watch them. One that no
 * object names any more is not read again. `clear` forgets all of them, when the work ends.
 */
export function createSecretReader(
  options: SecretReaderOptions,
): SecretReader & { clear(): void; readonly size: number } {
  const { cluster, changed, log, missingMs = 5_000, presentMs = 60_000, concurrency = 8 } = options;
  const entries = new Map<string, Entry>();
  let timer: NodeJS.Timeout | undefined;
  let wakesAt = Number.POSITIVE_INFINITY;
  const namedBy = new Map<string, Set<Entry>>();
  let reading = 0;
  /** Some that are due wait for a read to end. */
  let backlog = false;

  return {
    view(namespace, name, reader) {
      const key = `${namespace}/${name}`;
      let entry = entries.get(key);
      if (!entry) {
        entry = { namespace, name, view: { state: 'Unknown' }, readers: new Map(), due: performance.now() };
        entries.set(key, entry);
        wakeAt(entry.due);
      }
      const id = readerId(reader);
      entry.readers.set(id, reader);
      const named = namedBy.get(id) ?? new Set();
      namedBy.set(id, named.add(entry));
      return entry.view;
    },
    forget(reader) {
      // An entry without readers goes when its time comes: whoever names it again until then finds it as it was.
      const id = readerId(reader);
      for (const entry of namedBy.get(id) ?? []) entry.readers.delete(id);
      namedBy.delete(id);
    },
    clear() {
      clearTimeout(timer);
      wakesAt = Number.POSITIVE_INFINITY;
      entries.clear();
      namedBy.clear();
    },
    get size() {
      return entries.size;
    },
  };

  function wakeAt(time: number): void {
    if (time >= wakesAt) return;
    wakesAt = time;
    clearTimeout(timer);
    timer = setTimeout(wake, Math.max(0, time - performance.now()));
    timer.unref();
  }

  function wake(): void {
    wakesAt = Number.POSITIVE_INFINITY;
    backlog = false;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [key, entry] of entries) {
      if (entry.due > now) next = Math.min(next, entry.due);
      else if (entry.readers.size === 0) entries.delete(key);
      else if (reading < concurrency) {
        entry.due = Number.POSITIVE_INFINITY;
        void read(key, entry);
      } else backlog = true;
    }
    wakeAt(next);
  }

  async function read(key: string, entry: Entry): Promise<void> {
    reading++;
    const before = entry.view;
    entry.view = await look(entry);
    reading--;
    // Cleared meanwhile.
    if (entries.get(key) !== entry) return;
    // Present ones a little early, so that those read together drift apart.
    const wait = entry.view.state === 'Present' ? presentMs * (0.9 + Math.random() / 10) : missingMs;
    entry.due = performance.now() + wait;
    wakeAt(backlog ? performance.now() : entry.due);
    if (isSame(before, entry.view)) return;
    for (const reader of entry.readers.values()) changed(reader);
  }

  async function look({ namespace, name, view }: Entry): Promise<SecretView> {
    try {
      const { apiVersion, kind, metadata, type, data } = await cluster.get<Secret>(resources.secrets, name, namespace);
      const { annotations, uid, resourceVersion } = metadata;
      const kept = { name, namespace, annotations, uid, resourceVersion } as Secret['metadata'];
      return { state: 'Present', secret: { apiVersion, kind, metadata: kept, type, data } as Secret };
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return { state: 'Missing' };
      log.warn({ namespace, name, err: error }, 'a Secret could not be read; what was read last stays in use');
      return view.state === 'Unknown' ? { state: 'Unknown', problem: errorMessage(error) } : view;
    }
  }
}

function readerId({ controller, key }: Reader): string {
  return `${controller}\n${key}`;
}

function isSame(a: SecretView, b: SecretView): boolean {
  if (a.state === 'Present' && b.state === 'Present') {
    const [before, now] = [a.secret.metadata, b.secret.metadata];
    return before.uid === now.uid && before.resourceVersion === now.resourceVersion;
  }
  if (a.state === 'Unknown' && b.state === 'Unknown') return a.problem === b.problem;
  return a.state === b.state;
}
