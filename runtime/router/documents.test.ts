import { describe, expect, it } from 'vitest';
import type { Route } from '../../crds/route-table.ts';
import { until } from '../../process/testing/waiting.ts';
import { vllmChat } from './testing/answers.ts';
import { json, type Script, startEngine, stream } from './testing/engine.ts';
import { aModel, aRoute, startRouter } from './testing/router.ts';
import { type Token, tokenAnswer, tokenEvents } from './testing/scored.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const jsonSchema = {
  type: 'object',
  required: ['order'],
  properties: { order: { type: 'string', pattern: '^AB-' }, note: { type: 'string' } },
  additionalProperties: false,
};
const order = (p: number, note = 0.9): Token[] => [
  ['{"', 0.3],
  ['order', 0.3],
  ['":"', 0.99],
  ['AB', 0.95],
  ['-', 0.99],
  ['48', p],
  ['","note":"', 0.9],
  ['x', note],
  ['"}', 0.2],
];
const small = aModel('small');
const llama = aModel('small', { engine: 'LlamaCpp' });
const flagship = aModel('flagship');
const escalation: Route['escalation'] = {
  steps: [{ to: 'flagship', threshold: 0.9 }],
  when: ['LowConfidence', 'InvalidOutput'],
  unknownConfidence: 'Escalate',
  streaming: 'Buffer',
};

