import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Pool } from 'undici';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { until } from '../../process/testing/waiting.ts';
import { chatChunk } from '../../runtime/router/testing/answers.ts';
import {
  event,
  type Received,
  type Script,
  startEngine,
  type TestEngine,
} from '../../runtime/router/testing/engine.ts';
import { aModel, aRoute, clientKey, startRouter, type TestRouter } from '../../runtime/router/testing/router.ts';
import { isLong, measured } from '../support/measured.ts';
import { chatPath, untilIdle } from './support/raw-client.ts';

const streams = isLong ? 1_000 : 100;
vi.setConfig({ testTimeout: isLong ? 1_800_000 : 60_000 });
/** Pieces of an answer. */
const pieces = 64;

/** What goes wrong with a stream, by its number; nothing does with most. */
const fates = [
  'fine',
  'client leaves',
  'backend breaks off',
  'client is slow',
  'backend is slow',
  'fine',
  'fine',
] as const;
type Fate = (typeof fates)[number];
const fateOf = (i: number): Fate => fates[i % fates.length] as Fate;
const piece = (id: string, k: number): string => `<${id}.${k}>`;
const whole = (id: string): string => Array.from({ length: pieces }, (_, k) => piece(id, k)).join('');

/** An engine that says the pieces of the stream that it is asked for, in the way that the request asks for too. */
const script: Script = async (got) => {
  const { response, body } = got;
  const { id, fate } = body['user'] as { id: string; fate: Fate };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(event(chatChunk({ role: 'assistant', content: '' })));
  for (let k = 0; k < pieces && !response.destroyed; k++) {
    if (!response.write(event(chatChunk({ content: piece(id, k) })))) await drained(got);
    if (fate === 'backend breaks off' && k === pieces / 2) {
      setTimeout(() => response.destroy(), 5);
      return;
    }
    if (fate === 'backend is slow' ? k % 8 === 0 : k % 32 === 0) await sleep(5);
  }
  response.end(event(chatChunk({}, 'stop')) + event('[DONE]'));
};

function drained({ response }: Received): Promise<void> {
  return new Promise((resolve) => {
    for (const sign of ['drain', 'close']) response.once(sign, () => resolve());
  });
}

/** What became of a stream: its text as far as it came, whether it was complete, and the code of the error that ended it. */
interface Ended {
  text: string;
  done: boolean;
  error: string | undefined;
}

async function streamOf(client: Pool, id: string, fate: Fate): Promise<Ended> {
  const abort = new AbortController();
  const ended: Ended = { text: '', done: false, error: undefined };
  try {
    const { body } = await client.request({
      method: 'POST',
      path: chatPath,
      headers: { authorization: `Bearer ${clientKey}` },
      body: JSON.stringify({ model: 'triage', stream: true, messages: [], user: { id, fate } }),
      signal: abort.signal,
    });
    let rest = '';
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const events = (rest + chunk.toString()).split('\n\n');
      rest = events.pop() ?? '';
      for (const one of events) take(one.slice('data: '.length), ended);
      if (fate === 'client leaves' && ended.text !== '') abort.abort();
      if (fate === 'client is slow') await sleep(10);
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  }
  return ended;
}

function take(data: string, ended: Ended): void {
  if (data === '[DONE]') {
    ended.done = true;
    return;
  }
  const { choices, error } = JSON.parse(data) as {
    choices?: { delta: { content?: string } }[];
    error?: { code: string };
  };
  if (error) ended.error = error.code;
  else ended.text += choices?.[0]?.delta.content ?? '';
}

/**
 * Whether a stream kept what was promised: everything, or a beginning and the word that it is no more than that; never
 * anything of another stream. Undefined: it did.
 */
