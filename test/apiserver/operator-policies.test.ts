import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Route } from '../../crds/route-table.ts';
import type { RoutingPolicy } from '../../crds/v1alpha1/kinds.ts';
import type { RoutingPolicySpec } from '../../crds/v1alpha1/routing-policy.ts';
import { resources } from '../../kube/resources.ts';
import type { KubeObject } from '../../kube/types.ts';
import { customResources } from '../../operator/custom-resources.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { useOperators } from '../support/operator.ts';

interface Secret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

const world = useOperators('support');
const { namespace, systemNamespace } = world;
const url = 'https://llm.example.com/v1';
const user = { fieldManager: 'user' };
const strong = (letter: string): string => letter.repeat(40);
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

beforeAll(async () => {
  await (await world.start()).leads();
});

async function putSecret(name: string, token: string, annotations: Record<string, string> = {}): Promise<void> {
  const data = { token: Buffer.from(token).toString('base64') };
  const secret: Secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace, annotations }, data };
  await world.kube.apply(resources.secrets, secret, user);
}

const flagship = (apiKey: string): RoutingPolicySpec['backends'] => [
  { name: 'flagship', provider: { type: 'OpenAI', model: 'big', apiKey: { name: apiKey, key: 'token' } } },
];

/** A policy for bearers of the Secret `keySecret`, answered by a provider. */
async function putPolicy(name: string, keySecret: string, over: Partial<RoutingPolicySpec> = {}): Promise<void> {
  const { apiVersion, kind } = customResources.policies;
  const spec = {
    access: { keys: [{ name: 'web', secretRef: { name: keySecret, key: 'token' } }] },
    backends: [{ name: 'flagship', provider: { type: 'OpenAICompatible', url, model: 'big' } }],
    split: [{ backend: 'flagship', weight: 1 }],
    ...over,
  };
  const policy = { apiVersion, kind, metadata: { name, namespace }, spec } as KubeObject;
  await world.kube.apply(customResources.policies, policy, user);
}

