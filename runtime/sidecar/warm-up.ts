import type { EngineClient } from './engine-client.ts';
import type { WarmUpRequest } from './engines/engine.ts';

/**
 * Goes through the first of the plans that the engine has endpoints for. Rejects with the engine's own words when it
 * refuses: an engine that can't do its task must not become ready.
 */
export async function warmUp(client: EngineClient, plans: WarmUpRequest[][], signal: AbortSignal): Promise<void> {
  let refused = 'there is nothing to ask it';
  for (const plan of plans) {
    const problem = await follow(client, plan, signal);
    if (problem === undefined) return;
    refused = problem.text;
    if (!problem.absent) break;
  }
  throw new Error(`the engine refuses to warm up: ${refused}`);
}

async function follow(
  client: EngineClient,
  plan: WarmUpRequest[],
  signal: AbortSignal,
): Promise<{ absent: boolean; text: string } | undefined> {
  for (const [at, request] of plan.entries()) {
    const { status, text } = await client.post(request, signal);
    if (status !== 200)
      return { absent: status === 404 && at === 0, text: `${request.path} answers ${status} ${text.slice(0, 500)}` };
  }
  return undefined;
}
