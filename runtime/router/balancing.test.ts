import { describe, expect, it } from 'vitest';
import { vllmChat } from './testing/answers.ts';
import { json, reset, startEngine } from './testing/engine.ts';
import { aModel, aRoute, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (content = 'hello') => ({ model: 'triage', messages: [{ role: 'user', content }] });
const good = json(vllmChat('good'));

describe('the endpoints of a model', () => {
  it('lose one that breaks off, without a failed request, and get it back when it answers again', async () => {
    await using a = await startEngine(reset);
    await using b = await startEngine(good);
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [a.origin, b.origin] },
    });
    const [first] = router.context.endpoints.ready('support', 'small');
    const served = async () => expect((await router.post(chat, ask())).status).toBe(200);
    while (first?.health.state(Date.now()) !== 'Out') await served();
    a.script = good;
    const before = a.received.length;
    while (a.received.length < before + 2) await served();
    expect(first?.health.state(Date.now())).toBe('In');
  });

  it('lose one that is killed with the first request, and it is asked no more often than it is probed', async () => {
    await using a = await startEngine(good);
    await using b = await startEngine(good);
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [a.origin, b.origin] },
    });
    await a.kill();
    for (let i = 0; i < 50; i++) expect((await router.post(chat, ask())).status).toBe(200);
    expect(b.received).toHaveLength(50);
    expect(await router.metric('cadre_router_upstream_attempts_total', { outcome: 'ConnectFailed' })).toBeLessThan(10);
  });

  it('get all turns of one conversation, where requests go by their prompt', async () => {
    const engines = await Promise.all([good, good, good].map((script) => startEngine(script)));
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { byPrompt: true })])],
      endpoints: { small: engines.map(({ origin }) => origin) },
    });
    const { messages } = ask('my first words');
    for (let turn = 0; turn < 9; turn++) {
      const more = Array.from({ length: turn }, (_, at) => ({ role: 'user', content: `turn ${at}` }));
      expect((await router.post(chat, { model: 'triage', messages: [...messages, ...more] })).status).toBe(200);
    }
    expect(engines.map(({ received }) => received.length).sort((a, b) => a - b)).toEqual([0, 0, 9]);
    for (let at = 0; at < 40; at++) await router.post(chat, ask(`conversation ${at}`));
    expect(Math.min(...engines.map(({ received }) => received.length))).toBeGreaterThan(0);
    await Promise.all(engines.map((engine) => engine.kill()));
  });
});