/** `Ready=False/SecretNotFound`, …, once the status is about the present spec. */
async function conditionsOf(name: string): Promise<string[]> {
  const policy = await world.kube.get<RoutingPolicy & KubeObject>(customResources.policies, name, namespace);
  expect(policy.status?.observedGeneration).toBe(policy.metadata.generation);
  return (policy.status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status}/${reason}`);
}

const routeSecrets = async (): Promise<Secret[]> =>
  (await world.kube.list<Secret>(resources.secrets, { namespace: systemNamespace }, { limit: 0 })).items.filter(
    ({ type }) => type === 'cadre.dev/route',
  );

async function routeOf(policy: string): Promise<Route | undefined> {
  const secret = (await routeSecrets()).find(
    ({ metadata }) => metadata.annotations?.['cadre.dev/policy'] === `${namespace}/${policy}`,
  );
  const text = secret?.data?.['route.json'];
  return text === undefined ? undefined : (JSON.parse(Buffer.from(text, 'base64').toString()) as Route);
}

const ready = (name: string): Promise<void> =>
  eventually(`${name} to be ready`, async () => expect(await conditionsOf(name)).toContain('Ready=True/Ready'));

describe('a policy', () => {
  it('becomes a route in the namespace of the router, owned by the chart', async () => {
    await putSecret('plain-key', strong('a'));
    await putPolicy('plain', 'plain-key');
    await ready('plain');
    expect(await routeOf('plain')).toMatchObject({
      model: 'plain',
      access: { mode: 'Keys', keys: [{ name: 'web', sha256: sha256(strong('a')) }] },
      backends: [{ kind: 'Provider', baseUrl: url }],
    });
    const [secret] = await routeSecrets();
    expect(secret?.metadata.ownerReferences).toMatchObject([{ kind: 'ConfigMap', name: 'routes' }]);
    expect(JSON.stringify(await routeSecrets())).not.toContain(strong('a'));
  });

  it('has its Secret noticed within ten seconds of its creation', async () => {
    await putPolicy('early', 'late-key');
    await eventually('the Secret to be missed', async () => {
      expect(await conditionsOf('early')).toEqual([
        'Accepted=True/Accepted',
        'Ready=False/SecretNotFound',
        'Reconciling=True/SecretNotFound',
      ]);
    });
    expect((await routeOf('early'))?.access).toEqual({ mode: 'Keys', keys: [] });
    await putSecret('late-key', strong('b'));
    await eventually(
      'the Secret to be noticed',
      async () => expect(await conditionsOf('early')).toContain('Ready=True/Ready'),
      10_000,
    );
    expect((await routeOf('early'))?.access).toMatchObject({ keys: [{ sha256: sha256(strong('b')) }] });
  });

  it('takes a key away that it no longer names, also together with a mistake', async () => {
    await putSecret('kept-key', strong('c'));
    await putSecret('dropped-key', strong('d'));
    const keys = [
      { name: 'kept', secretRef: { name: 'kept-key', key: 'token' } },
      { name: 'dropped', secretRef: { name: 'dropped-key', key: 'token' } },
    ];
    await putPolicy('mistaken', 'any', { access: { keys } });
    await ready('mistaken');
    const inside = { type: 'OpenAICompatible', url: 'https://engine.support.svc/v1', model: 'm' } as const;
    await putPolicy('mistaken', 'any', {
      access: { keys: keys.slice(0, 1) },
      backends: [{ name: 'flagship', provider: inside }],
    });
    await eventually('the mistake to be told', async () => {
      expect(await conditionsOf('mistaken')).toContain('Accepted=False/HostNotAllowed');
    });
    const route = await routeOf('mistaken');
    expect(route?.access).toMatchObject({ keys: [{ name: 'kept' }] });
    expect(route?.backends).toMatchObject([{ kind: 'Provider', baseUrl: url }]);
  });

  it('keeps its name when a younger one wants it for the same key', async () => {
    await putSecret('shared-key', strong('e'));
    await putPolicy('older', 'shared-key', { model: 'triage' });
    await ready('older');
    // Ages count in seconds.
    const { metadata } = await world.kube.get<KubeObject>(customResources.policies, 'older', namespace);
    await eventually('the next second', () =>
      expect(Date.now()).toBeGreaterThan(Date.parse(metadata.creationTimestamp ?? '') + 1000),
    );
    await putPolicy('younger', 'shared-key', { model: 'triage' });
    await eventually('the conflict', async () => {
      expect(await conditionsOf('younger')).toContain('Ready=False/NameConflict');
    });
    expect((await routeOf('younger'))?.access).toMatchObject({ keys: [{ shortName: false }] });
    expect(await conditionsOf('older')).toContain('Ready=True/Ready');
    await world.kube.delete(customResources.policies, 'older', namespace);
    await ready('younger');
    expect((await routeOf('younger'))?.access).toEqual({
      mode: 'Keys',
      keys: [{ name: 'web', sha256: sha256(strong('e')) }],
    });
  });

  it('is ready when its model is made and ready', async () => {
    await putSecret('model-key', strong('f'));
    await putPolicy('modelled', 'model-key', {
      backends: [{ name: 'flagship', modelRef: { name: 'classifier' } }],
    });
    await eventually('the model to be missed', async () => {
      expect(await conditionsOf('modelled')).toContain('Ready=False/BackendNotFound');
    });
    const spec = {
      task: 'Classification',
      model: { uri: 'pvc://models/m.gguf' },
      engine: { type: 'LlamaCpp' },
      replicas: 1,
    };
    const { apiVersion, kind } = customResources.models;
    const model = { apiVersion, kind, metadata: { name: 'classifier', namespace }, spec } as KubeObject;
    await world.kube.apply(customResources.models, model, user);
    await eventually('the model to be found', async () => {
      expect(await conditionsOf('modelled')).toContain('Ready=False/BackendNotReady');
      expect((await routeOf('modelled'))?.backends).toMatchObject([{ kind: 'Model', model: 'classifier' }]);
    });
  });

  it('is left alone while it is paused', async () => {
    await putSecret('pause-key', strong('g'));
    await putPolicy('paused', 'pause-key');
    await ready('paused');
    const { apiVersion, kind } = customResources.policies;
    const annotations = { 'cadre.dev/paused': 'true' };
    const note = { apiVersion, kind, metadata: { name: 'paused', namespace, annotations } } as KubeObject;
    await world.kube.apply(customResources.policies, note, { fieldManager: 'pauser' });
    await eventually('the pause', async () => {
      const policy = await world.kube.get<RoutingPolicy & KubeObject>(customResources.policies, 'paused', namespace);
      expect(policy.status?.conditions?.some(({ type }) => type === 'Paused')).toBe(true);
    });
    const before = await routeOf('paused');
    await putPolicy('paused', 'pause-key', { model: 'renamed' });
    await putPolicy('witness', 'pause-key');
    await ready('witness');
    expect(await routeOf('paused')).toEqual(before);
  });
});

describe('the route of a policy that is gone', () => {
  it('goes with it', async () => {
    await putSecret('short-key', strong('h'));
    await putPolicy('short', 'short-key');
    await ready('short');
    await world.kube.delete(customResources.policies, 'short', namespace);
    await eventually('the route to go', async () => expect(await routeOf('short')).toBeUndefined());
  });

  it('goes at the next start when nobody was there to see the policy go', async () => {
    await putSecret('orphan-key', strong('i'));
    await putPolicy('orphan', 'orphan-key');
    await ready('orphan');
    await world.endAll('SIGTERM');
    await world.kube.delete(customResources.policies, 'orphan', namespace);
    const others = (await routeSecrets()).length - 1;
    expect(await routeOf('orphan')).toBeDefined();
    await (await world.start()).leads();
    await eventually('the route to go', async () => expect(await routeOf('orphan')).toBeUndefined());
    expect(await routeSecrets()).toHaveLength(others);
  });

  it('goes when another policy of its name is wrong', async () => {
    await putSecret('reborn-key', strong('j'));
    await putPolicy('reborn', 'reborn-key');
    await ready('reborn');
    await world.endAll('SIGTERM');
    await world.kube.delete(customResources.policies, 'reborn', namespace);
    const inside = { type: 'OpenAICompatible', url: 'https://engine.support.svc/v1', model: 'm' } as const;
    await putPolicy('reborn', 'reborn-key', { backends: [{ name: 'flagship', provider: inside }] });
    await (await world.start()).leads();
    await eventually('the refusal', async () => {
      expect(await conditionsOf('reborn')).toContain('Accepted=False/HostNotAllowed');
      expect(await routeOf('reborn')).toBeUndefined();
    });
  });
});

describe('a provider key', () => {
  it('leaves the route when its Secret went, also while nobody looked', async () => {
    await putSecret('client-key', strong('k'));
    await putSecret('provider-key', 'sk-provider');
    await putPolicy('provided', 'client-key', { backends: flagship('provider-key') });
    await ready('provided');
    expect((await routeOf('provided'))?.backends).toMatchObject([{ apiKey: 'sk-provider' }]);
    await world.endAll('SIGTERM');
    await world.kube.delete(resources.secrets, 'provider-key', namespace);
    await (await world.start()).leads();
    await eventually('the key to go', async () => {
      expect((await routeOf('provided'))?.backends).toEqual([
        { name: 'flagship', kind: 'Unavailable', reason: 'SecretNotFound' },
      ]);
    });
    await eventually('that to be told', async () => {
      expect(await conditionsOf('provided')).toContain('Ready=False/SecretNotFound');
    });
  });
});
