import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Condition } from '../../crds/schema.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { changed } from '../support/api-cases/change.ts';
import { routingPolicyCases } from '../support/api-cases/routing-policy.ts';
import { specializedModelCases } from '../support/api-cases/specialized-model.ts';
import { type ApiBody, useCrdServer } from '../support/crd-server.ts';

const root = resolve(import.meta.dirname, '../..');
const models = '/specializedmodels';
const policies = '/routingpolicies';
const operator = 'fieldManager=cadre-operator&force=true&fieldValidation=Strict';

const server = useCrdServer('objects');

const aModel = (name: string): object =>
  changed(specializedModelCases.base, { 'metadata.name': name, 'spec.gpu.profile': 'nvidia-l4', 'spec.replicas': 3 });
const aPolicy = (name: string): object => changed(routingPolicyCases.base, { 'metadata.name': name });
const condition = (type: string, status: Condition['status'], reason: string): Condition => ({
  type,
  status,
  reason,
  message: 'In words.',
  lastTransitionTime: '2026-11-24T12:00:00Z',
  observedGeneration: 1,
});
const conditions = (body: ApiBody): Condition[] => body.status?.['conditions'] as Condition[];

describe('the CRDs', () => {
  it('are each smaller than 200 KiB', async () => {
    for (const name of ['cadre.dev_specializedmodels.yaml', 'cadre.dev_routingpolicies.yaml']) {
      expect((await stat(join(root, 'crds', name))).size).toBeLessThan(200 * 1024);
    }
  });

  it('are known by their short names and their category', async () => {
    const resources = await server.kubectl('api-resources', '--api-group=cadre.dev', '-o', 'wide', '--no-headers');
    expect(resources).toMatch(/^routingpolicies +rpol +cadre\.dev\/v1alpha1 +true +RoutingPolicy .* cadre *$/m);
    expect(resources).toMatch(/^specializedmodels +smodel +cadre\.dev\/v1alpha1 +true +SpecializedModel .* cadre *$/m);
  });

  it('are explained by kubectl, with the values of an enumeration', async () => {
    // The API server publishes the OpenAPI of a new CRD a moment after it serves the CRD.
    const model = await eventually('kubectl explain to know SpecializedModel', async () => {
      const text = await server.kubectl('explain', 'smodel.spec.model.uri');
      expect(text).toContain('FIELD: uri <string>');
      return text;
    });
    expect(model.replaceAll(/\s+/g, ' ')).toContain('pvc://CLAIM/PATH, hf://OWNER/REPO[/FILE] or https://HOST/PATH');
    expect(await server.kubectl('explain', 'smodel.spec.engine.type')).toMatch(/ENUM:\s+VLLM\s+LlamaCpp/);
    expect(await server.kubectl('explain', 'rpol.spec.timeouts')).toContain('From sending a request to the first byte');
  });

  it('accept every manifest of theirs that we publish', async () => {
    const published = await manifests(['docs/reference/samples', 'examples']);
    expect(published.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['SpecializedModel', 'RoutingPolicy']));
    for (const { file, kind, object } of published) {
      const path = kind === 'SpecializedModel' ? models : policies;
      const here = changed(object, { 'metadata.namespace': undefined });
      const { status, body } = await server.call('POST', `${path}?dryRun=All&fieldValidation=Strict`, here);
      expect({ file, status, message: body.message }).toEqual({ file, status: 201, message: undefined });
    }
  });
});

describe('a new object', () => {
  it.each([
    { path: models, object: aModel('pending') },
    { path: policies, object: aPolicy('pending') },
  ])('says that it waits for the controller: $path', async ({ path, object }) => {
    const { body } = await server.call('POST', path, object);
    expect(conditions(body).map(({ type, status, reason }) => [type, status, reason])).toEqual([
      ['Accepted', 'Unknown', 'Pending'],
      ['Ready', 'Unknown', 'Pending'],
    ]);
  });

  it('has the defaults of its fields', async () => {
    const model = await server.call('POST', `${models}?dryRun=All`, {
      ...aModel('defaults'),
      spec: {
        task: 'Embedding',
        model: { uri: 'hf://a/b', allowMutable: true, credentials: { name: 'hub' } },
        engine: { type: 'VLLM' },
        gpu: { profile: 'l4' },
        replicas: 0,
        updateStrategy: {},
      },
    });
    expect(model.body.spec).toMatchObject({
      model: { credentials: { key: 'token' } },
      gpu: { count: 1 },
      updateStrategy: { maxSurge: 1, maxUnavailable: 0 },
    });
    const policy = await server.call('POST', `${policies}?dryRun=All`, aPolicy('defaults'));
    expect(policy.body.spec).toMatchObject({ timeouts: { firstByte: '10s', idle: '20s', total: '60s' } });
  });
});

