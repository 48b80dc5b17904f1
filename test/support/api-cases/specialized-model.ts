import { modelUriMessages } from '../../../crds/model-uri.ts';
import type { Changes } from './change.ts';
import type { KindCases } from './rule-cases.ts';

const commit = '3f2c9e1b7a60d4e8c5f1029384756abcdef01234';
const sha256 = 'a'.repeat(64);
const hub = (changes: Changes = {}): Changes => ({
  'spec.model.uri': 'hf://acme/tickets/m.gguf',
  'spec.model.revision': commit,
  ...changes,
});
const web = (changes: Changes = {}): Changes => ({
  'spec.model.uri': 'https://models.example.com/m.gguf',
  'spec.model.sha256': sha256,
  ...changes,
});
const vllm = (changes: Changes = {}): Changes => ({
  'spec.engine.type': 'VLLM',
  'spec.model.uri': 'pvc://models/tickets',
  ...changes,
});
const uri = (value: string): Changes => ({ 'spec.model.uri': value });
const objectName =
  'must be the name of an object: lower-case letters, digits, "-" and ".", with a letter or digit at either end';
const requests = (request: Changes[string], limit: Changes[string], name: string): Changes => ({
  [`spec.resources.requests.${name}`]: request,
  [`spec.resources.limits.${name}`]: limit,
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
    {
      field: 'spec.model.uri',
      message: modelUriMessages.scheme,
      keeps: [uri('pvc://models/m.gguf'), hub(), web()],
      breaks: [
        uri('s3://bucket/m.gguf'),
        uri('http://example.com/m.gguf'),
        uri('file:///etc/passwd.gguf'),
        uri('/models/m.gguf'),
        uri('PVC://models/m.gguf'),
        uri(' pvc://models/m.gguf'),
      ],
    },
    {
      field: 'spec.model.uri',
      message: modelUriMessages.pvc,
      keeps: [
        uri('pvc://models/a/b/m.gguf'),
        uri('pvc://my.claim/.cache/..data/...m.gguf'),
        uri('pvc://c/a_b+c@1=2,~.gguf'),
      ],
      breaks: [
        uri('pvc://models'),
        uri('pvc:///m.gguf'),
        uri('pvc://models/../secret.gguf'),
        uri('pvc://models/a/../../m.gguf'),
        uri('pvc://models/./m.gguf'),
        uri('pvc://models//m.gguf'),
        uri('pvc://models/m.gguf/'),
        uri('pvc://../m.gguf'),
        uri('pvc://models/%2e%2e/m.gguf'),
        uri('pvc://models/m.gguf?x=.gguf'),
        uri('pvc://models/m.gguf#.gguf'),
        uri('pvc://models/a b.gguf'),
        uri('pvc://models/a\\..\\m.gguf'),
        uri('pvc://models/a\n.gguf'),
        uri('pvc://Models/m.gguf'),
      ],
    },
    {
      field: 'spec.model.uri',
      message: modelUriMessages.claim,
      keeps: [uri(`pvc://${'a'.repeat(253)}/m.gguf`), web(uri(`https://example.com/${'a'.repeat(254)}/m.gguf`))],
      breaks: [uri(`pvc://${'a'.repeat(254)}/m.gguf`)],
    },
    {
      field: 'spec.model.uri',
      message: modelUriMessages.hf,
      keeps: [hub(), hub(uri('hf://acme/Qwen2.5_GGUF/q4/m.gguf'))],
      breaks: [
        hub(uri('hf://acme/../m.gguf')),
        hub(uri('hf://acme/tickets/../m.gguf')),
        hub(uri('hf://acme/tickets//m.gguf')),
        hub(uri('hf://acme/tickets/m.gguf?x.gguf')),
        hub(uri('hf://acme.gguf')),
        hub(uri('hf://acme/tickets@main/m.gguf')),
        hub(uri(`hf://acme/${'a'.repeat(97)}/m.gguf`)),
      ],
    },
    {
      field: 'spec.model.uri',
      message: modelUriMessages.https,
      keeps: [web(), web(uri('https://models.example.com:8443/a/m.gguf')), web(uri('https://10.0.0.1:65535/m.gguf'))],
      breaks: [
        web(uri('https://user:secret@example.com/m.gguf')),
        web(uri('https://example.com/m.gguf?token=x.gguf')),
        web(uri('https://example.com/m.gguf#.gguf')),
        web(uri('https://example.com/a/../m.gguf')),
        web(uri('https://example.com/%2e%2e/m.gguf')),
        web(uri('https://example.com//m.gguf')),
        web(uri('https:///m.gguf')),
        web(uri('https://EXAMPLE.com/m.gguf')),
        web(uri('https://example.com:0/m.gguf')),
        web(uri('https://[::1]/m.gguf')),
        web(uri('https://example.com:65536/m.gguf')),
        web(uri('https://0x7f.1/m.gguf')),
        web(uri('https://2130706433/m.gguf')),
        web(uri('https://example.com\\@evil.example/m.gguf')),
      ],
    },
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
      field: 'spec.model.uri',
      message:
        'model.uri must name one file that ends in .gguf, as engine.type is LlamaCpp; with hf: hf://OWNER/REPO/FILE.gguf',
      keeps: [uri('pvc://models/m.gguf'), hub(), web(), vllm()],
      breaks: [
        uri('pvc://models/tickets'),
        uri('pvc://models/m.gguf.bak'),
        hub(uri('hf://acme/tickets')),
        hub(uri('hf://acme/tickets.gguf')),
        web(uri('https://models.example.com/model.safetensors')),
      ],
    },
    {
      field: 'spec.model.uri',
      message: 'model.uri must be hf:// or pvc://, as engine.type is VLLM, which loads a folder; https:// is one file',
      keeps: [vllm(), vllm({ 'spec.model.uri': 'hf://acme/tickets', 'spec.model.revision': commit }), web()],
      breaks: [vllm(web(uri('https://models.example.com/tickets')))],
    },
    {
      field: 'spec.model.uri',
      message:
        'model.uri must be a folder or repository with safetensors, as engine.type is VLLM; for a .gguf file set engine.type: LlamaCpp',
      keeps: [vllm(), uri('pvc://models/m.gguf')],
      breaks: [vllm(uri('pvc://models/m.gguf')), vllm(hub())],
    },
    {
      field: 'spec.model.uri',
      message: 'model.uri must be the whole repository, hf://OWNER/REPO, as engine.type is VLLM',
      keeps: [vllm(hub(uri('hf://acme/tickets'))), vllm(uri('pvc://models/a/b/c')), hub()],
      breaks: [vllm(hub(uri('hf://acme/tickets/model.safetensors'))), vllm(hub(uri('hf://acme/tickets/folder')))],
    },
    {
      field: 'spec.model.revision',
      message:
        'model.revision must be a commit, branch or tag: letters, digits, "-", "_", and single "." and "/" between them',
      keeps: ['main', 'v1.0.2', 'refs/pr/1', 'feature/a-b_c', commit].map((revision) =>
        hub({ 'spec.model.revision': revision, 'spec.model.allowMutable': true }),
      ),
      breaks: ['../main', 'a/../b', 'a//b', 'a/', '-a', 'a b', 'a..b', 'a%2fb', 'a?b', '.a'].map((revision) =>
        hub({ 'spec.model.revision': revision, 'spec.model.allowMutable': true }),
      ),
    },
    {
      field: 'spec.model.revision',
      message: 'model.revision is for hf:// only; remove it',
      keeps: [hub(), uri('pvc://models/m.gguf')],
      breaks: [{ 'spec.model.revision': commit }, web({ 'spec.model.revision': commit })],
    },
    {
      field: 'spec.model.revision',
      message:
        'model.revision must be a commit of 40 lower-case hexadecimal digits, so that every replica runs the same weights; for a branch or tag set model.allowMutable: true',
      keeps: [
        hub(),
        hub({ 'spec.model.revision': 'main', 'spec.model.allowMutable': true }),
        hub({ 'spec.model.revision': undefined, 'spec.model.allowMutable': true }),
      ],
      breaks: [
        hub({ 'spec.model.revision': undefined }),
        hub({ 'spec.model.revision': 'main' }),
        hub({ 'spec.model.revision': 'main', 'spec.model.allowMutable': false }),
        hub({ 'spec.model.revision': undefined, 'spec.model.allowMutable': false }),
        hub({ 'spec.model.revision': commit.slice(1) }),
        hub({ 'spec.model.revision': commit.toUpperCase() }),
      ],
    },
    {
      field: 'spec.model.allowMutable',
      message: 'model.allowMutable is for hf:// only; remove it',
      keeps: [hub({ 'spec.model.allowMutable': false })],
      breaks: [{ 'spec.model.allowMutable': true }, web({ 'spec.model.allowMutable': false })],
    },
    {
      field: 'spec.model.sha256',
      message: 'model.sha256 must be 64 lower-case hexadecimal digits, as sha256sum prints them',
      keeps: [web(), hub({ 'spec.model.sha256': sha256 }), { 'spec.model.sha256': sha256 }],
      breaks: [
        web({ 'spec.model.sha256': 'a'.repeat(63) }),
        web({ 'spec.model.sha256': 'A'.repeat(64) }),
        web({ 'spec.model.sha256': 'g'.repeat(64) }),
      ],
    },
    {
      field: 'spec.model.sha256',
      message: 'model.sha256 is required with https://: the SHA-256 of the file, as sha256sum prints it',
      keeps: [web(), hub()],
      breaks: [web({ 'spec.model.sha256': undefined })],
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
      field: 'spec.model.sha256',
      message: 'model.sha256 is of one file, and engine.type VLLM loads many; remove it: model.revision pins them all',
      keeps: [vllm(), hub({ 'spec.model.sha256': sha256 })],
      breaks: [
        vllm({ 'spec.model.sha256': sha256 }),
        vllm(hub({ ...uri('hf://acme/tickets'), 'spec.model.sha256': sha256 })),
      ],
    },
    {
      field: 'spec.model.credentials',
      message: 'model.credentials are for downloads, hf:// and https://; remove them',
      keeps: [hub({ 'spec.model.credentials': { name: 'hub' } }), web({ 'spec.model.credentials': { name: 'web' } })],
      breaks: [{ 'spec.model.credentials': { name: 'hub' } }],
    },
    {
      field: 'spec.model.credentials.name',
      message: objectName,
      keeps: [hub({ 'spec.model.credentials.name': 'my.token-1' })],
      breaks: ['../token', 'My-Token', 'a b', '-a'].map((name) => hub({ 'spec.model.credentials.name': name })),
    },
    {
      field: 'spec.model.credentials.key',
      message: 'must be a key of a Secret: letters, digits, "-", "_" and "."',
      keeps: [hub({ 'spec.model.credentials': { name: 'hub', key: 'HF_TOKEN' } })],
      breaks: [hub({ 'spec.model.credentials': { name: 'hub', key: 'a/b' } })],
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
      what: 'arguments are bounded',
      changes: { 'spec.engine.args': Array.from({ length: 65 }, () => '--x') },
      field: 'spec.engine.args',
      message: 'must have at most 64 items',
    },
  ],
  unknown: {
    'spec.replica': { 'spec.replica': 1 },
    'spec.scaling': { 'spec.scaling': { minReplicas: 0, maxReplicas: 2 } },
    'spec.model.url': { 'spec.model.url': 'https://example.com/m.gguf' },
    'spec.engine.env[0].valueFrom': { 'spec.engine.env': [{ name: 'A', value: '', valueFrom: {} }] },
    'spec.gpu.resourceName': { 'spec.gpu': { profile: 'l4', resourceName: 'nvidia.com/gpu' } },
    'status.phase': { 'status.phase': 'Running' },
  },
};