function brokenPromise(id: string, fate: Fate, { text, done, error }: Ended, killed: boolean): string | undefined {
  const all = whole(id);
  if (!all.startsWith(text)) return `${fate}: "${text}" has a hole, or is of another stream than ${id}`;
  if (fate === 'client leaves') return undefined;
  const brokenOff = fate === 'backend breaks off' || (killed && !done);
  const kept = brokenOff
    ? !done && error === 'backend_failed' && text !== ''
    : done && error === undefined && text === all;
  return kept ? undefined : `${fate}: done ${done}, error ${error}, "${text}"`;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe(`${streams} streams at once`, () => {
  let engines: TestEngine[];
  let router: TestRouter;

  beforeAll(async () => {
    engines = await Promise.all([1, 2, 3].map(() => startEngine(script)));
    router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: engines.map(({ origin }) => origin) },
      config: { accessLog: { sample: 0 } },
    });
  });

  afterAll(async () => {
    await router[Symbol.asyncDispose]();
    for (const engine of engines) await engine.kill();
  });

  /** Gives the promises that were broken. */
  async function round(name: string, meanwhile?: () => Promise<() => ReadonlySet<string>>): Promise<string[]> {
    const client = new Pool(router.origin);
    let broken: string[];
    try {
      const ids = Array.from({ length: streams }, (_, i) => `${name}-${i}`);
      const running = Promise.all(
        ids.map(async (id, i) => {
          await sleep(i / 10); // more at once than the machine accepts would wait for TCP to try again
          return streamOf(client, id, fateOf(i));
        }),
      );
      const killed = meanwhile && (await meanwhile());
      const ended = await running;
      const victims = killed?.() ?? new Set<string>();
      broken = ended.flatMap((one, i) => {
        const id = ids[i] as string;
        return brokenPromise(id, fateOf(i), one, victims.has(id)) ?? [];
      });
      await untilIdle(router, ['small']);
    } finally {
      await client.destroy();
    }
    let connections = 1;
    await until('no client is connected any more', () => {
      router.server.getConnections((_, count) => (connections = count));
      return connections === 0;
    });
    return broken;
  }

  const left = (): number =>
    engines
      .flatMap(({ received }) => received)
      .filter(({ response }) => !response.writableFinished && !response.destroyed).length;

  it('with clients that leave or are slow, and backends that break off or are slow, lose nothing that was promised', async () => {
    expect(await round('first')).toEqual([]);
    await until('engines work for nobody who has left', () => left() === 0);
  });

  it('leave nothing behind: no request, no connection, no memory', async () => {
    const forget = (): void => {
      for (const engine of engines) engine.received.length = 0;
      collectGarbage();
    };
    const used: number[] = [];
    const rounds = 5;
    for (let i = 0; i <= rounds; i++) {
      expect(await round(`again-${i}`)).toEqual([]);
      forget();
      used.push(process.memoryUsage().heapUsed); // what is outside of it is held by what is in it, and freed some time later
    }
    const perStream = ((used.at(-1) as number) - (used[0] as number)) / (rounds * streams);
    const figures = { streams: rounds * streams, 'bytes kept of each': Math.round(perStream) };
    await measured('router-streams', 'Streams with clients and backends that break off', figures);
    // One that is kept has its request, answer, events and two sockets: tens of kilobytes.
    expect(perStream).toBeLessThan(8_192);
  });

  it('end in an error event, or at another endpoint, when an engine is killed', async () => {
    for (const engine of engines) engine.received.length = 0;
    const broken = await round('killed', async () => {
      // Those that broke streams off in other rounds may be left alone for a while.
      const busy = (): TestEngine | undefined => engines.find(({ received }) => received.length > streams / 12);
      await until('an engine has begun some', busy);
      const victim = busy() as TestEngine;
      await victim.kill();
      return () => new Set(victim.received.map(({ body }) => (body['user'] as { id: string }).id));
    });
    expect(broken).toEqual([]);
    expect(
      (
        await router.post(chatPath, {
          model: 'triage',
          messages: [],
          stream: true,
          user: { id: 'after', fate: 'fine' },
        })
      ).text,
    ).toContain('[DONE]');
  });
});
