import { describe, expect, it } from 'vitest';
import type { Route } from '../../crds/route-table.ts';
import { vllmChat } from './testing/answers.ts';
import { json, startEngine } from './testing/engine.ts';
import { aModel, aRoute, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });

/** A router before one engine that is three backends: a, to which all goes by default, b and c. */
async function threeBackends(over: Partial<Route>) {
  const stack = new AsyncDisposableStack();
  const engine = stack.use(await startEngine(json(vllmChat('hello'))));
  const router = stack.use(
    await startRouter({
      routes: [
        aRoute(
          ['a', 'b', 'c'].map((name) => aModel(name)),
          over,
        ),
      ],
      endpoints: Object.fromEntries(['a', 'b', 'c'].map((name) => [name, [engine.origin]])),
    }),
  );
  const served = async (body: object, headers: Record<string, string> = {}) =>
    (await router.post(chat, body, headers)).headers['x-cadre-backend'];
  return { router, served, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

type When = NonNullable<Route['rules']>[number]['when'];
const to = (backend: string, when: When, name = `to-${backend}`) => ({ name, when, split: [{ backend, weight: 1 }] });

const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
const tool = { type: 'function', function: { name: 'look_up' } };

describe('a rule', () => {
  it.each<[string, When, object, Record<string, string>, object, Record<string, string>]>([
    [
      'a header and its value',
      { headers: [{ name: 'x-tier', value: 'gold' }] },
      {},
      { 'X-Tier': 'gold' },
      {},
      { 'x-tier': 'Gold' },
    ],
    ['a header with any value', { headers: [{ name: 'x-tier' }] }, {}, { 'x-tier': 'any' }, {}, {}],
    [
      'metadata',
      { metadata: [{ key: 'team', value: 'ops' }] },
      { metadata: { team: 'ops' } },
      {},
      { metadata: { team: 'dev' } },
      {},
    ],
    ['tools', { tools: true }, { tools: [tool] }, {}, { tools: [] }, {}],
    ['no tools', { tools: false }, {}, {}, { tools: [tool] }, {}],
    ['images', { images: true }, { messages: [{ role: 'user', content: [image] }] }, {}, {}, {}],
    [
      'a JSON schema',
      { responseFormat: 'JSONSchema' },
      { response_format: { type: 'json_schema' } },
      {},
      { response_format: { type: 'json_object' } },
      {},
    ],
    ['text', { responseFormat: 'Text' }, {}, {}, { response_format: { type: 'json_object' } }, {}],
    [
      'a long prompt',
      { promptTokens: { min: 100 } },
      { messages: [{ role: 'user', content: 'a'.repeat(400) }] },
      {},
      { messages: [{ role: 'user', content: 'a'.repeat(396) }] },
      {},
    ],
    [
      'a short prompt',
      { promptTokens: { max: 2 } },
      {},
      {},
      { messages: [{ role: 'user', content: 'much longer' }] },
      {},
    ],
  ])('by %s holds for one request and not for the other', async (_, when, matching, headers, other, otherHeaders) => {
    await using world = await threeBackends({ rules: [to('b', when)] });
    expect(await world.served(ask(matching), headers)).toBe('b');
    expect(await world.served(ask(other), otherHeaders)).toBe('a');
    expect(world.router.logged()).toContain('"rule":"to-b"');
  });

  it('needs all of its conditions, and the first one of several counts', async () => {
    const both = { tools: true, headers: [{ name: 'x-tier', value: 'gold' }] };
    await using world = await threeBackends({ rules: [to('b', both), to('c', { tools: true })] });
    expect(await world.served(ask({ tools: [tool] }), { 'x-tier': 'gold' })).toBe('b');
    expect(await world.served(ask({ tools: [tool] }))).toBe('c');
    expect(await world.served(ask(), { 'x-tier': 'gold' })).toBe('a');
  });

  it('is asked in vain by what is no request of its form', async () => {
    await using world = await threeBackends({ rules: [to('b', { images: true, promptTokens: { min: 1 } })] });
    for (const messages of ['text', [null], [{ role: 'user', content: 7 }], [{ content: [null, { type: 1 }] }]])
      expect(await world.served(ask({ messages }))).toBe('a');
  });
});

describe('a sticky policy', () => {
  const even = ['a', 'b', 'c'].map((backend) => ({ backend, weight: 1 }));

  it.each<[string, Route['sticky'], (user: string) => [object, Record<string, string>]]>([
    ['user', { by: 'User' }, (user) => [{ user }, {}]],
    ['safety identifier', { by: 'User' }, (user) => [{ safety_identifier: user }, {}]],
    ['header', { by: 'Header', header: 'x-session-id' }, (user) => [{}, { 'x-session-id': user }]],
    [
      'conversation',
      { by: 'Conversation' },
      (user) => [
        {
          messages: [
            { role: 'system', content: 'Be brief.' },
            { role: 'user', content: user },
            { role: 'assistant', content: String(Math.random()) },
          ],
        },
        {},
      ],
    ],
  ])('keeps requests of one %s with one backend, in every router', async (_, sticky, of) => {
    await using world = await threeBackends({ split: even, sticky });
    await using other = await threeBackends({ split: even, sticky });
    const backends = new Set<unknown>();
    for (let user = 0; user < 12; user++) {
      const served = await world.served(ask(of(`user-${user}`)[0]), of(`user-${user}`)[1]);
      backends.add(served);
      for (const { served: again } of [world, other])
        expect(await again(ask(of(`user-${user}`)[0]), of(`user-${user}`)[1])).toBe(served);
    }
    expect(backends.size).toBe(3);
  });

  it('divides by chance what bears no such value', async () => {
    await using world = await threeBackends({ split: even, sticky: { by: 'User' } });
    const backends = new Set<unknown>();
    for (let request = 0; request < 60 && backends.size < 3; request++) backends.add(await world.served(ask()));
    expect(backends.size).toBe(3);
  });
});
