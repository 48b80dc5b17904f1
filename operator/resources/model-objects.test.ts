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
  'llama-cpp-adapter-claims': aModel('triage')
    .withSpec({ task: 'Classification' })
    .withWeights('pvc://models/base.gguf', {
      adapter: { uri: 'pvc://models/adapters/triage.gguf', sha256 },
      promptTemplate: { configMap: { name: 'prompts', key: 'triage' } },
    }),
  'llama-cpp-adapter-cached': aModel('orders')
    .withSpec({ task: 'Extraction' })
    .withWeights('hf://acme/base/base.gguf', {
      revision: commit,
      credentials: { name: 'base-token', key: 'token' },
      cache: { claimName: 'weights' },
      adapter: {
        uri: 'https://weights.example.com/orders.gguf',
        sha256,
        credentials: { name: 'adapter-token', key: 'token' },
      },
    }),
  'vllm-adapter': aModel('writer')
    .withSpec({ task: 'Generation' })
    .withWeights('hf://acme/base', { revision: commit, adapter: { uri: 'pvc://adapters/writer' } })
    .withEngine('VLLM', { maxModelLength: 4096 })
    .withGpu('nvidia-l4'),
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

const template = { text: 'Message: {{ messages[-1].content }}\nLabel:', digest: `sha256:${'d'.repeat(64)}` };

function objectsOf(model: ModelBuilder) {
  const built = model.build();
  return modelObjects(built, testConfig, {
    profile: testConfig.gpuProfiles['nvidia-l4'],
    promptTemplate: built.spec.model.promptTemplate && template,
  });
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

  it('gives each of two credentials to the loader under a name of its own', () => {
    const pod = podOf(representative['llama-cpp-adapter-cached'] ?? aModel())?.spec;
    const loader = pod?.initContainers?.find(({ name }) => name === 'loader');
    expect(loader?.env?.map(({ name, valueFrom }) => [name, valueFrom?.secretKeyRef?.name])).toEqual([
      ['CADRE_MODEL_TOKEN', 'base-token'],
      ['CADRE_ADAPTER_TOKEN', 'adapter-token'],
    ]);
    expect(JSON.stringify(pod?.containers)).not.toMatch(/-token/);
  });

  it('mounts a claim once where it has both the weights and the adapter, and neither for the engine to write', () => {
    const pod = podOf(representative['llama-cpp-adapter-claims'] ?? aModel())?.spec;
    expect(pod?.volumes?.flatMap(({ persistentVolumeClaim: claim }) => claim?.claimName ?? [])).toEqual(['models']);
    const loaded = pod?.containers[0]?.volumeMounts?.filter(({ mountPath }) => mountPath !== '/tmp');
    expect(loaded).toEqual([
      { name: 'models', mountPath: '/models', readOnly: true },
      { name: 'models', mountPath: '/adapter', readOnly: true },
      { name: 'prompt-template', mountPath: '/prompt-template', readOnly: true },
    ]);
  });

  it('is another one when the text of its prompt template is another one', () => {
    const model = (representative['llama-cpp-adapter-claims'] ?? aModel()).build();
    const annotations = (text: string, digest: string) =>
      modelObjects(model, testConfig, { promptTemplate: { text, digest } }).deployments.spec?.template.metadata
        ?.annotations;
    const [one, other] = [annotations('a', 'sha256:a'), annotations('b', 'sha256:b')];
    expect(one?.['cadre.dev/prompt-template']).toBe('sha256:a');
    expect(one?.['cadre.dev/revision']).not.toBe(other?.['cadre.dev/revision']);
  });

  it('has the text of a template as it is, where Kubernetes would replace $(NAME)', () => {
    const model = (representative['llama-cpp-adapter-claims'] ?? aModel()).build();
    const promptTemplate = { text: '$(HOME) $$', digest: 'sha256:x' };
    const pod = modelObjects(model, testConfig, { promptTemplate }).deployments.spec?.template.spec;
    expect(pod?.initContainers?.[0]?.env).toContainEqual({ name: 'CADRE_PROMPT_TEMPLATE', value: '$$(HOME) $$$$' });
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