describe('status', () => {
  it('is the operator’s own once it has been applied, and rests when it is applied again', async () => {
    await server.call('POST', models, aModel('applied'));
    const status = {
      ...identity('SpecializedModel', 'applied'),
      status: {
        observedGeneration: 1,
        replicas: 3,
        readyReplicas: 2,
        selector: 'cadre.dev/model=applied',
        conditions: [condition('Accepted', 'True', 'Accepted'), condition('Ready', 'False', 'Loading')],
      },
    };
    const first = await server.call('PATCH', `${models}/applied/status?${operator}`, status);
    expect(first.status).toBe(200);
    expect(first.body.status).toEqual(status.status);
    expect(first.body.metadata?.managedFields?.find(({ subresource }) => subresource === 'status')).toMatchObject({
      manager: 'cadre-operator',
    });

    const again = await server.call('PATCH', `${models}/applied/status?${operator}`, status);
    expect(again.body.metadata?.resourceVersion).toBe(first.body.metadata?.resourceVersion);

    const ready = changed(status, { 'status.conditions': [condition('Accepted', 'True', 'Accepted')] });
    const less = await server.call('PATCH', `${models}/applied/status?${operator}`, ready);
    expect(conditions(less.body).map(({ type }) => type)).toEqual(['Accepted']);
  });

  it('is not changed by who writes the spec, nor the spec by who writes the status', async () => {
    await server.call('POST', models, aModel('apart'));
    const both = {
      ...aModel('apart'),
      status: { observedGeneration: 7, conditions: [condition('Ready', 'True', 'Serving')] },
    };
    const spec = await server.call('PATCH', `${models}/apart?fieldManager=user&force=true`, both);
    expect(spec.body.status?.['observedGeneration']).toBeUndefined();
    const status = await server.call(
      'PATCH',
      `${models}/apart/status?${operator}`,
      changed(both, { 'spec.replicas': 9 }),
    );
    expect(status.body.status?.['observedGeneration']).toBe(7);
    expect(status.body.spec?.['replicas']).toBe(3);
  });
});

describe('the columns of kubectl get', () => {
  it('show a model: whether it is ready, its replicas, its engine and GPU; with -o wide why, and its weights', async () => {
    await server.call('POST', models, aModel('shown'));
    await server.call('PATCH', `${models}/shown/status?${operator}`, {
      ...identity('SpecializedModel', 'shown'),
      status: { readyReplicas: 2, conditions: [condition('Ready', 'False', 'Loading')] },
    });
    expect(await server.kubectl('get', 'smodel', 'shown')).toMatch(
      /^NAME +READY +REPLICAS +AVAILABLE +ENGINE +GPU +AGE\nshown +False +3 +2 +LlamaCpp +nvidia-l4 +\d+\w+\n$/,
    );
    expect(await server.kubectl('get', 'smodel', 'shown', '-o', 'wide')).toMatch(
      /AGE +REASON +MODEL\nshown .*Loading +pvc:\/\/models\/tickets\.gguf\n$/,
    );
  });

  it('show a policy: whether it is ready and its model name; with -o wide why, and its weights', async () => {
    await server.call('POST', policies, aPolicy('shown'));
    await server.call('PATCH', `${policies}/shown/status?${operator}`, {
      ...identity('RoutingPolicy', 'shown'),
      status: {
        model: 'shown',
        weights: [{ backend: 'specialist', weight: 90 }],
        conditions: [condition('Ready', 'True', 'Serving')],
      },
    });
    expect(await server.kubectl('get', 'rpol', 'shown')).toMatch(
      /^NAME +READY +MODEL +AGE\nshown +True +shown +\d+\w+\n$/,
    );
    expect(await server.kubectl('get', 'rpol', 'shown', '-o', 'wide')).toMatch(
      /AGE +REASON +WEIGHTS\nshown .*Serving +\[\{"backend":"specialist","weight":90\}\]\n$/,
    );
  });

  it('show both kinds by their category', async () => {
    await server.call('POST', models, aModel('listed'));
    await server.call('POST', policies, aPolicy('listed'));
    const names = await server.kubectl('get', 'cadre', '-o', 'name');
    expect(names).toContain('specializedmodel.cadre.dev/listed\n');
    expect(names).toContain('routingpolicy.cadre.dev/listed\n');
  });
});

