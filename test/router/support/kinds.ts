import type { ModelBackend, ProviderBackend, Route } from '../../../crds/route-table.ts';
import {
  classified,
  llamaScored,
  llamaStream,
  scoredChat,
  vllmChat,
  vllmStream,
} from '../../../runtime/router/testing/answers.ts';
import { events as messageEvents, text, wholeMessage, wire } from '../../../runtime/router/testing/anthropic.ts';

/** A way to be asked and to answer: one kind of backend, for one kind of request. */
export interface Kind {
  name: string;
  /** Undefined: a provider, called over TLS. */
  model: Partial<ModelBackend> | undefined;
  /** What a provider differs in from OpenAI. */
  provider?: Partial<ProviderBackend>;
  path: string;
  request: object;
  /** What the client's answer contains when all is well. */
  content: string;
  /** Content type and text of the backend's answer when all is well. */
  type: string;
  answer: string;
  /** The answer is passed on to the client event by event. */
  relayed: boolean;
  /** The answer is held and judged, and another backend is asked where it is not good enough. */
  judged?: boolean;
  /** The answer begins long before it ends, or is short: it has to begin within `timeouts.firstByte`. */
  early: boolean;
  output: Route['output'];
}

const messages = [{ role: 'user', content: 'hello' }];
/** Told in two pieces, of which the first is `good`. */
const message = { content: [text('good day')] };
const labels = ['billing', 'refund', 'other'];
const certain = { billing: 0.6, refund: 0.3, other: 0.1 };
const json = 'application/json';
const events = 'text/event-stream';

const chat = { path: '/v1/chat/completions', request: { messages }, content: 'good', output: {}, relayed: false };
const streamed = { ...chat, request: { messages, stream: true }, type: events, relayed: true, early: true };
const label = { ...chat, content: 'billing', output: { labels }, early: true };

const vectors = {
  object: 'list',
  model: 'served',
  data: [{ object: 'embedding', index: 0, embedding: [0.015625, 0.25] }],
  usage: { prompt_tokens: 3, total_tokens: 3 },
};

/** Every way in which a backend is asked. */
export const kinds: readonly Kind[] = [
  { ...chat, name: 'vLLM, whole', model: {}, type: json, answer: JSON.stringify(vllmChat('good')), early: false },
  { ...streamed, name: 'vLLM, streamed', model: {}, answer: vllmStream(['good', ' day']) },
  {
    ...chat,
    name: 'vLLM, judged',
    model: {},
    type: json,
    answer: JSON.stringify(vllmChat('good')),
    early: false,
    judged: true,
  },
  {
    ...streamed,
    name: 'vLLM, judged and streamed',
    model: {},
    answer: vllmStream(['good', ' day']),
    relayed: false,
    judged: true,
  },
  {
    ...chat,
    name: 'llama-server, put together',
    model: { engine: 'LlamaCpp' },
    type: events,
    answer: llamaStream(['good', ' day']),
    early: true,
  },
  { ...streamed, name: 'llama-server, streamed', model: { engine: 'LlamaCpp' }, answer: llamaStream(['good', ' day']) },
  {
    ...chat,
    name: 'provider, whole',
    model: undefined,
    type: json,
    answer: JSON.stringify(vllmChat('good')),
    early: false,
  },
  { ...streamed, name: 'provider, streamed', model: undefined, answer: vllmStream(['good', ' day']) },
  {
    ...chat,
    name: 'Anthropic, whole',
    model: undefined,
    provider: { dialect: 'Anthropic' },
    type: json,
    answer: JSON.stringify(wholeMessage(message)),
    early: false,
  },
  {
    ...streamed,
    name: 'Anthropic, streamed',
    model: undefined,
    provider: { dialect: 'Anthropic' },
    answer: wire(...messageEvents(message)),
  },
  {
    ...chat,
    name: 'embeddings',
    path: '/v1/embeddings',
    request: { input: 'hello' },
    model: { task: 'Embedding' },
    content: '0.015625',
    type: json,
    answer: JSON.stringify(vectors),
    early: true,
  },
  { ...label, name: 'labels of vLLM', model: {}, type: json, answer: JSON.stringify(scoredChat('billing', certain)) },
  {
    ...label,
    name: 'labels of llama-server',
    model: { engine: 'LlamaCpp' },
    type: events,
    answer: llamaScored(certain),
  },
  {
    ...label,
    name: 'classification head',
    model: { task: 'Classification', classify: 'Text' },
    type: json,
    answer: JSON.stringify(classified('billing', 0.6, 0.3, 0.1)),
  },
];
