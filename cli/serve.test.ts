import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../process/logger.ts';
import { temporaryFolder } from '../process/testing/temporary-folder.ts';
import { eventually, until } from '../process/testing/waiting.ts';
import { llamaStream, vllmChat } from '../runtime/router/testing/answers.ts';
import { json, startEngine, stream } from '../runtime/router/testing/engine.ts';
import { answering, startProvider } from '../runtime/router/testing/provider.ts';
import { runServe, type ServeOptions } from './serve.ts';

const clientKey = 'sk-local-0123456789abcdef0123456789abcdef';

const secret = (name: string, value: string, metadata = '') =>
  `---\napiVersion: v1\nkind: Secret\nmetadata: {name: ${name}${metadata}}\nstringData: {token: ${value}}\n`;

const policy = (over: { name?: string; model?: string; backend?: string } = {}) => `---
apiVersion: cadre.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: ${over.name ?? 'triage'}}
spec:
  model: ${over.model ?? over.name ?? 'triage'}
  access: {keys: [{name: web, secretRef: {name: web-key, key: token}}]}
  backends: [{name: only, ${over.backend ?? 'modelRef: {name: small}'}}]
  split: [{backend: only, weight: 1}]
`;

const webKey = secret('web-key', clientKey);

/** A router of a test in this process, and its folder. */
async function serving(files: Record<string, string>, over: Partial<ServeOptions> = {}) {
  const made = await temporaryFolder('serve');
  for (const [name, text] of Object.entries(files)) await writeFile(join(made.path, name), text);
  const lines: string[] = [];
  const output = new PassThrough().on('data', (chunk: Buffer) => lines.push(chunk.toString()));
  const stop = new AbortController();
  const listening = Promise.withResolvers<number>();
  const done = runServe({
    paths: Object.keys(files).map((name) => join(made.path, name)),
    listen: { host: '127.0.0.1', port: 0 },
    configFile: undefined,
    log: createLogger('router', 'info', output),
    signal: stop.signal,
    onListening: listening.resolve,
    ...over,
    given: { endpoints: new Map(), engines: new Map(), secrets: new Map(), ...over.given },
  });
  done.catch(listening.reject);
  const origin = await listening.promise.then(
    (port) => `http://127.0.0.1:${port}`,
    async (error: unknown) => {
      await made.remove();
      throw error;
    },
  );
  return {
    origin,
    folder: made.path,
    logged: () => lines.join(''),
    /** As editors do: a new file is put in the place of the old one. */
    async replace(name: string, text: string) {
      await writeFile(join(made.path, `${name}.new~`), text);
      await rename(join(made.path, `${name}.new~`), join(made.path, name));
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
      await made.remove();
    },
  };
}

async function chat(origin: string, model = 'triage', content = 'hello') {
  const answer = await fetch(`${origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${clientKey}` },
    body: JSON.stringify({ model, messages: [{ role: 'user', content }] }),
  });
  return { status: answer.status, text: await answer.text() };
}

async function models(origin: string): Promise<string[]> {
  const answer = await fetch(`${origin}/v1/models`, { headers: { authorization: `Bearer ${clientKey}` } });
  return ((await answer.json()) as { data: { id: string }[] }).data.map(({ id }) => id);
}

const endpoints = (...origins: string[]): ServeOptions['given'] => ({
  endpoints: new Map([['small', origins]]),
  engines: new Map(),
  secrets: new Map(),
});

