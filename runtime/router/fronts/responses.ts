import { randomUUID } from 'node:crypto';
import { type AnswerDocument, isAnswer, isObject, type JsonObject, parseObject } from '../answers/document.ts';
import { isDone, isEmpty } from '../answers/events.ts';
import { SseParser } from '../answers/sse.ts';
import { ApiError } from '../errors.ts';
import type { RequestBody, Translated } from '../operations.ts';
import type { Front } from './front.ts';
import { renamed } from './responses-errors.ts';
import { chatRequest } from './responses-request.ts';
import { ResponseWriter } from './responses-writer.ts';

/**
 * OpenAI's Responses API (https://platform.openai.com/docs/api-reference/responses), served as a chat by every backend.
 * Nothing is stored, so nothing can be referred to: what would need a store is refused, and `store` is answered as false.
 */
export function receiveResponses(body: RequestBody): Translated {
  const chat = chatRequest(body);
  // Chats take metadata only if they are stored, which providers would do; rules may read it all the same.
  const { metadata } = body;
  return {
    body: metadata === undefined ? chat : { ...chat, metadata },
    raw: written(chat),
    front: new Responses(body),
  };
}

function written(chat: JsonObject): Buffer {
  try {
    return Buffer.from(JSON.stringify(chat));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the stack, as it is nested
    throw new ApiError(400, 'invalid_json', 'the request body is nested too deeply');
  }
}

/** Fields of the chat that a client of this API knows by another name. */
const ownNames: Readonly<Record<string, string>> = {
  messages: 'input',
  response_format: 'text.format',
  max_completion_tokens: 'max_output_tokens',
  max_tokens: 'max_output_tokens',
  reasoning_effort: 'reasoning.effort',
  verbosity: 'text.verbosity',
  logprobs: 'include',
};

class Responses implements Front {
  readonly #asked: RequestBody;
  readonly #parser = new SseParser((event) => {
    if (isEmpty(event)) return;
    if (isDone(event)) this.#writer?.finish();
    else this.#add(parseObject(event.data));
  });
  #writer: ResponseWriter | undefined;

  constructor(asked: RequestBody) {
    this.#asked = asked;
  }

  whole(answer: AnswerDocument, model: string, stream: boolean): string {
    const writer = this.#open(answer, model);
    const [choice] = answer.choices;
    const message = choice?.['message'];
    writer.add({ ...answer, choices: choice ? [{ ...choice, delta: isObject(message) ? message : {} }] : [] });
    writer.finish();
    return stream ? writer.taken() : JSON.stringify(writer.response);
  }

  piece(bytes: Buffer): string {
    this.#parser.push(bytes);
    return this.#writer?.taken() ?? '';
  }

  broken(error: ApiError): string {
    this.#writer ??= this.#open({}, String(this.#asked['model']));
    this.#writer.fail(error);
    return this.#writer.taken();
  }

  told(error: ApiError): ApiError {
    const { param } = error.details;
    const own = param === undefined ? undefined : ownNames[param];
    return own === undefined ? error : renamed(error, own);
  }

  #add(piece: JsonObject | undefined): void {
    if (!piece || !isAnswer(piece)) return; // the relay has judged it; what is no answer has nothing to say here
    this.#writer ??= this.#open(piece, String(piece['model']));
    this.#writer.add(piece);
  }

  #open({ created }: JsonObject, model: string): ResponseWriter {
    const at = typeof created === 'number' ? created : Math.floor(Date.now() / 1000);
    return new ResponseWriter(responseTo(this.#asked, model, at), wantsLogprobs(this.#asked));
  }
}

function wantsLogprobs({ include }: RequestBody): boolean {
  return Array.isArray(include) && include.includes('message.output_text.logprobs');
}

/** The response before anything of it is said: what was asked, with the defaults of what was not. */
function responseTo(asked: RequestBody, model: string, createdAt: number): JsonObject {
  const or = (field: string, value: unknown): unknown => asked[field] ?? value;
  return {
    id: `resp_${randomUUID().replaceAll('-', '')}`,
    object: 'response',
    created_at: createdAt,
    status: 'in_progress',
    background: false,
    completed_at: null,
    error: null,
    incomplete_details: null,
    instructions: or('instructions', null),
    max_output_tokens: or('max_output_tokens', null),
    max_tool_calls: or('max_tool_calls', null),
    metadata: or('metadata', {}),
    model,
    output: [],
    parallel_tool_calls: or('parallel_tool_calls', true),
    previous_response_id: null,
    reasoning: or('reasoning', { effort: null, summary: null }),
    store: false,
    temperature: or('temperature', null),
    text: isObject(asked['text']) ? { format: { type: 'text' }, ...asked['text'] } : { format: { type: 'text' } },
    tool_choice: or('tool_choice', 'auto'),
    tools: or('tools', []),
    top_logprobs: or('top_logprobs', 0),
    top_p: or('top_p', null),
    truncation: 'disabled',
    usage: null,
    user: or('user', null),
  };
}
