import { createServer, type Server } from 'node:http';
import { labels } from '../router/labels.ts';
import { labelOf, mark, numberOf, probabilities } from './texts.ts';

/** What a classification head says of a text, but for its index. */
const classified = probabilities.map((probs, number) =>
  JSON.stringify({ label: labelOf(number), probs, num_classes: probs.length }).slice(1),
);

/** A chat's answer whose log-probabilities say the same. */
const chats = probabilities.map((probs, number) => {
  const top = labels.map((token, at) => {
    return { token, logprob: Math.log(probs[at] as number), bytes: [...Buffer.from(token)] };
  });
  const best = top.find(({ token }) => token === labelOf(number));
  return Buffer.from(
    JSON.stringify({
      id: 'chatcmpl-0123456789abcdef',
      object: 'chat.completion',
      created: 1_760_000_000,
      model: 'served',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: labelOf(number), refusal: null },
          logprobs: { content: [{ ...best, top_logprobs: top }] },
          finish_reason: 'length',
          stop_reason: null,
        },
      ],
      usage: { prompt_tokens: 110, total_tokens: 111, completion_tokens: 1, prompt_tokens_demarks: null },
    }),
  );
});

const usage = '{"prompt_tokens":110,"total_tokens":110,"completion_tokens":0,"prompt_tokens_demarks":null}';

/** A model that answers at once: vLLM with a classification head at `/classify`, and one that writes at any other path. */
export function createBackend(): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const numbers = numbersIn(Buffer.concat(chunks).toString('latin1'));
      const answer = request.url === '/classify' ? list(numbers) : (chats[numbers[0] ?? 0] as Buffer);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
      response.end(answer);
    });
  });
}

function list(numbers: readonly number[]): string {
  const data = numbers.map((number, index) => `{"index":${index},${classified[number]}`);
  return `{"id":"classify-1","object":"list","created":1760000000,"model":"served","data":[${data.join(',')}],"usage":${usage}}`;
}

/** The numbers of the texts in a body, without parsing it: the backend must cost little. */
function numbersIn(body: string): number[] {
  const numbers: number[] = [];
  for (let at = body.indexOf(mark); at >= 0; at = body.indexOf(mark, at + mark.length))
    numbers.push(numberOf(body.slice(at - 3, at)));
  return numbers;
}
