import { errorMessage } from '../process/errors.ts';
import type { Logger } from '../process/logger.ts';
import { BackOff, waitFor } from './back-off.ts';
import { isExpired, isKubeError, isTransient, KubeError } from './errors.ts';
import type { Cluster, KubeObject, Resource, Selection } from './types.ts';

/** Times that the loop lives by, in milliseconds; what it uses when nothing else is said is right for production. */
export interface ListWatchTiming {
  /** A watch is asked to end after between this long and twice as long, so that load balancers and servers can move on. */
  watchMs: number;
  /**
   * A watch that says nothing for so long, no bookmark either, is given up and resumed. kube-apiserver sends bookmarks every
   * 60 to 75 s, so this finds what TCP's keep-alive does not: a load balancer or server that hangs with its connection open.
   */
  silenceMs: number;
  /** First wait after a failure. */
  backOffMs: number;
  /** Longest wait while the server can't be reached: how long after its return it is noticed at most. */
  unreachableMs: number;
  /** Longest wait while the server refuses, e.g. by RBAC. */
  refusedMs: number;
}

export const defaultTiming: ListWatchTiming = {
  watchMs: 300_000,
  silenceMs: 150_000,
  backOffMs: 200,
  unreachableMs: 3000,
  refusedMs: 30_000,
};

/** Who takes what the loop sees. */
export interface ListWatchSink<T> {
  /** The whole of it as of one moment. */
  replace(items: T[], resourceVersion: string): void;
  set(object: T): void;
  delete(last: T): void;
  /** Nothing else has happened up to this resourceVersion. */
  bookmark(resourceVersion: string): void;
  /** Something was heard: a list, an event, a bookmark. */
  heard(): void;
  failed(what: 'list' | 'watch', error: unknown): void;
}

export interface ListWatchOptions<T> {
  cluster: Cluster;
  resource: Resource;
  selection: Selection;
  pageSize: number;
  timing: ListWatchTiming;
  log: Logger;
  /** Makes what is kept of each object. */
  keep: (object: T) => T;
}

/** What a failure calls for: a new list, patience, or somebody's help. */
type Failure = 'Forgotten' | 'Unreachable' | 'Refused';

function failureOf(error: unknown): Failure {
  if (isExpired(error) || isFromTheFuture(error)) return 'Forgotten';
  return isTransient(error) ? 'Unreachable' : 'Refused';
}

/** A list or watch that ends sooner than this has not worked, whatever the server calls it. */
const tooShortMs = 1000;

/**
 * Lists once and then watches, for good: every failure is waited out and resumed from the last resourceVersion, and only a
 * history that is no longer kept (410) is cured by a new list. Resolves when the signal aborts.
 */
