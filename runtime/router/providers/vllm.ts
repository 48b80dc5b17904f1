import type { LabelSet } from '../answers/labels.ts';
import { setMembers } from '../json/edit.ts';
import { completions, embeddings } from '../operations.ts';
import type { Asked, Dialect, UpstreamRequest } from './dialect.ts';
import { withUsage } from './stream-options.ts';

/** vLLM. It cancels what a client no longer waits for, streamed or not, so it is asked as the client asks. */
export const vllm: Dialect = {
  interruptedReason: 'abort', // on SIGTERM: a 200 with what there is so far
  request({ operation, raw, body, stream, backend, servedModel, labels }: Asked): UpstreamRequest {
    const changes: Record<string, string> = {};
    if (body['model'] !== backend.servedModel) changes['model'] = servedModel;
    const path = `/v1${operation.path}`;
    if (operation === embeddings) return { path, body: setMembers(raw, changes), streamed: false, usage: 'Running' };
    const options = stream ? withUsage(body) : undefined;
    if (options !== undefined) changes['stream_options'] = options;
    if (labels) {
      const text = operation === completions;
      changes['structured_outputs'] = text ? choicesOf(labels).text : choicesOf(labels).chat;
      // Its default of 16 tokens would cut a long label. No label has more tokens than bytes.
      if (text && body['max_tokens'] === undefined) changes['max_tokens'] = String(labels.maxBytes + 1);
    }
    return { path, body: setMembers(raw, changes), streamed: stream, usage: 'Running' };
  },
};

/** `structured_outputs` of a label set, in JSON. */
interface Choices {
  chat: string;
  /** For a text to be continued: models then begin a word with a space. */
  text: string;
}

const choices = new WeakMap<LabelSet, Choices>();

function choicesOf(labels: LabelSet): Choices {
  let made = choices.get(labels);
  if (!made) {
    const names = [...labels.names];
    made = {
      chat: JSON.stringify({ choice: names }),
      text: JSON.stringify({ choice: names.flatMap((name) => [name, ` ${name}`]) }),
    };
    choices.set(labels, made);
  }
  return made;
}
