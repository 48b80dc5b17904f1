import { randomBytes } from 'node:crypto';
import { errorMessage } from '../process/errors.ts';
import type { Logger } from '../process/logger.ts';
import { microTime } from './micro-time.ts';
import { resources } from './resources.ts';
import type { Cluster, KubeObject } from './types.ts';

/** What happened to an object, for people who look at it. */
export interface EventNote {
  type: 'Normal' | 'Warning';
  /** Why, in CamelCase; at most 128 characters. */
  reason: string;
  /** What was done or tried, in CamelCase; at most 128 characters. */
  action: string;
  /** One sentence; at most 1 kB, the rest is cut. */
  note: string;
}

export interface EventRecorderOptions {
  cluster: Cluster;
  /** Who reports, e.g. `cadre.dev/operator`. */
  controller: string;
  /** Which instance of it: the pod's name. */
  instance: string;
  log: Logger;
  /** How long a repetition counts as one of the same series, in milliseconds. Default: 10 minutes. */
  seriesMs?: number;
  /** How often a running series is written at most, in milliseconds. Default: 1 minute. */
  updateMs?: number;
}

/** A write that waits; more than so many are dropped: events are a courtesy. */
const mostWaiting = 1000;
/** Series that are remembered; the one that was quiet for longest is forgotten first. */
const mostSeries = 2000;

interface Series {
  name: string;
  namespace: string;
  count: number;
  lastAt: number;
  writtenAt: number;
  /** It has a count that was not written. */
  open: boolean;
}

/**
 * Writes events.k8s.io/v1 Events. The first occurrence is written at once; repetitions of the same event become a count on it
 * (`series`), written at most once a minute. Never makes its caller wait, and a failure is only logged. Needs the verbs
 * create and patch.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #seriesMs: number;
  readonly #updateMs: number;
  readonly #log: Logger;
  /** By what makes two events the same; least recently seen first. */
  readonly #series = new Map<string, Series>();
  #waiting: (() => Promise<unknown>)[] = [];
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#seriesMs = options.seriesMs ?? 600_000;
    this.#updateMs = options.updateMs ?? 60_000;
    this.#log = options.log.child({ component: 'events' });
  }

  /** Says that something happened to an object. Returns at once. */
  record(regarding: KubeObject, { type, reason, action, note }: EventNote): void {
    const now = Date.now();
    const { uid = '', namespace = 'default' } = regarding.metadata;
    const same = JSON.stringify([uid || regarding.metadata.name, namespace, type, reason, action, note]);
    const known = this.#series.get(same);
    this.#series.delete(same);
    if (known && now - known.lastAt < this.#seriesMs) {
      this.#series.set(same, known);
      known.count++;
      known.lastAt = now;
      known.open = true;
      this.#writeSeriesLater();
      return;
    }
    const { name: objectName } = regarding.metadata;
    const name = `${objectName.slice(0, 230)}.${randomBytes(8).toString('hex')}`;
    this.#series.set(same, { name, namespace, count: 1, lastAt: now, writtenAt: now, open: false });
    for (const oldest of this.#series.keys()) {
      if (this.#series.size <= mostSeries) break;
      this.#series.delete(oldest);
    }
    const { apiVersion, kind } = resources.events;
    const event = {
      apiVersion,
      kind,
      metadata: { name, namespace },
      eventTime: microTime(now),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance.slice(0, 128),
      type,
      reason,
      action,
      note: cut(note),
      regarding: {
        apiVersion: regarding.apiVersion,
        kind: regarding.kind,
        name: objectName,
        ...(regarding.metadata.namespace !== undefined && { namespace }),
        ...(uid && { uid }),
        ...(regarding.metadata.resourceVersion !== undefined && {
          resourceVersion: regarding.metadata.resourceVersion,
        }),
      },
    };
    this.#write(() => this.#options.cluster.create(resources.events, event));
  }

  /** Writes what waits, at most for so long. For the end of a process. */
  async flush(deadlineMs: number): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writeSeries(0);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
    this.#waiting = [];
  }

  #writeSeriesLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#writeSeries(this.#updateMs);
    }, this.#updateMs).unref();
  }

  #writeSeries(minimumAgeMs: number): void {
    const now = Date.now();
    let open = false;
    for (const [same, series] of this.#series) {
      if (!series.open) {
        if (now - series.lastAt >= this.#seriesMs) this.#series.delete(same);
        continue;
      }
      if (now - series.writtenAt < minimumAgeMs) {
        open = true;
        continue;
      }
      series.open = false;
      series.writtenAt = now;
      const { name, namespace, count, lastAt } = series;
      const { apiVersion, kind } = resources.events;
      const update = {
        apiVersion,
        kind,
        metadata: { name, namespace },
        series: { count, lastObservedTime: microTime(lastAt) },
      };
      const fieldManager = this.#options.controller.replaceAll('/', '-');
      this.#write(() => this.#options.cluster.apply(resources.events, update, { fieldManager }));
    }
    if (open) this.#writeSeriesLater();
  }

  #write(write: () => Promise<unknown>): void {
    if (this.#waiting.length >= mostWaiting) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(write);
    this.#writing ??= this.#writeAll();
  }

  /** One at a time: events must not take connections from work. */
  async #writeAll(): Promise<void> {
    for (let write = this.#waiting.shift(); write; write = this.#waiting.shift()) {
      try {
        await write();
      } catch (error) {
        this.#log.warn(`cannot write an event: ${errorMessage(error)}`);
      }
    }
    if (this.#dropped > 0) this.#log.warn({ dropped: this.#dropped }, 'events were dropped');
    this.#dropped = 0;
    this.#writing = undefined;
  }
}

/** The API takes 1024 bytes. */
function cut(note: string): string {
  const bytes = Buffer.from(note);
  return bytes.length <= 1024
    ? note
    : `${bytes
        .subarray(0, 1020)
        .toString()
        .replace(/\uFFFD+$/, '')}…`;
}
