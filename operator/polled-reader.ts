/** Who named an object: an object of a controller. */
export interface Reader {
  controller: string;
  key: string;
}

/** How often and how many at a time. */
export interface Pace {
  /**
   * Milliseconds until an object that is missing, or could not be read, is read again; longer where a namespace has very many
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

export interface PolledReaderOptions<V> extends Pace {
  /** Reads one object; `last` is what was read before. Never rejects: what went wrong is part of the view. */
  read: (namespace: string, name: string, last: V) => Promise<V>;
  /** What is known before the first read. */
  unread: V;
  isThere: (view: V) => boolean;
  isSame: (before: V, now: V) => boolean;
  /** Called for each object that named another when something about that one changed. */
  changed: (reader: Reader) => void;
}

/** What objects name, as last read. `view` makes it be read again and again. */
export interface PolledReader<V> {
  view(namespace: string, name: string, reader: Reader): V;
  /** The object no longer needs anything: it is gone, or names it again. */
  forget(reader: Reader): void;
  /** Forgets everything, when the work ends. */
  clear(): void;
  readonly size: number;
}

interface Entry<V> {
  namespace: string;
  name: string;
  view: V;
  readers: Map<string, Reader>;
  /** Until it is due again. */
  timer?: NodeJS.Timeout;
}

/** The objects of one namespace: their authors share its turns, and take none of another's. */
interface Lane<V> {
  /** Those due, in the order in which they became so. */
  waiting: Set<Entry<V>>;
  /** Those that were not there when they were read last. */
  absent: Set<Entry<V>>;
  reading: number;
  /** How many are known. */
  size: number;
}

/** Milliseconds between two reads of absent objects of one namespace, on average: up to 100 of them are read each 5 s. */
const absentPaceMs = 50;

/**
 * Reads what objects name, again and again, where the operator may get one but neither list nor watch them. One that no object
 * names any more is not read again. Namespaces take turns, so that names without an object in one delay no other.
 */
export function createPolledReader<V>(options: PolledReaderOptions<V>): PolledReader<V> {
  const { changed, missingMs = 5_000, presentMs = 60_000 } = options;
  const { concurrency = 8, namespaceConcurrency = 2 } = options;
  const entries = new Map<string, Entry<V>>();
  const lanes = new Map<string, Lane<V>>();
  /** Lanes in which an entry waits, the next in turn first. */
  const turns = new Set<Lane<V>>();
  const namedBy = new Map<string, Set<Entry<V>>>();
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

  function add(namespace: string, name: string): Entry<V> {
    const entry: Entry<V> = { namespace, name, view: options.unread, readers: new Map() };
    const lane: Lane<V> = lanes.get(namespace) ?? { waiting: new Set(), absent: new Set(), reading: 0, size: 0 };
    lanes.set(namespace, lane);
    entries.set(keyOf(entry), entry);
    lane.size++;
    readAfter(0, entry, lane);
    return entry;
  }

  function remove(entry: Entry<V>, lane: Lane<V>): void {
    entries.delete(keyOf(entry));
    lane.absent.delete(entry);
    lane.size--;
    if (lane.size === 0) lanes.delete(entry.namespace);
  }

  function readAfter(ms: number, entry: Entry<V>, lane: Lane<V>): void {
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

  function nextLane(): Lane<V> | undefined {
    for (const lane of turns) if (lane.reading < namespaceConcurrency) return lane;
    return undefined;
  }

  async function read(entry: Entry<V>, lane: Lane<V>): Promise<void> {
    reading++;
    lane.reading++;
    const before = entry.view;
    entry.view = await options.read(entry.namespace, entry.name, before);
    reading--;
    lane.reading--;
    const wasCleared = entries.get(keyOf(entry)) !== entry;
    if (!wasCleared) {
      if (options.isThere(entry.view)) lane.absent.delete(entry);
      else lane.absent.add(entry);
      readAfter(waitMs(entry, lane), entry, lane);
    }
    readNext();
    if (wasCleared || options.isSame(before, entry.view)) return;
    for (const reader of entry.readers.values()) changed(reader);
  }

  function waitMs({ view }: Entry<V>, lane: Lane<V>): number {
    // Present ones a little early, so that those read together drift apart.
    if (options.isThere(view)) return presentMs * (0.9 + Math.random() / 10);
    return Math.max(missingMs, lane.absent.size * absentPaceMs);
  }
}

function keyOf({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
}

function readerId({ controller, key }: Reader): string {
  return `${controller}\n${key}`;
}
