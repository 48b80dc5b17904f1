import type { Look } from './engine-client.ts';
import type { Identity } from './engines/engine.ts';

/** What is known of the engine. */
export interface EngineState {
  /** Warm: it answered a warm-up request and has been there since. */
  warm: boolean;
  /** Looks in a row without an answer. */
  misses: number;
  /** Why it is not ready, for people; undefined when it is healthy. */
  problem: string | undefined;
  identity: Identity;
  /** How often a warm engine went away or came back as another process. */
  restarts: number;
}

export const unseen: EngineState = {
  warm: false,
  misses: 0,
  problem: 'the engine was not seen yet',
  identity: {},
  restarts: 0,
};

/** An engine on a busy machine may miss a look; this many in a row it may not. */
const maxMisses = 3;

/** What a look changes. `identityOf` reads an engine's metrics. */
export function afterLook(before: EngineState, look: Look, identityOf: (metrics: string) => Identity): EngineState {
  if (look.kind === 'Gone') return cold(before, 'the engine does not listen yet, or no more');
  if (look.kind === 'Unwell')
    return cold(before, `the engine is loading or broken: its health check answers ${look.status}`);
  if (look.kind === 'Silent') {
    const misses = before.misses + 1;
    if (before.warm && misses < maxMisses) return { ...before, misses };
    // Still the same process, as far as anybody knows: it need not be warmed up again, in a queue that is long by now.
    return { ...before, misses, problem: `the engine does not answer: ${look.problem}` };
  }
  const identity = look.metrics === undefined ? before.identity : identityOf(look.metrics);
  const healthy: EngineState = { ...before, misses: 0, problem: undefined, identity };
  if (!before.warm || !isAnother(before.identity, identity)) return healthy;
  return { ...healthy, warm: false, restarts: before.restarts + 1 };
}

function cold(before: EngineState, problem: string): EngineState {
  return { warm: false, misses: 0, problem, identity: {}, restarts: before.restarts + (before.warm ? 1 : 0) };
}

/** The engine may have restarted between two looks without missing one: a small model loads in a quarter of a second. */
function isAnother(before: Identity, now: Identity): boolean {
  const started = before.startTime !== undefined && now.startTime !== undefined && before.startTime !== now.startTime;
  return started || (before.work !== undefined && now.work !== undefined && now.work < before.work);
}
