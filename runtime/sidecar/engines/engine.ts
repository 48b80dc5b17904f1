import type { Task } from '../../../crds/v1alpha1/specialized-model.ts';

/** A request that makes an engine do once what its first client would otherwise wait for. */
export interface WarmUpRequest {
  path: string;
  body: Record<string, unknown>;
}

/** What of its metrics tells one process of an engine from the next. */
export interface Identity {
  /** When the process started, in seconds since the epoch. */
  startTime?: number | undefined;
  /** A counter that only a restart sets back. */
  work?: number | undefined;
}

/** What the sidecar has to know about an engine; facts, no behaviour. Another one is a file beside this and a line in `registry.ts`. */
export interface Engine {
  healthPath: string;
  /** Requests that it works on or has queued; undefined when the metrics do not say. */
  inFlight(metrics: string): number | undefined;
  identity(metrics: string): Identity;
  /** Ways to warm up, in order; the first whose first request finds its endpoint (not 404) is gone through. */
  warmUps(model: string, task: Task): WarmUpRequest[][];
}
