import type { Received, Script } from './engine.ts';

/** What a test's Anthropic answers with. */
export interface Message {
  content: readonly object[];
  stop_reason?: string;
  stop_details?: object | null;
  usage?: object;
}

const counted = {
  input_tokens: 20,
  output_tokens: 7,
  cache_read_input_tokens: 100,
  cache_creation_input_tokens: 30,
  output_tokens_details: { thinking_tokens: 2 },
};

/** Fields of a request that the Messages API knows; others get a 400 there. */
const known = new Set(
  'model messages max_tokens system stop_sequences stream temperature top_p top_k tools tool_choice metadata thinking output_config service_tier'.split(
    ' ',
  ),
);

export const text = (said: string) => ({ type: 'text', text: said, citations: null });
export const toolUse = (name: string, input: object, id = `toolu_${name}`) => ({ type: 'tool_use', id, name, input });

/** Anthropic's Messages API as it is documented, which answers every valid request with one message. */
export function anthropicApi(message: Message): Script {
  return (received) => {
    const problem = problemOf(received);
    if (problem) return answerError(received, 400, 'invalid_request_error', problem);
    if (received.headers['x-api-key'] !== 'provider-key')
      return answerError(received, 401, 'authentication_error', 'invalid x-api-key');
    if (received.body['stream'] === true) {
      received.response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      received.response.end(wire(...events(message)));
      return;
    }
    received.response.writeHead(200, { 'content-type': 'application/json' });
    received.response.end(JSON.stringify(wholeMessage(message)));
  };
}

/** An error in the shape of the API. */
export function anthropicError(status: number, type: string, message: string, headers: object = {}): Script {
  return (received) => answerError(received, status, type, message, headers);
}

/** A stream of these events, after which the connection ends. */
export function anthropicEvents(...all: readonly object[]): Script {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.end(wire(...all));
  };
}

/** Events as they are sent. */
export function wire(...all: readonly object[]): string {
  return all.map((event) => `event: ${(event as { type: string }).type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
}

export const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };

/** The events by which a message is streamed, each text and each call in two pieces. */
export function events({ content, stop_reason = 'end_turn', stop_details = null, usage = counted }: Message): object[] {
  const start = { ...wholeMessage({ content: [], usage: { ...usage, output_tokens: 1 } }), stop_reason: null };
  const blocks = content.flatMap((block, index) => {
    const { type, text: said, input, thinking } = block as Record<string, unknown>;
    const halves = (whole: string) => [whole.slice(0, whole.length / 2), whole.slice(whole.length / 2)];
    const [empty, deltas] =
      type === 'text'
        ? [{ text: '' }, halves(String(said)).map((piece) => ({ type: 'text_delta', text: piece }))]
        : type === 'tool_use'
          ? [{ input: {} }, halves(json(input)).map((piece) => ({ type: 'input_json_delta', partial_json: piece }))]
          : [{ thinking: '' }, [{ type: 'thinking_delta', thinking }]];
    return [
      { type: 'content_block_start', index, content_block: Object.assign({}, block, empty) },
      ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
      { type: 'content_block_stop', index },
    ];
  });
  return [
    { type: 'message_start', message: start },
    { type: 'ping' },
    ...blocks,
    { type: 'message_delta', delta: { stop_reason, stop_sequence: null, stop_details }, usage },
    { type: 'message_stop' },
  ];
}

/** The API tells an input without members by no piece at all. */
function json(input: unknown): string {
  const written = JSON.stringify(input);
  return written === '{}' ? '' : written;
}

/** A message as it is answered in one piece. */
export function wholeMessage({ content, stop_reason = 'end_turn', stop_details = null, usage = counted }: Message) {
  const named = { id: 'msg_01', type: 'message', role: 'assistant', model: 'claude-sonnet-4-6' };
  return { ...named, content, stop_reason, stop_sequence: null, stop_details, usage };
}

function problemOf({ path, headers, body }: Received): string | undefined {
  if (path !== '/v1/messages') return `no such path: ${path}`;
  if (headers['anthropic-version'] !== '2023-06-01') return 'anthropic-version: header is required';
  const unknown = Object.keys(body).find((name) => !known.has(name));
  if (unknown !== undefined) return `${unknown}: Extra inputs are not permitted`;
  const { messages, max_tokens: max } = body;
  if (!Array.isArray(messages) || messages.length === 0) return 'messages: at least one message is required';
  return typeof max === 'number' ? undefined : 'max_tokens: Field required';
}

function answerError(
  { response }: Received,
  status: number,
  type: string,
  message: string,
  headers: object = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ type: 'error', error: { type, message }, request_id: 'req_1' }));
}
