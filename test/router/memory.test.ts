import { expect, it } from 'vitest';
import { until } from '../../process/testing/waiting.ts';
import { startEngine } from '../../runtime/router/testing/engine.ts';
import { aModel, aRoute, startRouter } from '../../runtime/router/testing/router.ts';
import { echo } from './support/echo.ts';
import { chatPath, RawClient, request, untilIdle } from './support/raw-client.ts';

const kibibyte = 1024;
const budget = 1024 * kibibyte;

const bodyOf = (kibibytes: number, marker: string): string =>
  JSON.stringify({
    model: 'triage',
    messages: [{ role: 'user', content: marker }],
    pad: 'x'.repeat(kibibytes * kibibyte),
  });

async function start() {
  const engine = await startEngine(echo);
  const router = await startRouter({
    routes: [aRoute([aModel('small')])],
    endpoints: { small: [engine.origin] },
    config: { client: { maxBufferedBytes: budget } },
  });
  const close = async () => {
    await router[Symbol.asyncDispose]();
    await engine.kill();
  };
  return { engine, router, buffered: () => router.context.metrics.bufferedBytes, [Symbol.asyncDispose]: close };
}

it('bodies that others hold are not added to beyond the budget: 503 with retry-after, until there is room', async () => {
  await using one = await start();
  const text = request(bodyOf(300, 'marker-a'));
  const holders = [1, 2, 3].map(() => new RawClient(one.router).send(text.slice(0, -1)));
  await until('three bodies are held', () => one.buffered() > 3 * 300 * kibibyte);

  const crowded = await one.router.post(chatPath, bodyOf(300, 'marker-b'));
  expect([crowded.status, crowded.json.error.code, crowded.headers['retry-after']]).toEqual([
    503,
    'router_overloaded',
    '1',
  ]);
  // Small ones still find room.
  expect((await one.router.post(chatPath, bodyOf(1, 'marker-c'))).text).toContain('marker-c');
  expect(await one.router.metric('cadre_router_buffered_request_bytes')).toBeGreaterThan(900 * kibibyte);

  // One is answered, one leaves, one waits on.
  await holders[0]?.send(text.slice(-1)).untilReceived('marker-a');
  holders[1]?.socket.resetAndDestroy();
  await until('two have given their memory back', () => one.buffered() < 301 * kibibyte);
  expect((await one.router.post(chatPath, bodyOf(300, 'marker-d'))).text).toContain('marker-d');
  for (const holder of holders) holder[Symbol.dispose]();
  await untilIdle(one.router, ['small']);
  expect(one.buffered()).toBe(0);
});

it('a body alone is taken whatever the budget is', async () => {
  await using one = await start();
  expect((await one.router.post(chatPath, bodyOf(2048, 'marker-e'))).text).toContain('marker-e');
  await untilIdle(one.router, ['small']);
  expect(one.buffered()).toBe(0);
});

it('a crowd of large bodies holds no more than the budget, and each is answered or told to come again', async () => {
  await using one = await start();
  let most = 0;
  const look = setInterval(() => {
    most = Math.max(most, one.buffered());
  }, 1);
  const replies = await Promise.all(
    Array.from({ length: 40 }, (_, i) => one.router.post(chatPath, bodyOf(200, `marker-${i}f`))),
  );
  clearInterval(look);
  expect(replies.filter(({ status }) => status !== 200 && status !== 503)).toEqual([]);
  expect(replies.some(({ status }) => status === 200)).toBe(true);
  expect(most).toBeLessThanOrEqual(budget + 200 * kibibyte);
  await untilIdle(one.router, ['small']);
  expect(one.buffered()).toBe(0);
});
