import { setTimeout as sleep } from 'node:timers/promises';
import type { Task } from '../../crds/v1alpha1/specialized-model.ts';
import { errorMessage } from '../../process/errors.ts';
import type { Logger } from '../../process/logger.ts';
import type { EngineClient } from './engine-client.ts';
import { afterLook, type EngineState, unseen } from './engine-state.ts';
import type { Engine } from './engines/engine.ts';
import type { SidecarTuning } from './options.ts';
import { warmUp } from './warm-up.ts';

export interface EngineWatchOptions {
  client: EngineClient;
  engine: Engine;
  model: string;
  task: Task;
  tuning: SidecarTuning;
  log: Logger;
  /** False while what is in flight is waited for. */
  mayWarmUp: () => boolean;
  /** Told each time an engine process has become warm, with the seconds from the first look at it. */
  onWarm: (seconds: number) => void;
}

const longestRetryMs = 30_000;

/** Looks at the engine for as long as the pod lives, and warms up each process of it that appears. */
export class EngineWatch {
  readonly #options: EngineWatchOptions;
  #state: EngineState = unseen;
  #coldSince = performance.now();
  #warmUpFailures = 0;

  constructor(options: EngineWatchOptions) {
    this.#options = options;
  }

  get state(): EngineState {
    return this.#state;
  }

  /** Why the engine is not ready, or undefined. */
  get problem(): string | undefined {
    return this.#state.problem ?? (this.#state.warm ? undefined : 'the engine is warming up');
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#look(signal);
      if (!signal.aborted) await sleep(this.#pauseMs(), undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { client, engine, log } = this.#options;
    const before = this.#state;
    this.#state = afterLook(before, await client.look(), (metrics) => engine.identity(metrics));
    if (before.warm && !this.#state.warm) this.#coldSince = performance.now();
    if (before.warm && before.problem === undefined && this.problem !== undefined)
      log.warn({ reason: this.problem }, 'the engine is not ready any more');
    if (this.#state.problem === undefined && !this.#state.warm && this.#options.mayWarmUp()) await this.#warmUp(signal);
  }

  async #warmUp(signal: AbortSignal): Promise<void> {
    const { client, engine, model, task, tuning, log, onWarm } = this.#options;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(tuning.warmUpTimeoutMs)]);
    try {
      await warmUp(client, engine.warmUps(model, task), limit);
    } catch (error) {
      if (signal.aborted) return;
      this.#warmUpFailures++;
      this.#state = { ...this.#state, problem: errorMessage(error) };
      log.warn({ attempt: this.#warmUpFailures, err: errorMessage(error) }, 'the warm-up failed');
      return;
    }
    // Its counters moved by the warm-up itself; the next look compares with what they are now.
    const metrics = await client.metrics().catch(() => undefined);
    const identity = metrics ? engine.identity(metrics.text) : this.#state.identity;
    this.#warmUpFailures = 0;
    this.#state = { ...this.#state, warm: true, identity };
    const seconds = (performance.now() - this.#coldSince) / 1000;
    log.info({ seconds: Math.round(seconds * 10) / 10 }, 'the engine is warm');
    onWarm(seconds);
  }

  /** Often while a small model may be about to appear, then calmer. */
  #pauseMs(): number {
    const { loadingPollMs, readyPollMs } = this.#options.tuning;
    if (this.#state.warm && this.#state.problem === undefined) return readyPollMs;
    if (this.#warmUpFailures > 0) return Math.min(longestRetryMs, loadingPollMs * 2 ** this.#warmUpFailures);
    const coldMs = performance.now() - this.#coldSince;
    return coldMs < 10_000 ? loadingPollMs : Math.min(readyPollMs, loadingPollMs * 4);
  }
}
