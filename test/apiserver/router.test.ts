import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { resources } from '../../kube/resources.ts';
import { silent } from '../../kube/testing/objects.ts';
import type { KubeObject } from '../../kube/types.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { runRouter } from '../../runtime/router/main.ts';
import { vllmChat } from '../../runtime/router/testing/answers.ts';
import { json, startEngine } from '../../runtime/router/testing/engine.ts';
import { endpointSlice, routeSecret } from '../../runtime/router/testing/objects.ts';
import { aModel, aRoute, clientKey } from '../../runtime/router/testing/router.ts';
import { makeNamespace, useOwnApiServer } from '../support/api-server.ts';
import { isLong } from '../support/measured.ts';

/** How long the API server is away; the full length is the one that is promised. */
const outageMs = isLong ? 60_000 : 3_000;
/** An address of this machine that an EndpointSlice may have: loopback is refused there. */
const address = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

const fieldManager = 'test';

describe('the router and a real API server', () => {
  const own = useOwnApiServer();
  beforeAll(async () => {
    for (const name of ['cadre', 'support']) await makeNamespace(own.direct, name);
  });

  it('serves through an outage, also when an engine dies, and sees what changed soon after it', async () => {
    expect(address, 'this machine has an IPv4 address beside loopback').toBeDefined();
    await using first = await startEngine(json(vllmChat('first')), address);
    await using second = await startEngine(json(vllmChat('second')), address);
    await using third = await startEngine(json(vllmChat('third')), address);
    await apply(resources.secrets, routeSecret('r1', aRoute([aModel('small')]), 0));
    await slice('small-1', first.port);
    await slice('small-2', second.port);

    const stop = new AbortController();
    const listening = Promise.withResolvers<{ port: number }>();
    const cluster = await own.connect();
    const router = runRouter({
      config: { namespace: 'cadre', drain: { delaySeconds: 0, deadlineSeconds: 10 } },
      port: 0,
      host: '127.0.0.1',
      log: silent,
      signal: stop.signal,
      cluster,
      onListening: listening.resolve,
    });
    router.catch(listening.reject);
    const { port } = await listening.promise;
    const served = new Map<string, number>();
    const failures: string[] = [];
    const ask = async () => {
      try {
        const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
          method: 'POST',
          headers: { authorization: `Bearer ${clientKey}` },
          body: JSON.stringify({ model: 'triage', messages: [] }),
        });
        const text = await answer.text();
        if (answer.status !== 200) throw new Error(`${answer.status} ${text}`);
        const { choices } = JSON.parse(text) as { choices: { message: { content: string } }[] };
        const by = choices[0]?.message.content ?? '';
        served.set(by, (served.get(by) ?? 0) + 1);
      } catch (error) {
        failures.push(String(error));
      }
    };
    const servesOn = async (when: string, engines: string[]): Promise<void> => {
      const before = new Map(served);
      for (const name of engines)
        await eventually(`${name} to serve ${when}`, () =>
          expect(served.get(name) ?? 0).toBeGreaterThan((before.get(name) ?? 0) + 5),
        );
    };
    const asking: Promise<void>[] = [];
    const traffic = setInterval(() => asking.push(ask()), 50);
    await eventually('both engines serve', () => expect([...served.keys()].sort()).toEqual(['first', 'second']));

    await own.plane.stopApiServer('SIGKILL');
    await servesOn('without the API server', ['first', 'second']);
    await sleep(outageMs / 2);
    await first.kill();
    await servesOn('without the API server and one of the engines', ['second']);
    await sleep(outageMs / 2);
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
    expect(ready.status).toBe(200);
    await ready.text();

    await own.plane.startApiServer();
    const back = performance.now();
    await slice('small-3', third.port);
    await eventually('the new engine serves', () => expect(served.get('third')).toBeGreaterThan(0), 30_000);
    console.log(`a new endpoint served ${Math.round(performance.now() - back)} ms after the API server's return`);
    clearInterval(traffic);
    await Promise.all(asking);
    expect(failures).toEqual([]);

    stop.abort();
    await router;
    await cluster.close();
  });

  async function slice(name: string, port: number): Promise<void> {
    const made = endpointSlice(name, 'small', port, 0);
    const endpoints = [{ addresses: [address], conditions: { ready: true } }];
    await apply(resources.endpointSlices, Object.assign(made, { endpoints }));
  }

  async function apply(
    resource: (typeof resources)[keyof typeof resources],
    { metadata, ...rest }: KubeObject,
  ): Promise<void> {
    const { name, namespace = '', labels = {} } = metadata;
    await own.direct.apply(resource, { ...rest, metadata: { name, namespace, labels } }, { fieldManager });
  }
});
