import type { EngineType, Task } from '../../crds/v1alpha1/specialized-model.ts';
import type { Logger } from '../../process/logger.ts';

/** What `cadre sidecar` is told. */
export interface SidecarOptions {
  /** `--engine` */
  engine: EngineType;
  /** `--model`: the name that the engine serves. */
  model: string;
  /** `--task`: decides which requests warm the engine up. */
  task: Task;
  /** `--engine-url`, e.g. `http://127.0.0.1:8000`. */
  engineUrl: string;
  /** `--port` of the sidecar itself; 0 takes a free one. */
  port: number;
  /** Address that it listens on; default all. */
  host?: string | undefined;
  /** `--drain-delay`: how long the pod's removal takes to reach every router, in milliseconds. */
  drainDelayMs: number;
  /** `--drain-deadline`: how long a drain may take in all, the delay included, in milliseconds. */
  drainDeadlineMs: number;
  /**
   * `CADRE_DRAIN_KEY`: who calls `/drain` must send it as the header `x-cadre-drain`, else is answered 403. Unset: anybody
   * may drain, for use by hand.
   */
  drainKey?: string | undefined;
  log: Logger;
  /** The sidecar ends when it aborts. */
  signal: AbortSignal;
  /** Told the port once the sidecar listens. */
  onListening?: ((port: number) => void) | undefined;
  /** Overrides of how often the engine is looked at; tests shorten them. */
  tuning?: Partial<SidecarTuning> | undefined;
}

/** In milliseconds. */
export interface SidecarTuning {
  /** Between looks at an engine that is starting. */
  loadingPollMs: number;
  /** Between looks at an engine that is ready. */
  readyPollMs: number;
  /** Between looks at what is in flight while draining. */
  drainPollMs: number;
  /** How long the engine may take to answer a look. */
  probeTimeoutMs: number;
  /** How long a warm-up request may take: vLLM compiles on the first one. */
  warmUpTimeoutMs: number;
}
