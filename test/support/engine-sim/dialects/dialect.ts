import type { FaultPlan } from '../core/faults.ts';
import type { Exchange } from '../core/http.ts';
import type { Settings } from '../core/settings.ts';

/** What the process around a dialect offers it. */
export interface Host {
  settings: Settings;
  faults: FaultPlan;
  /** Requests whose answer has not ended. */
  open: Set<Exchange>;
  /** No new connections; those with a request in flight stay. */
  stopListening(): void;
  exit(code: number): void;
}

/** An engine, as it is seen over HTTP and by signals. */
export interface Dialect {
  host: string;
  port: number;
  /** llama-server listens from the start and answers 503; vLLM refuses connections until it is ready. */
  listensWhileLoading: boolean;
  onReady(): void;
  handle(exchange: Exchange): Promise<void>;
  /** The answer to a request that was told to fail. */
  failure(status: number): object;
  /** SIGTERM or SIGINT, the first or a further one. */
  onTerminate(times: number): void;
  /** Nothing moves any more. */
  onKilled(): void;
  /** The model's process dies. */
  onCrash(): void;
  load(): { running: number; waiting: number };
}

/** Which requests are inference, so that faults with a count hold for them. */
export function isInference({ method, path }: Exchange): boolean {
  return (
    method === 'POST' &&
    /^\/(v1\/(chat\/completions|completions|embeddings)|completion|classify|pooling|invocations)$/.test(path)
  );
}
