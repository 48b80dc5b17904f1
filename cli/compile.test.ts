import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Route, routeSchema } from '../crds/route-table.ts';
import { temporaryFolder } from '../process/testing/temporary-folder.ts';
import { type CompileOptions, routeTable } from './compile.ts';

const policy = (metadata: string, over = '') => `---
apiVersion: cadre.dev/v1alpha1
kind: RoutingPolicy
metadata: ${metadata}
spec:
  access: {keys: [{name: web, secretRef: {name: web-key, key: token}}]}
  backends:
  - {name: small, modelRef: {name: small}}
  - {name: flagship, provider: {type: OpenAI, model: gpt, apiKey: {name: openai, key: token}}}
  split: [{backend: small, weight: 1}]
  fallback: [flagship]
${over}`;
const clientKey = 'sk-local-0123456789abcdef0123456789abcdef';
const base64 = Buffer.from(`${clientKey}\n`).toString('base64');
const webKey = (namespace = 'default') =>
  `---\n{apiVersion: v1, kind: Secret, metadata: {name: web-key, namespace: ${namespace}}, data: {token: ${base64}}}\n`;

const given: CompileOptions['given'] = {
  endpoints: new Map([['small', ['http://127.0.0.1:9001']]]),
  engines: new Map(),
  secrets: new Map([['openai', new Map([['token', 'sk-provider']])]]),
};

/** What `cadre compile` says of these files. */
async function compile(files: Record<string, string>, over: Partial<CompileOptions> = {}) {
  await using folder = await temporaryFolder('compile');
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
  const { text, warnings } = routeTable({ paths: [folder.path], given, form: 'yaml', showKeys: false, ...over });
  return { text, table: parse(text) as Route[], warnings };
}

describe('cadre compile', () => {
  it('prints the routes that the operator would write, without providers’ keys', async () => {
    const { table, text, warnings } = await compile({
      'p.yaml': policy('{name: triage, namespace: support}') + webKey('support'),
    });
    expect(warnings).toEqual([]);
    expect(table.map((route) => routeSchema.parse(route).policy.name)).toEqual(['triage']);
    expect(table[0]?.backends).toMatchObject([
      { kind: 'Model', namespace: 'support', model: 'small', engine: 'VLLM', task: 'Generation' },
      { kind: 'Provider', baseUrl: 'https://api.openai.com/v1', apiKey: '(redacted)' },
    ]);
    expect(text).not.toMatch(/sk-provider|sk-local/);
  });

  it('prints them as JSON, and keys when it is asked to', async () => {
    const files = { 'p.yaml': policy('{name: triage}') + webKey() };
    const { text } = await compile(files, { form: 'json', showKeys: true });
    expect((JSON.parse(text) as Route[])[0]?.backends[1]).toMatchObject({ apiKey: 'sk-provider' });
  });

  it('reads what kubectl prints: lists, with status and what the API server adds', async () => {
    const item = {
      apiVersion: 'cadre.dev/v1alpha1',
      kind: 'RoutingPolicy',
      metadata: { name: 'open', namespace: 'a', uid: 'u', generation: 7, managedFields: [{}] },
      spec: {
        access: { mode: 'Open' },
        backends: [{ name: 'small', modelRef: { name: 'small' } }],
        split: [{ backend: 'small', weight: 1 }],
        timeouts: { firstByte: '10s', idle: '20s', total: '60s' },
      },
      status: { conditions: [] },
    };
    const others = [{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x' } }];
    const list = { apiVersion: 'v1', kind: 'List', items: [item, ...others] };
    const { table } = await compile({ 'all.json': JSON.stringify(list), 'notes.txt': 'not: [read' });
    expect(table[0]).toMatchObject({ policy: { generation: 7 }, access: { mode: 'Open', shortName: true } });
  });

  it('has what is given for one namespace before what is given for any', async () => {
    const files = { 'p.yaml': policy('{name: a, namespace: a}') + policy('{name: b, namespace: b}') };
    const engines = new Map([
      ['small', 'VLLM'],
      ['b/small', 'LlamaCpp'],
    ] as const);
    const { table } = await compile(files, { given: { ...given, engines } });
    expect(table.map(({ backends: [first] }) => first?.kind === 'Model' && first.engine)).toEqual(['VLLM', 'LlamaCpp']);
  });

  it('warns of what is missing and of names that two policies claim', async () => {
    const { warnings } = await compile({
      'p.yaml': policy('{name: one}', '  model: m\n') + policy('{name: two}', '  model: m\n') + webKey(),
    });
    expect(warnings).toEqual([expect.stringContaining('two: spec.access.keys[web]: for this key the model name m')]);
    const { warnings: missing } = await compile(
      { 'p.yaml': policy('{name: one}') },
      { given: { ...given, endpoints: new Map() } },
    );
    expect(missing.map((text) => /(Secret|SpecializedModel) \S+ does not exist/.exec(text)?.[0])).toEqual([
      'Secret web-key does not exist',
      'SpecializedModel small does not exist',
    ]);
  });

  it.each([
    [
      'a field that there is not',
      policy('{name: p}', '  fallbacks: []\n'),
      'p.yaml: RoutingPolicy default/p: spec.fallbacks: there is no such field',
    ],
    ['a field of another type', policy('{name: p}').replace('weight: 1', 'weight: one'), 'spec.split[0].weight: '],
    [
      'a rule that is broken',
      policy('{name: p}').replace('[flagship]', '[none]'),
      'each name in fallback must be the name of one in backends',
    ],
    [
      'another version',
      policy('{name: p}').replace('v1alpha1', 'v1'),
      'apiVersion: cadre.dev/v1 is unknown; use cadre.dev/v1alpha1',
    ],
    [
      'another kind',
      policy('{name: p}').replace('RoutingPolicy', 'Routingpolicy'),
      'kind: it must be RoutingPolicy or SpecializedModel',
    ],
    ['what is none of Kubernetes', 'replicas: 3\n', 'p.yaml: not an object of Kubernetes: apiVersion'],
    ['what is no YAML', `${policy('{name: p}')}---\na: [b\n`, 'p.yaml, document 2: '],
    [
      'one object twice',
      policy('{name: p}') + policy('{name: p}'),
      'p.yaml, document 2: RoutingPolicy default/p: it is in ',
    ],
    [
      'a host inside',
      policy('{name: p}').replace('type: OpenAI,', 'type: OpenAICompatible, url: "https://10.0.0.1",'),
      'address 10.0.0.1 is private',
    ],
    ['nothing to route', webKey(), 'no RoutingPolicy of apiVersion cadre.dev/v1alpha1 is in '],
  ])('refuses %s and says where', async (_, text, problem) => {
    await expect(compile({ 'p.yaml': text })).rejects.toThrow(problem);
  });

  it('never repeats a Secret when it is written wrongly', async () => {
    for (const text of [
      `{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {token: ${clientKey}}}`,
      `apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {token: ${clientKey}\n`,
    ]) {
      const refused: unknown = await compile({ 'p.yaml': text }).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(Error);
      expect((refused as Error).message).toContain('p.yaml');
      expect((refused as Error).message).not.toContain(clientKey.slice(0, 12));
    }
  });

  it('tells of paths that are not there and of folders without manifests', async () => {
    await using folder = await temporaryFolder('compile');
    await mkdir(join(folder.path, 'empty'));
    const paths = [join(folder.path, 'none.yaml'), join(folder.path, 'empty')];
    expect(() => routeTable({ paths, given, form: 'yaml', showKeys: false })).toThrow(
      /none\.yaml: no such file or folder\n.*empty: no \.yaml, \.yml or \.json file is in this folder/,
    );
  });
});
