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
  /**
   * Milliseconds until a Secret that is missing, or could not be read, is read again; longer where a namespace has very many
   * of them. Default 5 s.
   */
  missingMs?: number;
  /** Milliseconds until one that is there is read again. Default 60 s. */
  presentMs?: number;
  /** Reads at a time. Default 8. */
  concurrency?: number;
  /** Of those, how many may be in one namespace. Default 2. */
  namespaceConcurrency?: number;
}

interface Entry {
  namespace: string;
  name: string;
  view: SecretView;
  readers: Map<string, Reader>;
  /** Until it is due again. */
  timer?: NodeJS.Timeout;
}

/** The Secrets of one namespace: their authors share its turns, and take none of another's. */
interface Lane {
  /** Those due, in the order in which they became so. */
  waiting: Set<Entry>;
  /** Those that were not there when they were read last. */
  absent: Set<Entry>;
  reading: number;
  /** How many are known. */
  size: number;
}

/** Milliseconds between two reads of absent Secrets of one namespace, on average: up to 100 of them are read each 5 s. */
const absentPaceMs = 50;

/**
 * Reads the Secrets that objects name, again and again, because the operator may neither list nor watch them. One that no
 * object names any more is not read again. Namespaces take turns, so that names without a Secret in one delay no other.
 * `clear` forgets all of them, when the work ends.
 */
export function createSecretReader(
  options: SecretReaderOptions,
): SecretReader & { clear(): void; readonly size: number } {
  const { cluster, changed, log, missingMs = 5_000, presentMs = 60_000 } = options;
  const { concurrency = 8, namespaceConcurrency = 2 } = options;
  const entries = new Map<string, Entry>();
  const lanes = new Map<string, Lane>();
  /** Lanes in which an entry waits, the next in turn first. */
  const turns = new Set<Lane>();
  const namedBy = new Map<string, Set<Entry>>();
  let reading = 0;

  return {
    view(namespace, name, reader) {
      const entry = entries.get(keyOf({ namespace, name })) ?? add(namespace, name);
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
      for (const entry of entries.values()) clearTimeout(entry.timer);
      entries.clear();
      lanes.clear();
      turns.clear();
      namedBy.clear();
    },
    get size() {
      return entries.size;
    },
  };

  function add(namespace: string, name: string): Entry {
    const entry: Entry = { namespace, name, view: { state: 'Unknown' }, readers: new Map() };
    const lane = lanes.get(namespace) ?? { waiting: new Set(), absent: new Set(), reading: 0, size: 0 };
    lanes.set(namespace, lane);
    entries.set(keyOf(entry), entry);
    lane.size++;
    readAfter(0, entry, lane);
    return entry;
  }

  function remove(entry: Entry, lane: Lane): void {
    entries.delete(keyOf(entry));
    lane.absent.delete(entry);
    lane.size--;
    if (lane.size === 0) lanes.delete(entry.namespace);
  }

  function readAfter(ms: number, entry: Entry, lane: Lane): void {
    entry.timer = setTimeout(() => {
      lane.waiting.add(entry);
      turns.add(lane);
      readNext();
    }, ms).unref();
  }

  /** Fills the free slots. */
  function readNext(): void {
    while (reading < concurrency) {
      const lane = nextLane();
      const [entry] = lane?.waiting ?? [];
      if (!lane || !entry) return;
      lane.waiting.delete(entry);
      // To the end of the turns, while there is more to read.
      turns.delete(lane);
      if (lane.waiting.size > 0) turns.add(lane);
      if (entry.readers.size === 0) remove(entry, lane);
      else void read(entry, lane);
    }
  }

  function nextLane(): Lane | undefined {
    for (const lane of turns) if (lane.reading < namespaceConcurrency) return lane;
    return undefined;
  }

  async function read(entry: Entry, lane: Lane): Promise<void> {
    reading++;
    lane.reading++;
    const before = entry.view;
    entry.view = await look(entry);
    reading--;
    lane.reading--;
    const wasCleared = entries.get(keyOf(entry)) !== entry;
    if (!wasCleared) {
      if (entry.view.state === 'Present') lane.absent.delete(entry);
      else lane.absent.add(entry);
      readAfter(waitMs(entry, lane), entry, lane);
    }
    readNext();
    if (wasCleared || isSame(before, entry.view)) return;
    for (const reader of entry.readers.values()) changed(reader);
  }

  function waitMs({ view }: Entry, lane: Lane): number {
    // Present ones a little early, so that those read together drift apart.
    if (view.state === 'Present') return presentMs * (0.9 + Math.random() / 10);
    return Math.max(missingMs, lane.absent.size * absentPaceMs);
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

function keyOf({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
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
