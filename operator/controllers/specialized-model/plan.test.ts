import { describe, expect, it } from 'vitest';
import { parseSpecializedModel } from '../../../crds/parse.ts';
import { ObjectStore } from '../../../kube/store.ts';
import type { SecretView, TemplateView } from '../../context.ts';
import type { SeenModel } from './observe.ts';
import { planModel } from './plan.ts';
import { testConfig } from './testing/config.ts';
import { aModel, type ModelBuilder } from './testing/model-builder.ts';

function plan(builder: ModelBuilder, over: Partial<SeenModel> = {}) {
  const parsed = parseSpecializedModel(builder.build());
  const model = parsed.ok ? parsed.value : builder.build();
  const problems = parsed.ok ? [] : parsed.problems;
  const seen = {
    key: 'support/ticket-triage',
    model,
    problems,
    paused: false,
    children: {},
    pods: [],
    nodes: new ObjectStore(),
  };
  return planModel({ ...seen, ...over }, testConfig);
}

const secret = (annotations = {}, data: Record<string, string> = { token: 'c2VjcmV0' }): SecretView => ({
  state: 'Present',
  secret: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'weights', namespace: 'support', annotations }, data },
});

const fromWeb = aModel().withWeights('https://weights.example.com:8443/a.gguf', {
  sha256: 'a'.repeat(64),
  credentials: { name: 'weights', key: 'token' },
});
const fromWebPlain = aModel().withWeights('https://weights.example.com/a.gguf', {
  sha256: 'a'.repeat(64),
  credentials: { name: 'weights', key: 'token' },
});
const fromHub = aModel().withWeights('hf://acme/a/a.gguf', {
  revision: 'a'.repeat(40),
  credentials: { name: 'weights', key: 'token' },
});

describe('a valid model', () => {
  it('gets objects of its own, also when its spec is the same as that of another', () => {
    const one = aModel().build();
    const parsed = parseSpecializedModel(one);
    if (!parsed.ok) throw new Error(parsed.problems.join());
    const named = (name: string) => ({ ...parsed.value, metadata: { ...one.metadata, name, uid: `uid-of-${name}` } });
    const names = ['first', 'second'].map((name) => {
      const got = plan(aModel(), { model: named(name) });
      return got.state === 'Accepted' ? got.objects.deployments.metadata.name : got.state;
    });
    expect(names).toEqual(['first', 'second']);
  });

  it('gets five objects, each named as it is and owned by it', () => {
    const got = plan(aModel());
    if (got.state !== 'Accepted') throw new Error(JSON.stringify(got));
    const objects = Object.values(got.objects);
    expect(objects.map(({ kind }) => kind)).toEqual([
      'ServiceAccount',
      'NetworkPolicy',
      'Service',
      'PodDisruptionBudget',
      'Deployment',
    ]);
    for (const { metadata } of objects) {
      expect(metadata).toMatchObject({ name: 'ticket-triage', namespace: 'support' });
      expect(metadata.ownerReferences).toEqual([
        expect.objectContaining({ uid: 'uid-of-ticket-triage', controller: true }),
      ]);
    }
  });

  it('passes none of its own labels and annotations on', () => {
    const got = plan(aModel().withMetadata({ labels: { tracked: 'by-argo' }, annotations: { tracked: 'by-argo' } }));
    expect(JSON.stringify(got)).not.toContain('by-argo');
  });
});

describe('a model that is refused', () => {
  it.each([
    ['InvalidSpec', aModel().withReplicas(-1), 'spec.replicas'],
    ['InvalidSpec', aModel().withWeights('pvc://models/../etc/passwd'), 'spec.model.uri'],
    ['InvalidArgs', aModel().withEngine('LlamaCpp', { args: ['--port', '1'] }), 'spec.engine.args[0]'],
    [
      'InvalidArgs',
      aModel().withEngine('LlamaCpp', { env: [{ name: 'LLAMA_API_KEY', value: '1' }] }),
      'spec.engine.env[LLAMA_API_KEY]',
    ],
    ['UnknownGpuProfile', aModel().withGpu('nvidia-h100'), 'one of nvidia-l4'],
    ['UnknownGpuProfile', aModel().withGpu('constructor'), 'constructor'],
  ])('%s', (reason, builder, message) => {
    expect(plan(builder)).toEqual({ state: 'Refused', problem: { reason, message: expect.stringContaining(message) } });
  });
});

