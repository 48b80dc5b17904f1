import type { LabelQuestion } from '../confidence/label-set.ts';
import { setMembers } from '../json/edit.ts';
import { embeddings } from '../operations.ts';
import type { Asked, Dialect, UpstreamRequest } from './dialect.ts';
import { engineHeaders } from './engine-headers.ts';
import { madeOnce, mostTokensOf, oneLabel, withLogprobs } from './one-label.ts';
import { withUsage } from './stream-options.ts';
import { tokenLogprobs } from './token-logprobs.ts';

/** vLLM. It cancels what a client no longer waits for, streamed or not, so it is asked as the client asks. */
export const vllm: Dialect = {
  interruptedReason: 'abort', // on SIGTERM: a 200 with what there is so far
  givesLogprobs: true,
  headers: engineHeaders,
  request({ operation, raw, body, stream, backend, servedModel, labels, scored }: Asked): UpstreamRequest {
    const changes: Record<string, string> = {};
    if (body['model'] !== backend.servedModel) changes['model'] = servedModel;
    const path = `/v1${operation.path}`;
    if (operation === embeddings) return { path, body: setMembers(raw, changes), streamed: false, usage: 'Running' };
    const options = stream ? withUsage(body) : undefined;
    if (options !== undefined) changes['stream_options'] = options;
    if (scored) Object.assign(changes, tokenLogprobs(body, operation));
    if (labels) Object.assign(changes, oneLabel(body, fieldsFor(labels, operation)));
    return { path, body: setMembers(raw, changes), streamed: stream, usage: 'Running' };
  },
};

const fieldsFor = madeOnce(labelFields);

/** vLLM's default of `--max-logprobs`: it refuses to tell more. */
const mostTokens = 20;

/** How vLLM is asked for labels: held to them, its log-probabilities are those of the tokens that may begin a label. */
function labelFields({ tokens, names, whole }: LabelQuestion) {
  const texts = [...tokens, ...names, ...names.map((name) => ` ${name}`)];
  const fields = {
    structured_outputs: JSON.stringify({ choice: texts }),
    max_tokens: whole ? String(mostTokensOf(texts)) : '1',
    temperature: '0',
  };
  return withLogprobs(fields, mostTokens);
}
