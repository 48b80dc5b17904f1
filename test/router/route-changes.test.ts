import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { until } from '../../process/testing/waiting.ts';
import { startEngine } from '../../runtime/router/testing/engine.ts';
import { aModel, aRoute, startRouter } from '../../runtime/router/testing/router.ts';
import { echo, markerPattern } from './support/echo.ts';
import { chatPath, untilIdle } from './support/raw-client.ts';

const changes = 100;
const clients = 20;

it(`${changes} changes of routes and endpoints under load fail no request`, async () => {
  const engines = await Promise.all([1, 2, 3, 4].map(() => startEngine(echo)));
  const [first, second, third, fourth] = engines.map(({ origin }) => origin) as [string, string, string, string];
  const models = [aModel('small'), aModel('large'), aModel('llama', { engine: 'LlamaCpp' })];
  const other = { policy: { namespace: 'support', name: 'other', uid: 'u2', generation: 1 }, model: 'other' };
  await using router = await startRouter({
    routes: [aRoute(models)],
    endpoints: { small: [first, second], large: [third], llama: [fourth] },
  });

  const load = { over: false, answered: 0 };
  const failures: string[] = [];
  async function client(n: number): Promise<void> {
    for (let i = 0; !load.over; i++) {
      const marker = `marker-${randomUUID()}`;
      const messages = [{ role: 'user', content: marker }];
      const reply = await router.post(chatPath, { model: 'triage', messages, stream: (n + i) % 2 === 0 });
      const markers = reply.text.match(markerPattern) ?? [];
      if (reply.status !== 200 || markers.length !== 1 || markers[0] !== marker)
        failures.push(`${reply.status} ${reply.text}`);
      load.answered++;
    }
  }
  const clientsDone = Promise.all(Array.from({ length: clients }, (_, n) => client(n)));

  for (let change = 1; change <= changes; change++) {
    const before = load.answered;
    // Other weights, another order, a backend less, a route beside it: no two tables in turn are alike.
    const shown = models.toSpliced(change % 3, change % 2).toSorted(() => (change % 5 === 0 ? 1 : -1));
    const split = shown.map(({ name }, i) => ({ backend: name, weight: 1 + ((change + i) % 4) }));
    const routes = [aRoute(shown, { split, fallback: shown.map(({ name }) => name) })];
    router.setRoutes(change % 4 === 0 ? [...routes, aRoute(models, other)] : routes);
    // Endpoints go, as they do before their pods drain, and come back.
    router.setEndpoints({
      small: change % 2 === 0 ? [first, second] : [change % 3 === 0 ? first : second],
      large: change % 7 === 0 ? [third, first] : [third],
      llama: change % 5 === 0 ? [fourth, second] : [fourth],
    });
    await until('requests meet the new table', () => load.answered >= before + clients || failures.length > 0);
  }
  load.over = true;
  await clientsDone;
  expect(failures).toEqual([]);
  expect(load.answered).toBeGreaterThanOrEqual(changes * clients);
  await untilIdle(router, ['small', 'large', 'llama']);
  for (const engine of engines) await engine.kill();
});