describe('cadre serve', () => {
  it('serves manifests with given endpoints and ends in order', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    await using folder = await temporaryFolder('serve');
    const file = join(folder.path, 'policy.yaml');
    await writeFile(file, policy());
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    const flags = [
      '--endpoint',
      `small=${engine.origin}`,
      '--listen',
      '127.0.0.1:0',
      '--secret-env',
      'web-key/token=KEY',
    ];
    const child = spawn(process.execPath, [main, 'serve', '-f', file, ...flags], {
      env: { ...process.env, KEY: clientKey },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      let log = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text));
      const port = await eventually('the router to serve', () => {
        const found = /"port":(\d+)/.exec(log)?.[1];
        if (found === undefined) throw new Error(log);
        return found;
      });
      const answer = await chat(`http://127.0.0.1:${port}`);
      expect([answer.status, engine.last.body['model']]).toEqual([200, 'small']);
      expect(log).not.toContain(clientKey);
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('asks every endpoint of a name, and the others when one is gone', async () => {
    await using one = await startEngine(json(vllmChat('one')));
    await using two = await startEngine(json(vllmChat('two')));
    await using router = await serving({ 'p.yaml': policy() + webKey }, { given: endpoints(one.origin, two.origin) });
    let asked = 0;
    // Prompts that begin alike go to one endpoint.
    await eventually('both to be asked', async () => {
      await chat(router.origin, 'triage', `hello ${asked++}`);
      expect([one.received.length > 0, two.received.length > 0]).toEqual([true, true]);
    });
    await one.kill();
    for (let at = 0; at < 10; at++) expect((await chat(router.origin, 'triage', `hello ${at}`)).text).toContain('two');
  });

  it('calls an engine as its manifest says, or as it is given', async () => {
    await using engine = await startEngine(stream(llamaStream(['hi'])));
    const spec =
      'spec: {task: Generation, engine: {type: LlamaCpp}, model: {uri: pvc://models/small.gguf}, replicas: 1}';
    const model = `---\napiVersion: cadre.dev/v1alpha1\nkind: SpecializedModel\nmetadata: {name: small}\n${spec}\n`;
    const given = endpoints(engine.origin);
    const flagged = { ...given, engines: new Map([['default/small', 'LlamaCpp']] as const) };
    for (const [text, way] of [
      [policy() + webKey + model, given],
      [policy() + webKey, flagged],
    ] as const) {
      await using router = await serving({ 'p.yaml': text }, { given: way });
      expect((await chat(router.origin)).status).toBe(200);
      expect(engine.last.body['stream']).toBe(true);
    }
  });

  it('serves a file that is put in the place of the old one, and goes on with the last good one', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    await using router = await serving({ 'p.yaml': policy() + webKey }, { given: endpoints(engine.origin) });
    await router.replace('p.yaml', policy({ model: 'second' }) + webKey);
    await eventually('the new name', async () => expect(await models(router.origin)).toEqual(['second']));

    await router.replace('p.yaml', policy({ model: 'third' }).replace('weight: 1', 'weight: -1') + webKey);
    await until('the problem is logged', () => router.logged().includes('spec.split[0].weight'));
    expect(router.logged()).toContain('p.yaml, document 1: RoutingPolicy default/triage: spec.split[0].weight');
    expect(await models(router.origin)).toEqual(['second']);
    expect((await chat(router.origin, 'second')).status).toBe(200);

    await router.replace('p.yaml', policy({ model: 'fourth' }) + webKey);
    await eventually('the next good one', async () => expect(await models(router.origin)).toEqual(['fourth']));
    expect(router.logged()).not.toContain(clientKey);
  });

  it('serves what comes into a folder and no longer what leaves it', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    await using folder = await temporaryFolder('serve');
    const manifests = join(folder.path, 'manifests');
    await mkdir(manifests);
    await writeFile(join(manifests, 'key.yaml'), webKey);
    await writeFile(join(manifests, 'one.yaml'), policy({ name: 'one' }));
    await writeFile(join(manifests, '.two.yaml.swp'), 'not: [yaml');
    await using router = await serving({}, { paths: [manifests], given: endpoints(engine.origin) });
    expect(await models(router.origin)).toEqual(['one']);
    await writeFile(join(manifests, 'two.yaml'), policy({ name: 'two' }));
    await eventually('the second', async () => expect(await models(router.origin)).toEqual(['one', 'two']));
    await rm(join(manifests, 'one.yaml'));
    await eventually('the first to go', async () => expect(await models(router.origin)).toEqual(['two']));
    await rm(join(manifests, 'two.yaml'));
    await until('the loss of the last is logged', () => router.logged().includes('no RoutingPolicy'));
    expect(await models(router.origin)).toEqual(['two']);
  });

  it('calls a provider on this machine, with a key that is given for it', async () => {
    await using provider = await startProvider(json(vllmChat('hi')));
    await using folder = await temporaryFolder('serve');
    const [ca, config] = [join(folder.path, 'ca.pem'), join(folder.path, 'router.yaml')];
    await writeFile(ca, provider.ca);
    await writeFile(config, `providers: {caFile: ${ca}}\n`);
    const backend = `provider: {type: OpenAICompatible, url: "${provider.baseUrl}", model: gpt, apiKey: {name: paid, key: token}}`;
    const secrets = new Map([['paid', new Map([['token', 'provider-key']])]]);
    await using router = await serving(
      { 'p.yaml': policy({ backend }) + webKey },
      {
        given: { endpoints: new Map(), engines: new Map(), secrets },
        configFile: config,
        resolve: answering(['127.0.0.1']),
      },
    );
    expect((await chat(router.origin)).status).toBe(200);
    expect(provider.received[0]?.headers.authorization).toBe('Bearer provider-key');
  });

  it('says what is missing, and what is given for nobody', async () => {
    const given = { endpoints: new Map([['smal', ['http://127.0.0.1:1']]]), engines: new Map(), secrets: new Map() };
    await using router = await serving({ 'p.yaml': policy() }, { given });
    expect(router.logged()).toContain('Secret web-key does not exist in namespace default');
    expect(router.logged()).toContain('SpecializedModel small does not exist in namespace default');
    expect(router.logged()).toContain('no policy names a SpecializedModel smal');
    expect((await chat(router.origin)).status).toBe(401);
  });

  it('does not begin with manifests that are wrong, or at a port that is taken', async () => {
    const broken = policy().replace('backend: only', 'backend: other');
    await expect(serving({ 'p.yaml': broken })).rejects.toThrow(
      'each backend in split must be the name of one in backends',
    );
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const listen = { host: '127.0.0.1', port };
      await expect(serving({ 'p.yaml': policy() + webKey }, { listen })).rejects.toThrow(
        `cannot listen on 127.0.0.1:${port}: another process listens there; set --listen`,
      );
    } finally {
      server.close();
    }
  });
});
