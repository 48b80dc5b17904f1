import type { AnswerReader } from '../../answers/reader.ts';
import { ApiError } from '../../errors.ts';
import { chatCompletions } from '../../operations.ts';
import { baseUrlOf } from '../base-url.ts';
import type { Asked, CallableBackend, Dialect, UpstreamRequest } from '../dialect.ts';
import { NotTranslatable } from '../not-translatable.ts';
import { MessageReader } from './message-reader.ts';
import { messagesRequest } from './request.ts';
import { StreamReader } from './stream-reader.ts';

/** The version of the API that is spoken (https://platform.claude.com/docs/en/api/versioning). */
const apiVersion = '2023-06-01';
const nothing = Buffer.alloc(0);

/**
 * Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages). A request is translated as a whole; an
 * answer is made OpenAI's before anything reads it, so that whatever comes after is the same for every backend.
 */
export const anthropic: Dialect = {
  interruptedReason: undefined,
  givesLogprobs: false,
  headers(backend: CallableBackend): string[] {
    const key = backend.kind === 'Provider' ? backend.apiKey : undefined;
    const headers = ['content-type', 'application/json', 'accept-encoding', 'identity', 'user-agent', 'cadre'];
    headers.push('anthropic-version', apiVersion);
    if (key !== undefined) headers.push('x-api-key', key);
    return headers;
  },
  request({ operation, body, stream, backend }: Asked): UpstreamRequest {
    const asked = { path: `${baseUrlOf(backend)?.prefix ?? ''}/messages`, streamed: stream, usage: 'Running' } as const;
    const isChat = operation === chatCompletions;
    try {
      const request = messagesRequest(body, { isChat, stream, backend });
      return {
        ...asked,
        body: Buffer.from(JSON.stringify(request)),
        translated: (inner: AnswerReader) =>
          stream ? new StreamReader(inner, backend.name, isChat) : new MessageReader(inner, backend.name, isChat),
      };
    } catch (error) {
      if (error instanceof NotTranslatable) return { ...asked, body: nothing, refusal: error.failure(backend.name) };
      if (!(error instanceof RangeError)) throw error; // the stack, as it is nested
      throw new ApiError(400, 'invalid_type', 'the request body is nested too deeply');
    }
  },
};