export async function listWatch<T extends KubeObject>(
  options: ListWatchOptions<T>,
  sink: ListWatchSink<T>,
  signal: AbortSignal,
): Promise<void> {
  const { timing, log } = options;
  const backOff = new BackOff(timing.backOffMs);
  let failingSince: number | undefined;
  let lastFailure: Failure | undefined;
  const progressed = (): void => {
    sink.heard();
    backOff.reset();
    lastFailure = undefined;
    if (failingSince === undefined) return;
    log.info({ afterMs: Math.round(performance.now() - failingSince) }, 'the API server answers again');
    failingSince = undefined;
  };

  let resourceVersion: string | undefined;
  while (!signal.aborted) {
    const from = resourceVersion;
    const what = from === undefined ? 'list' : 'watch';
    try {
      if (from === undefined) {
        resourceVersion = await listAll(options, sink, signal);
        progressed();
      } else {
        for await (const version of watchOnce(options, sink, from, signal)) {
          resourceVersion = version;
          progressed();
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      sink.failed(what, error);
      const failure = failureOf(error);
      // A server that is back and refuses, or has forgotten, is another matter than the outage before it.
      if (failure !== lastFailure) backOff.reset();
      lastFailure = failure;
      if (failure === 'Forgotten') {
        log.info({ from }, 'the history is no longer kept: listing again');
        resourceVersion = undefined;
        if (backOff.failures === 0) {
          backOff.next(0);
          continue;
        }
      } else {
        const level = failingSince === undefined ? 'warn' : 'debug';
        log[level]({ code: isKubeError(error) ? error.code : undefined }, `${errorMessage(error)}: trying again`);
        failingSince ??= performance.now();
        // Whatever the server dislikes about this watch, a new list gives it another start.
        if (failure === 'Refused' && !isKubeError(error, 'Forbidden', 'Unauthorized')) resourceVersion = undefined;
      }
      const waitMs = backOff.next(failure === 'Refused' ? timing.refusedMs : timing.unreachableMs);
      await waitFor(Math.max(waitMs, (isKubeError(error) && error.retryAfterMs) || 0), signal);
    }
  }
}

/** One consistent list, page by page. Returns the resourceVersion to watch from. */
async function listAll<T extends KubeObject>(
  options: ListWatchOptions<T>,
  sink: ListWatchSink<T>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { cluster, resource, selection, pageSize, keep } = options;
  const items: T[] = [];
  // Without a resourceVersion: the newest state, not whatever a cache of the server holds.
  let page = await cluster.list<T>(resource, selection, { limit: pageSize, signal });
  for (const item of page.items) items.push(keep(item));
  while (page.continue !== undefined && !signal.aborted) {
    try {
      page = await cluster.list<T>(resource, selection, { limit: pageSize, continue: page.continue, signal });
    } catch (error) {
      if (!isExpired(error)) throw error;
      // The first pages are too old to go on from; all at once can't expire half-way.
      items.length = 0;
      page = await cluster.list<T>(resource, selection, { limit: 0, signal });
    }
    for (const item of page.items) items.push(keep(item));
  }
  if (signal.aborted) return undefined;
  sink.replace(items, page.resourceVersion);
  return page.resourceVersion;
}

/** One watch. Yields the resourceVersion to resume from after each event; returns when the server ended it in good order. */
async function* watchOnce<T extends KubeObject>(
  { cluster, resource, selection, timing, keep }: ListWatchOptions<T>,
  sink: ListWatchSink<T>,
  resourceVersion: string,
  stop: AbortSignal,
): AsyncGenerator<string> {
  const began = performance.now();
  const timeoutMs = timing.watchMs * (1 + Math.random());
  const silence = new AbortController();
  const watchdog = setTimeout(() => silence.abort(), timing.silenceMs);
  const signal = AbortSignal.any([stop, silence.signal]);
  let heard = false;
  try {
    const timeoutSeconds = Math.max(1, Math.ceil(timeoutMs / 1000));
    for await (const event of cluster.watch<T>(resource, selection, { resourceVersion, timeoutSeconds, signal })) {
      watchdog.refresh();
      heard = true;
      if (event.type === 'BOOKMARK') {
        sink.bookmark(event.resourceVersion);
        yield event.resourceVersion;
        continue;
      }
      const object = keep(event.object);
      if (event.type === 'DELETED') sink.delete(object);
      else sink.set(object);
      yield object.metadata.resourceVersion ?? resourceVersion;
    }
  } finally {
    clearTimeout(watchdog);
  }
  if (stop.aborted) return;
  if (silence.signal.aborted) {
    throw new KubeError('TimedOut', `watch ${resource.plural}: silent for ${timing.silenceMs / 1000} s`);
  }
  if (!heard && performance.now() - began < tooShortMs) {
    throw new KubeError('ConnectionLost', `watch ${resource.plural}: ended at once`);
  }
}

/**
 * A server that was restored from a backup does not know our resourceVersion yet:
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#unavailable-resource-versions
 */
function isFromTheFuture(error: unknown): boolean {
  return isKubeError(error, 'Timeout') && error.message.includes('Too large resource version');
}