describe('the Secret of a model’s credentials', () => {
  it.each<[string, ModelBuilder, SecretView, string]>([
    ['is awaited until it has been read', fromHub, { state: 'Unknown' }, 'Waiting'],
    ['may be unreadable', fromHub, { state: 'Unknown', problem: 'forbidden' }, 'SecretUnreadable'],
    ['may be missing', fromHub, { state: 'Missing' }, 'SecretNotFound'],
    ['may lack the key', fromHub, secret({}, {}), 'SecretNotFound'],
    ['needs nothing more for the hub', fromHub, secret(), 'Accepted'],
    ['was not meant for another host', fromWeb, secret(), 'SecretNotShared'],
    [
      'was not meant for this host',
      fromWeb,
      secret({ 'cadre.dev/hosts': 'evil-weights.example.com' }),
      'SecretNotShared',
    ],
    [
      'was not meant for this port',
      fromWeb,
      secret({ 'cadre.dev/hosts': 'weights.example.com:443' }),
      'SecretNotShared',
    ],
    [
      'was meant for this host',
      fromWeb,
      secret({ 'cadre.dev/hosts': 'a.example.com, weights.example.com' }),
      'Accepted',
    ],
    ['was meant for this port', fromWeb, secret({ 'cadre.dev/hosts': 'weights.example.com:8443' }), 'Accepted'],
    [
      'was meant for the port of https',
      fromWebPlain,
      secret({ 'cadre.dev/hosts': 'weights.example.com:443' }),
      'Accepted',
    ],
  ])('%s', (_, builder, credentials, outcome) => {
    const got = plan(builder, { credentials });
    expect(got.state === 'Refused' ? got.problem.reason : got.state).toBe(outcome);
  });
});

const adapter = (uri: string, more = {}) => ({ uri, credentials: { name: 'adapter', key: 'token' }, ...more });
const adapterOfWeb = aModel().withWeights('pvc://models/a.gguf', {
  adapter: adapter('https://weights.example.com/b.gguf', { sha256: 'a'.repeat(64) }),
});
const adapterOfHub = aModel().withWeights('pvc://models/a.gguf', {
  adapter: adapter('hf://acme/b/b.gguf', { revision: 'a'.repeat(40) }),
});

describe('the Secret of an adapter’s credentials', () => {
  it.each<[string, ModelBuilder, SecretView, string]>([
    ['is awaited until it has been read', adapterOfHub, { state: 'Unknown' }, 'Waiting'],
    ['may be missing', adapterOfHub, { state: 'Missing' }, 'SecretNotFound'],
    ['was not meant for another host', adapterOfWeb, secret(), 'SecretNotShared'],
    ['was meant for this host', adapterOfWeb, secret({ 'cadre.dev/hosts': 'weights.example.com' }), 'Accepted'],
    ['needs nothing more for the hub', adapterOfHub, secret(), 'Accepted'],
  ])('%s', (_, builder, adapterCredentials, outcome) => {
    const got = plan(builder, { adapterCredentials });
    expect(got.state === 'Refused' ? got.problem.reason : got.state).toBe(outcome);
    const field = /^spec\.model\.adapter\.credentials: /;
    expect(got.state === 'Refused' ? got.problem.message : 'spec.model.adapter.credentials: ').toMatch(field);
  });

  it('is told before one that has not been read yet', () => {
    const both = aModel().withWeights('hf://acme/a/a.gguf', {
      revision: 'a'.repeat(40),
      credentials: { name: 'weights', key: 'token' },
      adapter: adapter('hf://acme/b/b.gguf', { revision: 'a'.repeat(40) }),
    });
    const seen = { credentials: { state: 'Unknown' }, adapterCredentials: { state: 'Missing' } } as const;
    expect(plan(both, seen)).toMatchObject({ state: 'Refused', problem: { reason: 'SecretNotFound' } });
  });
});

describe('the ConfigMap of a prompt template', () => {
  const templated = aModel().withWeights('pvc://models/a.gguf', {
    promptTemplate: { configMap: { name: 'prompts', key: 'triage' } },
  });

  it.each<[string, TemplateView, string, RegExp]>([
    ['is awaited until it has been read', { state: 'Unknown' }, 'Waiting', /^$/],
    [
      'may be unreadable',
      { state: 'Unknown', problem: 'forbidden' },
      'PromptTemplateUnreadable',
      /prompts .*forbidden/,
    ],
    ['may be missing', { state: 'Missing', what: 'ConfigMap' }, 'PromptTemplateNotFound', /ConfigMap prompts does not/],
    ['may lack the key', { state: 'Missing', what: 'Key' }, 'PromptTemplateNotFound', /prompts has no key triage/],
    ['may have what is none', { state: 'Invalid', problem: 'is empty' }, 'InvalidPromptTemplate', /triage .*is empty/],
    ['may be there', { state: 'Present', template: { text: 'a', digest: 'sha256:a' } }, 'Accepted', /^$/],
  ])('%s', (_, promptTemplate, outcome, message) => {
    const got = plan(templated, { promptTemplate });
    expect(got.state === 'Refused' ? got.problem.reason : got.state).toBe(outcome);
    expect(got.state === 'Refused' ? got.problem.message : '').toMatch(message);
  });
});

describe('children of an earlier model of the same name', () => {
  it('are leftovers', () => {
    const model = aModel().withMetadata({ uid: 'the-earlier-one' }).build();
    const got = plan(aModel(), { children: { services: planned(model) } });
    expect(got).toMatchObject({ state: 'Accepted', leftovers: ['services'] });
  });

  function planned(model: ReturnType<ModelBuilder['build']>) {
    const got = plan(aModel(), { model });
    if (got.state !== 'Accepted') throw new Error(JSON.stringify(got));
    return got.objects.services;
  }
});