async function routerBefore(scripts: { small: Script; flagship: Script }, over: Partial<Route> = {}, model = small) {
  const stack = new AsyncDisposableStack();
  const first = stack.use(await startEngine(scripts.small));
  const second = stack.use(await startEngine(scripts.flagship));
  const routes = [aRoute([model, flagship], { output: { jsonSchema }, ...over })];
  const endpoints = { small: [first.origin], flagship: [second.origin] };
  const router = stack.use(await startRouter({ routes, endpoints }));
  return { router, small: first, flagship: second, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const good = json(tokenAnswer(order(0.97)));

describe('with a JSON schema', () => {
  it.each([
    ['is not JSON', 'not JSON at all'],
    ['is not what output.jsonSchema says: #/properties/order/pattern is not kept', '{"order":"secret"}'],
    ['is not what output.jsonSchema says: #/required is not kept', '{}'],
    ['is empty', ' '],
  ])('an answer that %s is none: the fallback is asked, and without one it is an error', async (problem, content) => {
    await using world = await routerBefore({ small: json(vllmChat(content)), flagship: good });
    const reply = await world.router.post(chat, ask());
    expect([reply.status, reply.headers['x-cadre-backend']]).toEqual([200, 'flagship']);
    world.router.setRoutes([aRoute([small], { output: { jsonSchema } })]);
    const failed = await world.router.post(chat, ask());
    expect([failed.status, failed.json.error.code]).toEqual([502, 'invalid_output']);
    expect(failed.json.error.message).toBe(`the answer of backend "small" ${problem}`);
    expect(failed.text).not.toContain('secret');
  });

  it('a document that was cut is none, also where the client has set the limit', async () => {
    await using world = await routerBefore({ small: json(vllmChat('{"order":"AB-1"}', 'length')), flagship: good });
    expect((await world.router.post(chat, ask({ max_tokens: 5 }))).headers['x-cadre-backend']).toBe('flagship');
  });

  it('a document goes out byte for byte, and nobody is asked for log-probabilities', async () => {
    await using world = await routerBefore({ small: good, flagship: good });
    const reply = await world.router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('{"order":"AB-48","note":"x"}');
    expect(reply.headers).not.toHaveProperty('x-cadre-confidence');
    expect(world.small.last.body).not.toHaveProperty('logprobs');
  });

  it('a refusal and a call of a tool are answers that are no documents', async () => {
    const call = { id: 'c', type: 'function', function: { name: 'find', arguments: '{}' } };
    const calling = { role: 'assistant', content: null, tool_calls: [call] };
    const refusing = { role: 'assistant', content: null, refusal: 'no' };
    for (const message of [calling, refusing]) {
      await using world = await routerBefore({ small: json(tokenAnswer([], { message })), flagship: good });
      const tools = [{ type: 'function', function: { name: 'find' } }];
      const reply = await world.router.post(chat, ask({ tools }));
      expect([reply.headers['x-cadre-backend'], reply.json.choices[0].message]).toEqual(['small', message]);
    }
  });

  it('a stream is held until the document is whole', async () => {
    await using world = await routerBefore({ small: stream(tokenEvents(order(0.9)).join('')), flagship: good });
    const reply = await world.router.post(chat, ask({ stream: true }));
    const pieces = reply.text.split('\n\n').filter(Boolean);
    expect(pieces).toHaveLength(3);
    expect(JSON.parse((pieces[0] as string).slice(6)).choices[0].delta.content).toBe('{"order":"AB-48","note":"x"}');
    expect(pieces.at(-1)).toBe('data: [DONE]');
  });
});

describe('the confidence in a document', () => {
  it('is the least of the fields that it must have, and of no others', async () => {
    const answers = json(tokenAnswer(order(0.93, 0.2)));
    await using world = await routerBefore({ small: answers, flagship: good }, { escalation });
    const reply = await world.router.post(chat, ask());
    expect(reply.headers).toMatchObject({ 'x-cadre-backend': 'small', 'x-cadre-confidence': '0.9300' });
    expect(world.small.last.body).toMatchObject({ logprobs: true, top_logprobs: 1 });
    expect(reply.json.choices[0].logprobs).toBeNull();
  });

  it('below the threshold leads to the next step, which is not asked for log-probabilities', async () => {
    const answers = json(tokenAnswer(order(0.6)));
    await using world = await routerBefore({ small: answers, flagship: good }, { escalation });
    const reply = await world.router.post(chat, ask());
    expect(reply.headers).toMatchObject({ 'x-cadre-backend': 'flagship', 'x-cadre-escalated': 'LowConfidence' });
    expect(world.flagship.last.body).not.toHaveProperty('logprobs');
  });

  it.each([
    ['no log-probabilities', json(vllmChat('{"order":"AB-48"}'))],
    ['tokens that are not those of its text', json({ ...tokenAnswer([['other', 1]], {}), choices: [mismatched()] })],
    ['a value without a log-probability', json(tokenAnswer([['{"order":"AB-', 1], ['48'], ['"}', 1]]))],
  ])('is unknown with %s, which is not certain', async (_, script) => {
    await using world = await routerBefore({ small: script, flagship: good }, { escalation });
    expect((await world.router.post(chat, ask())).headers['x-cadre-backend']).toBe('flagship');
    const accepting: Route['escalation'] = { ...escalation, unknownConfidence: 'Accept' };
    world.router.setRoutes([aRoute([small, flagship], { output: { jsonSchema }, escalation: accepting })]);
    const reply = await world.router.post(chat, ask());
    expect(reply.headers['x-cadre-backend']).toBe('small');
    expect(reply.headers).not.toHaveProperty('x-cadre-confidence');
  });

  it('counts the tokens of the text only where a model says what it thinks first', async () => {
    const thought: Token[] = [
      ['so {"order":', 0.1],
      ['"no"}', 0.1],
      ['\n\n', 0.1],
    ];
    const answer = tokenAnswer([...thought, ...order(0.95)]);
    const message = { role: 'assistant', reasoning: 'so', content: '{"order":"AB-48","note":"x"}' };
    const choices = answer.choices.map((choice) => ({ ...choice, message }));
    await using world = await routerBefore({ small: json({ ...answer, choices }), flagship: good }, { escalation });
    expect((await world.router.post(chat, ask())).headers['x-cadre-confidence']).toBe('0.9500');
  });
});

function mismatched() {
  const [choice] = tokenAnswer([['other', 1]]).choices;
  return { ...choice, message: { role: 'assistant', content: '{"order":"AB-48"}' } };
}

describe('a document that is being written', () => {
  /** Says the doubtful value, and nothing more until it is left. */
  const doubtful = (): Script => {
    return ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const piece of tokenEvents(order(0.4)).slice(0, 7)) response.write(piece);
    };
  };

  it('is called off at the first value below the threshold', async () => {
    await using world = await routerBefore({ small: doubtful(), flagship: good }, { escalation }, llama);
    const reply = await world.router.post(chat, ask());
    expect(reply.headers).toMatchObject({ 'x-cadre-backend': 'flagship', 'x-cadre-escalated': 'LowConfidence' });
    await until('the engine is left', () => world.small.last.gone);
    const outcome = { backend: 'small', outcome: 'LowConfidence' };
    expect(await world.router.metric('cadre_router_upstream_attempts_total', outcome)).toBe(1);
  });

  it('is asked for again where the next one fails: an answer is never lost', async () => {
    const whole = stream(tokenEvents(order(0.4)).join(''));
    await using world = await routerBefore({ small: doubtful(), flagship: json({}, 500) }, { escalation }, llama);
    world.flagship.script = (received) => {
      world.small.script = whole;
      return json({ error: { message: 'no' } }, 500)(received);
    };
    const reply = await world.router.post(chat, ask());
    expect([reply.status, reply.json.choices[0].message.content]).toEqual([200, '{"order":"AB-48","note":"x"}']);
    expect(reply.headers).toMatchObject({ 'x-cadre-backend': 'small', 'x-cadre-not-escalated': 'NextFailed' });
    expect(world.small.received).toHaveLength(2);
  });

  it('goes on where the budget lets nobody else be asked', async () => {
    const whole = stream(tokenEvents(order(0.4)).join(''));
    const limited: Route['escalation'] = { ...escalation, maxRate: 0.001 };
    await using world = await routerBefore({ small: whole, flagship: good }, { escalation: limited }, llama);
    const served: unknown[] = [];
    for (let i = 0; i < 12; i++) served.push((await world.router.post(chat, ask())).headers['x-cadre-backend']);
    expect(served).toEqual([...Array<string>(10).fill('flagship'), 'small', 'small']);
    const reply = await world.router.post(chat, ask());
    expect(reply.headers).toMatchObject({ 'x-cadre-confidence': '0.4000', 'x-cadre-not-escalated': 'BudgetExhausted' });
  });
});
