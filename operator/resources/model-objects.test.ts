import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { testConfig } from '../controllers/specialized-model/testing/config.ts';
import { aModel, type ModelBuilder } from '../controllers/specialized-model/testing/model-builder.ts';
import { modelObjects } from './model-objects.ts';

const commit = '3f2c9e0d3f2c9e0d3f2c9e0d3f2c9e0d3f2c9e0d';
const sha256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53';

/** Each has its golden file. After a change that is meant: `UPDATE_GOLDEN=1 npx vitest run --project unit operator/resources`. */
const representative: Record<string, ModelBuilder> = {
  'llama-cpp-claim': aModel()
    .withEngine('LlamaCpp', { maxModelLength: 2048, maxConcurrency: 4 })
    .withSpec({ resources: { requests: { cpu: 1, memory: '512Mi' }, limits: { cpu: '2', memory: '1Gi' } } }),
  'llama-cpp-hub-cached': aModel('extractor').withSpec({
    task: 'Extraction',
    model: { uri: 'hf://acme/extractor/gguf/extractor-q4.gguf', revision: commit, cache: { claimName: 'weights' } },
    replicas: 3,
  }),
  'llama-cpp-https-credentials': aModel('summaries')
    .withSpec({ task: 'Generation' })
    .withWeights('https://weights.example.com/summaries.gguf', {
      sha256,
      credentials: { name: 'weights-token', key: 'token' },
    }),
  'vllm-gpus': aModel('chat')
    .withSpec({ task: 'Generation', updateStrategy: { maxSurge: 0, maxUnavailable: 1 } })
    .withWeights('hf://acme/chat', { revision: commit })
    .withEngine('VLLM', {
      maxModelLength: 4096,
      maxConcurrency: 64,
      args: ['--gpu-memory-utilization', '0.9'],
      env: [{ name: 'VLLM_LOGGING_LEVEL', value: 'DEBUG' }],
    })
    .withGpu('nvidia-l4', 2)
    .withReplicas(2),
};

function objectsOf(model: ModelBuilder) {
  return modelObjects(model.build(), testConfig, testConfig.gpuProfiles['nvidia-l4']);
}

describe.each(Object.entries(representative))('the objects of %s', (name, model) => {
  it('are those of the golden file', () => {
    const file = new URL(`../../test/golden/${name}.yaml`, import.meta.url);
    const documents = Object.values(objectsOf(model)).map((object) =>
      stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }),
    );
    if (process.env['UPDATE_GOLDEN']) {
      mkdirSync(new URL('.', file), { recursive: true });
      writeFileSync(file, documents.join('---\n'));
    }
    expect(documents.join('---\n')).toBe(readFileSync(file, 'utf8'));
  });
});

describe('the pod of a model', () => {
  const podOf = (model: ModelBuilder) => objectsOf(model).deployments.spec?.template;

  it('has another revision when anything in it is another, and the same when nothing is', () => {
    const revision = (model: ModelBuilder) => podOf(model)?.metadata?.annotations?.['cadre.dev/revision'];
    expect(revision(aModel())).toBe(revision(aModel().withReplicas(7)));
    expect(revision(aModel())).not.toBe(revision(aModel().withSpec({ task: 'Generation' })));
  });

  it('gives the credentials to the loader alone', () => {
    const pod = podOf(representative['llama-cpp-https-credentials'] ?? aModel())?.spec;
    const readers = [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])].filter((container) =>
      JSON.stringify(container).includes('weights-token'),
    );
    expect(readers.map(({ name }) => name)).toEqual(['loader']);
  });

  it('is drained by whoever shows the key that its sidecar got, which no change of the model changes', () => {
    const keys = (model: ModelBuilder) => {
      const pod = podOf(model)?.spec;
      const sidecar = pod?.initContainers?.find(({ name }) => name === 'sidecar');
      const got = sidecar?.env?.find(({ name }) => name === 'CADRE_DRAIN_KEY')?.value;
      return [got, pod?.containers[0]?.lifecycle?.preStop?.httpGet?.httpHeaders];
    };
    const [key, headers] = keys(aModel());
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(headers).toEqual([{ name: 'x-cadre-drain', value: key }]);
    expect(keys(aModel().withSpec({ task: 'Generation', replicas: 7 }))).toEqual([key, headers]);
    expect(keys(aModel('other'))[0]).not.toBe(key);
  });

  it('has time to drain: what the endpoints take, what requests take, what the engine takes, and ten seconds', () => {
    expect(podOf(aModel())?.spec?.terminationGracePeriodSeconds).toBe(5 + 60 + 5 + 10);
    expect(podOf(aModel().withEngine('VLLM'))?.spec?.terminationGracePeriodSeconds).toBe(5 + 60 + 15 + 10);
  });

  it('keeps downloads that may differ apart in a shared cache', () => {
    const folder = (revision: string) =>
      podOf(aModel().withWeights('hf://acme/a/a.gguf', { revision, cache: { claimName: 'weights' } }))?.spec
        ?.initContainers?.[0]?.args?.[6];
    expect(folder(commit)).toMatch(/^\/models\/[0-9a-f]{32}$/);
    expect(folder(commit)).not.toBe(folder('main'));
  });

  it('passes the user’s arguments and values as they are, where Kubernetes would replace $(NAME)', () => {
    const model = aModel().withEngine('LlamaCpp', { args: ['--x', '$(HOME) $$'], env: [{ name: 'A', value: '$(B)' }] });
    const container = podOf(model)?.spec?.containers[0];
    expect(container?.args?.at(-1)).toBe('$$(HOME) $$$$');
    expect(container?.env).toContainEqual({ name: 'A', value: '$$(B)' });
  });

  it('lets the user’s variable win over a default of the engine', () => {
    const model = aModel().withEngine('LlamaCpp', { env: [{ name: 'PATH', value: '/opt/bin' }] });
    expect(podOf(model)?.spec?.containers[0]?.env).toEqual([{ name: 'PATH', value: '/opt/bin' }]);
  });
});