describe('/scale', () => {
  it('sets replicas, and tells an autoscaler the pods by their selector', async () => {
    await server.call('POST', models, aModel('scaled'));
    await server.call('PATCH', `${models}/scaled/status?${operator}`, {
      ...identity('SpecializedModel', 'scaled'),
      status: { replicas: 3, selector: 'cadre.dev/model=scaled', conditions: [condition('Ready', 'True', 'Serving')] },
    });
    expect(await server.kubectl('scale', 'smodel/scaled', '--replicas=5')).toContain('scaled');
    const scale = await server.call('GET', `${models}/scaled/scale`);
    expect(scale.body).toMatchObject({
      spec: { replicas: 5 },
      status: { replicas: 3, selector: 'cadre.dev/model=scaled' },
    });
    const { body } = await server.call('GET', `${models}/scaled`);
    expect(body.spec?.['replicas']).toBe(5);
  });

  it('refuses what the spec refuses', async () => {
    await server.call('POST', models, aModel('unscaled'));
    expect(await server.kubectl('scale', 'smodel/unscaled', '--replicas=10001')).toContain(
      'spec.replicas in body should be less than or equal to 10000',
    );
  });
});

describe('server-side apply', () => {
  it('lets two owners add to one list, by its entries’ names', async () => {
    const policy = aPolicy('shared');
    const path = `${policies}/shared`;
    await server.call('PATCH', `${path}?fieldManager=first`, policy);
    const added = await server.call('PATCH', `${path}?fieldManager=second`, {
      ...identity('RoutingPolicy', 'shared'),
      spec: {
        backends: [{ name: 'third', modelRef: { name: 'other' } }],
        split: [{ backend: 'third', weight: 5 }],
        access: { keys: [{ name: 'batch', secretRef: { name: 'batch', key: 'token' } }] },
      },
    });
    expect(added.status).toBe(200);
    expect(added.body.spec).toMatchObject({
      backends: [{ name: 'specialist' }, { name: 'flagship' }, { name: 'third' }],
      split: [{ backend: 'specialist' }, { backend: 'flagship' }, { backend: 'third' }],
      access: { keys: [{ name: 'web' }, { name: 'batch' }] },
    });

    const without = await server.call('PATCH', `${path}?fieldManager=second`, identity('RoutingPolicy', 'shared'));
    expect(without.body.spec).toMatchObject({ split: [{ backend: 'specialist' }, { backend: 'flagship' }] });
    expect(without.body.spec?.['split']).toHaveLength(2);
  });

  it('says whose field it would take', async () => {
    const path = `${models}/contested`;
    await server.call('PATCH', `${path}?fieldManager=first`, aModel('contested'));
    const conflict = await server.call('PATCH', `${path}?fieldManager=second`, {
      ...identity('SpecializedModel', 'contested'),
      spec: { replicas: 1 },
    });
    expect(conflict.status).toBe(409);
    expect(conflict.body.message).toContain('conflict with "first": .spec.replicas');
  });
});

describe('kubectl apply', () => {
  it('refuses a field that does not exist, and names it', async () => {
    const output = await server.kubectl(
      'create',
      '--dry-run=server',
      '-f',
      'test/support/api-cases/unknown-field.yaml',
    );
    expect(output).toContain('unknown field "spec.replica"');
  });
});

function identity(kind: string, name: string): { apiVersion: string; kind: string; metadata: { name: string } } {
  return { apiVersion: 'cadre.dev/v1alpha1', kind, metadata: { name } };
}

interface Manifest {
  file: string;
  kind: string;
  object: object;
}

/** Our kinds' objects in all YAML files under some folders. */
async function manifests(folders: string[]): Promise<Manifest[]> {
  const found: Manifest[] = [];
  for (const folder of folders) {
    const names = await readdir(join(root, folder), { recursive: true });
    for (const name of names.filter((file) => /\.ya?ml$/.test(file))) {
      const file = join(folder, name);
      for (const document of parseAllDocuments(await readFile(join(root, file), 'utf8'))) {
        const object = document.toJS() as { apiVersion?: string; kind?: string } | null;
        if (object?.kind && object.apiVersion === 'cadre.dev/v1alpha1') found.push({ file, kind: object.kind, object });
      }
    }
  }
  return found;
}
