import { setMembers } from '../json/edit.ts';
import { chatCompletions, type Operation, type RequestBody } from '../operations.ts';
import { baseUrlOf } from './base-url.ts';
import type { Asked, CallableBackend, Dialect, UpstreamRequest } from './dialect.ts';
import { withUsage } from './stream-options.ts';
import { tokenLogprobs } from './token-logprobs.ts';

/**
 * OpenAI and those that speak its dialect. Nothing is added that one of them might refuse: only OpenAI itself is asked for
 * the usage of a stream. There is no way to hold a provider to a label set without changing the form of its answer; an
 * answer outside of the set counts as failed. Log-probabilities are asked for until the provider refuses to give them.
 */
export const openAI: Dialect = {
  interruptedReason: undefined,
  givesLogprobs: true,
  headers(backend: CallableBackend): string[] {
    const headers = ['content-type', 'application/json', 'accept-encoding', 'identity', 'user-agent', 'cadre'];
    const key = backend.kind === 'Provider' ? backend.apiKey : undefined;
    return key === undefined ? headers : [...headers, 'authorization', `Bearer ${key}`];
  },
  request({ operation, raw, body, stream, backend, servedModel, labels, scored }: Asked): UpstreamRequest {
    const changes: Record<string, string> = {};
    if (body['model'] !== backend.servedModel) changes['model'] = servedModel;
    const base = baseUrlOf(backend);
    const options = stream && base?.hostname === 'api.openai.com' ? withUsage(body) : undefined;
    if (options !== undefined) changes['stream_options'] = options;
    if (scored) Object.assign(changes, tokenLogprobs(body, operation));
    if (labels?.scored) Object.assign(changes, logprobs(body, operation));
    return {
      path: `${base?.prefix ?? ''}${operation.path}`,
      body: setMembers(raw, changes),
      streamed: stream,
      usage: 'Running',
    };
  },
};

/** As many as OpenAI tells of: 20 in a chat, 5 in a completion. */
function logprobs(body: RequestBody, operation: Operation): Record<string, string> {
  if (operation !== chatCompletions) return typeof body['logprobs'] === 'number' ? {} : { logprobs: '5' };
  return { logprobs: 'true', top_logprobs: '20' };
}
