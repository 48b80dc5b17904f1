import type { Changes } from './change.ts';
import { objectName, sourceCases, sourceChanges } from './model-source.ts';
import type { KindCases } from './rule-cases.ts';

const sha256 = 'a'.repeat(64);
const { uri, hub, web } = sourceChanges('model');
const adapter = sourceChanges('model.adapter');
const requests = (request: Changes[string], limit: Changes[string], name: string): Changes => ({
  [`spec.resources.requests.${name}`]: request,
  [`spec.resources.limits.${name}`]: limit,
});
const promptTemplate = (over: object = {}): Changes => ({
  'spec.model.promptTemplate.configMap': { name: 'prompts', key: 'triage', ...over },
});
const parts = 'm-00001-of-00003.gguf';

export const specializedModelCases: KindCases = {
  kind: 'SpecializedModel',
  base: {
    apiVersion: 'cadre.dev/v1alpha1',
    kind: 'SpecializedModel',
    metadata: { name: 'tickets' },
    spec: {
      task: 'Classification',
      model: { uri: 'pvc://models/tickets.gguf' },
      engine: { type: 'LlamaCpp' },
      replicas: 1,
    },
  } as KindCases['base'],
  rules: [
    {
      field: 'metadata.name',
      message:
        'metadata.name must be at most 45 characters: lower-case letters, digits and "-", with a letter first and a letter or digit last',
      keeps: [{ 'metadata.name': 'a' }, { 'metadata.name': `a${'-'.repeat(43)}b` }, { 'metadata.name': 'qwen3-8b' }],
      breaks: [
        { 'metadata.name': 'a'.repeat(46) },
        { 'metadata.name': '7b-classifier' },
        { 'metadata.name': 'tickets.v2' },
      ],
    },
    ...sourceCases('model'),
    ...sourceCases('model.adapter'),
    {
      field: 'spec.model.uri',
      message:
        'model.uri names one part of a GGUF in several parts, and https:// is one file: join them with llama-gguf-split --merge',
      keeps: [
        hub(uri(`hf://acme/tickets/${parts}`)),
        uri(`pvc://models/${parts}`),
        web(uri('https://example.com/1-of-3.gguf')),
      ],
      breaks: [web(uri(`https://models.example.com/${parts}`))],
    },
    {
      field: 'spec.model.sha256',
      message:
        'model.sha256 is of one file, and model.uri names a GGUF in several parts: remove it, or join them with llama-gguf-split --merge',
      keeps: [uri(`pvc://models/${parts}`), { 'spec.model.sha256': sha256 }],
      breaks: [
        { ...uri(`pvc://models/${parts}`), 'spec.model.sha256': sha256 },
        hub({ ...uri(`hf://acme/tickets/${parts}`), 'spec.model.sha256': sha256 }),
      ],
    },
    {
      field: 'spec.model.cache',
      message: 'model.cache is for downloads, hf:// and https://; a claim needs none: remove it',
      keeps: [hub({ 'spec.model.cache.claimName': 'weights' }), web({ 'spec.model.cache.claimName': 'weights' })],
      breaks: [{ 'spec.model.cache.claimName': 'weights' }],
    },
    {
      field: 'spec.model.cache.claimName',
      message: objectName,
      keeps: [hub({ 'spec.model.cache.claimName': 'w.1' })],
      breaks: [hub({ 'spec.model.cache.claimName': 'Weights' }), hub({ 'spec.model.cache.claimName': 'a/b' })],
    },
    {
      field: 'spec.model.adapter.uri',
      message: 'model.adapter.uri names one part of a GGUF in several parts, and an adapter is one file',
      keeps: [adapter.uri('pvc://models/1-of-3.gguf')],
      breaks: [adapter.uri(`pvc://models/${parts}`), adapter.hub(adapter.uri(`hf://acme/tickets/${parts}`))],
    },
    {
      field: 'spec.model.adapter.uri',
      message: 'model.adapter.uri must not have a ",", at which llama-server would divide it; rename the file',
      keeps: [adapter.claim(), { ...uri('pvc://models/a,b.gguf'), ...adapter.uri('pvc://models/a.gguf') }],
      breaks: [adapter.uri('pvc://models/a,b.gguf'), adapter.hub(adapter.uri('hf://acme/tickets/a/b,.gguf'))],
    },
    {
      field: 'spec.model.promptTemplate.configMap.name',
      message: objectName,
      keeps: [promptTemplate({ name: 'prompts.v1' })],
      breaks: [promptTemplate({ name: 'Prompts' }), promptTemplate({ name: '../prompts' })],
    },
    {
      field: 'spec.model.promptTemplate.configMap.key',
      message: 'must be a key of a ConfigMap: letters, digits, "-", "_" and "."',
      keeps: [promptTemplate({ key: 'triage_v1.jinja' })],
      breaks: [promptTemplate({ key: 'a/b' }), promptTemplate({ key: 'a b' })],
    },
    {
      field: 'spec.model.promptTemplate',
      message: 'model.promptTemplate turns chats into prompts, and task Embedding has none; remove it',
      keeps: [promptTemplate(), { 'spec.task': 'Embedding' }, { ...promptTemplate(), 'spec.task': 'Generation' }],
      breaks: [{ ...promptTemplate(), 'spec.task': 'Embedding' }],
    },
    {
      field: 'spec.engine.image',
      message:
        'engine.image must be the reference of an image, such as registry.example.com/vllm:v1 or …@sha256:… with 64 hexadecimal digits',
      keeps: [
        { 'spec.engine.image': 'registry.example.com:5000/vllm/vllm_openai:v0.11.0' },
        { 'spec.engine.image': `example.com/a@sha256:${sha256}` },
        { 'spec.engine.image': `example.com/a:v1@sha256:${sha256}` },
      ],
      breaks: [
        { 'spec.engine.image': ' example.com/a' },
        { 'spec.engine.image': 'example.com/a b' },
        { 'spec.engine.image': 'example.com/a@sha256:abc' },
      ],
    },
    {
      field: 'spec.engine.env[].name',
      message: 'must be the name of an environment variable: letters, digits, "_", "-" and ".", not a digit first',
      keeps: [
        {
          'spec.engine.env': [
            { name: 'OMP_NUM_THREADS', value: '4' },
            { name: '_a.b-c', value: '' },
          ],
        },
      ],
      breaks: [{ 'spec.engine.env': [{ name: '1A', value: '' }] }, { 'spec.engine.env': [{ name: 'A=B', value: '' }] }],
    },
    {
      field: 'spec.gpu.profile',
      message: 'must be lower-case letters, digits and "-", with a letter or digit at either end',
      keeps: [{ 'spec.gpu.profile': 'nvidia-l4' }],
      breaks: [{ 'spec.gpu.profile': 'NVIDIA_L4' }, { 'spec.gpu.profile': 'l4-' }],
    },
    ...['cpu', 'memory', 'ephemeral-storage'].map((name) => ({
      field: 'spec.resources.requests',
      message: `resources.requests must not be more than resources.limits: ${name}`,
      keeps: [
        requests('1', '1', name),
        requests(1, '1000m', name),
        requests('1Gi', '1024Mi', name),
        requests('500m', 2, name),
        requests('4', undefined, name),
        requests(undefined, '4', name),
        requests('.5', '1e3', name),
      ],
      breaks: [requests('2', '1', name), requests(2, '1500m', name), requests('1Gi', '1G', name)],
    })),
    ...['requests', 'limits'].flatMap((list) =>
      ['cpu', 'memory', 'ephemeral-storage'].map((name) => ({
        field: `spec.resources.${list}.${name}`,
        message:
          'must be a quantity that is not negative, such as 2, 500m or 16Gi; with a fraction in quotes, as "1.5"',
        keeps: [0, 2, 2 ** 40, '500m', '16Gi', '1.5', '.5', '1e3', '12E'].map((value) => ({
          [`spec.resources.${list}.${name}`]: value,
        })),
        breaks: [-1, '-1', '+1', '16GB', '1gi', 'many', '', '1e100'].map((value) => ({
          [`spec.resources.${list}.${name}`]: value,
        })),
      })),
    ),
    ...['maxSurge', 'maxUnavailable'].map((name) => ({
      field: `spec.updateStrategy.${name}`,
      message: 'must be a number of pods from 0 to 10000, or a percentage from 0% to 100%',
      keeps: [1, 10_000, '1%', '100%'].map((value) => ({ 'spec.updateStrategy': { [name]: value } })),
      breaks: [-1, 10_001, 2 ** 40, '101%', '-1%', '01%', '1', '%', ''].map((value) => ({
        'spec.updateStrategy': { [name]: value },
      })),
    })),
    {
      field: 'spec.updateStrategy',
      message:
        'updateStrategy.maxSurge and updateStrategy.maxUnavailable must not both be 0: nothing could be replaced. Where no GPU is spare: maxSurge 0, maxUnavailable 1',
      keeps: [
        { 'spec.updateStrategy': {} },
        { 'spec.updateStrategy.maxUnavailable': 0 },
        { 'spec.updateStrategy': { maxSurge: 0, maxUnavailable: 1 } },
        { 'spec.updateStrategy': { maxSurge: '25%', maxUnavailable: '0%' } },
        { 'spec.updateStrategy': { maxSurge: 0, maxUnavailable: '100%' } },
      ],
      breaks: [
        { 'spec.updateStrategy.maxSurge': 0 },
        { 'spec.updateStrategy': { maxSurge: 0, maxUnavailable: 0 } },
        { 'spec.updateStrategy': { maxSurge: '0%', maxUnavailable: 0 } },
        { 'spec.updateStrategy': { maxSurge: 0, maxUnavailable: '0%' } },
      ],
    },
  ],
  bounds: [
    {
      what: 'a model needs replicas',
      changes: { 'spec.replicas': undefined },
      field: 'spec.replicas',
      message: 'Required value',
    },
    {
      what: 'a model needs a spec',
      changes: { spec: undefined },
      field: 'spec',
      message: 'Required value',
    },
    {
      what: 'replicas are not negative',
      changes: { 'spec.replicas': -1 },
      field: 'spec.replicas',
      message: 'spec.replicas in body should be greater than or equal to 0',
    },
    {
      what: 'replicas are at most ten thousand',
      changes: { 'spec.replicas': 10_001 },
      field: 'spec.replicas',
      message: 'spec.replicas in body should be less than or equal to 10000',
    },
    {
      what: 'replicas beyond 32 bits are refused',
      changes: { 'spec.replicas': 2 ** 40 },
      field: 'spec.replicas',
      message: 'spec.replicas in body should be less than or equal to 10000',
    },
    {
      what: 'replicas are a whole number',
      changes: { 'spec.replicas': 1.5 },
      field: 'spec.replicas',
      message: 'must be of type int32: "float64"',
    },
    {
      what: 'replicas are a number, not a string',
      changes: { 'spec.replicas': '1' },
      field: 'spec.replicas',
      message: 'must be of type integer: "string"',
    },
    {
      what: 'the engines are listed when another is asked for',
      changes: { 'spec.engine.type': 'TensorRT' },
      field: 'spec.engine.type',
      message: 'supported values: "VLLM", "LlamaCpp"',
    },
    {
      what: 'the tasks are listed when another is asked for',
      changes: { 'spec.task': 'classification' },
      field: 'spec.task',
      message: 'supported values: "Classification", "Extraction", "Generation", "Embedding"',
    },
    {
      what: 'a GPU needs a profile',
      changes: { 'spec.gpu': { count: 1 } },
      field: 'spec.gpu.profile',
      message: 'Required value',
    },
    {
      what: 'no GPU at all is gpu left out, not count 0',
      changes: { 'spec.gpu': { profile: 'l4', count: 0 } },
      field: 'spec.gpu.count',
      message: 'should be greater than or equal to 1',
    },
    {
      what: 'a variable is set once',
      changes: {
        'spec.engine.env': [
          { name: 'A', value: '1' },
          { name: 'A', value: '2' },
        ],
      },
      field: 'spec.engine.env[1]',
      message: 'Duplicate value: {"name":"A"}',
    },
    {
      what: 'a fraction of a CPU is written as a string, as numbers are whole',
      changes: { 'spec.resources.limits.cpu': 1.5 },
      field: 'spec.resources.limits.cpu',
      message: 'must be of type integer,string: "number"',
    },
    {
      what: 'a URI has an end',
      changes: uri(`pvc://models/${'a'.repeat(1020)}.gguf`),
      field: 'spec.model.uri',
      message: 'may not be more than 1024 bytes',
    },
    {
      what: 'an adapter is somewhere',
      changes: { 'spec.model.adapter': { sha256 } },
      field: 'spec.model.adapter.uri',
      message: 'Required value',
    },
    {
      what: 'a prompt template is under a key',
      changes: { 'spec.model.promptTemplate': { configMap: { name: 'prompts' } } },
      field: 'spec.model.promptTemplate.configMap.key',
      message: 'Required value',
    },
    {
      what: 'arguments are bounded',
      changes: { 'spec.engine.args': Array.from({ length: 65 }, () => '--x') },
      field: 'spec.engine.args',
      message: 'must have at most 64 items',
    },
  ],
  unknown: {
    'spec.replica': { 'spec.replica': 1 },
    'spec.scaling': { 'spec.scaling': { minReplicas: 0, maxReplicas: 2 } },
    'spec.model.adapter.cache': { ...adapter.hub(), 'spec.model.adapter.cache': { claimName: 'weights' } },
    'spec.model.promptTemplate.text': {
      'spec.model.promptTemplate': { configMap: { name: 'p', key: 't' }, text: 'x' },
    },
    'spec.model.url': { 'spec.model.url': 'https://example.com/m.gguf' },
    'spec.engine.env[0].valueFrom': { 'spec.engine.env': [{ name: 'A', value: '', valueFrom: {} }] },
    'spec.gpu.resourceName': { 'spec.gpu': { profile: 'l4', resourceName: 'nvidia.com/gpu' } },
    'status.phase': { 'status.phase': 'Running' },
  },
};
