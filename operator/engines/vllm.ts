import { enginePort } from '../../crds/names.ts';
import type { Engine, ServeRequest } from './engine.ts';
import { livenessProbe, startupProbe } from './probes.ts';
import type { RefusedFlags } from './refused-flags.ts';

const shutdownSeconds = 15;
const cachePath = '/cache';
/** vLLM sets room aside for adapters of this rank, and its own default of 16 is too little for many. Users may give another. */
const largestRank = 64;

/** vLLM, 0.32 and later: a folder in Hugging Face's layout. */
export const vllm: Engine = {
  type: 'VLLM',
  container: (request) => ({
    command: ['vllm', 'serve'],
    args: args(request),
    env: [
      { name: 'HF_HUB_OFFLINE', value: '1' },
      { name: 'TRANSFORMERS_OFFLINE', value: '1' },
      { name: 'VLLM_NO_USAGE_STATS', value: '1' },
      // Compiled code and kernels; the rest of the file system is read-only.
      { name: 'HOME', value: cachePath },
      { name: 'VLLM_CACHE_ROOT', value: `${cachePath}/vllm` },
      // PyTorch asks for the user's name, and the image has none for our user's number.
      { name: 'USER', value: 'cadre' },
    ],
    // The port refuses connections until the model is loaded: half a minute for a toy, minutes for a large one.
    startupProbe: startupProbe(5),
    livenessProbe: livenessProbe(),
    volumes: [
      // Its processes exchange tensors there, and the 64 MiB that containers get are too few. Counts as memory.
      { name: 'shared-memory', emptyDir: { medium: 'Memory', sizeLimit: '2Gi' } },
      { name: 'cache', emptyDir: {} },
    ],
    volumeMounts: [
      { name: 'shared-memory', mountPath: '/dev/shm' },
      { name: 'cache', mountPath: cachePath },
    ],
  }),
  rules: { refused: refusedFlags(), abbreviations: true },
  shutdownSeconds,
};

function args({ servedName, modelPath, adapterPath, promptTemplatePath, spec }: ServeRequest): string[] {
  const { maxModelLength, maxConcurrency } = spec.engine;
  // Adapters are served beside the base, each by a name of its own. The model's name is the adapter's, so that no request
  // reaches the base.
  const baseName = adapterPath === undefined ? servedName : `${servedName}-base`;
  return [
    [modelPath],
    ['--host', '0.0.0.0', '--port', String(enginePort), '--served-model-name', baseName],
    adapterPath === undefined ? [] : loraArgs(servedName, adapterPath),
    promptTemplatePath === undefined ? [] : ['--chat-template', promptTemplatePath],
    maxModelLength === undefined ? [] : ['--max-model-len', String(maxModelLength)],
    maxConcurrency === undefined ? [] : ['--max-num-seqs', String(maxConcurrency)],
    spec.gpu ? ['--tensor-parallel-size', String(spec.gpu.count)] : [],
    // Without it, SIGTERM cuts what is in flight, and reports success.
    ['--shutdown-timeout', String(shutdownSeconds)],
    spec.task === 'Embedding' ? ['--runner', 'pooling'] : [],
  ].flat();
}

/** As JSON, as `NAME=PATH` would break at some characters of a path. */
function loraArgs(name: string, path: string): string[] {
  return ['--enable-lora', '--lora-modules', JSON.stringify({ name, path }), '--max-lora-rank', String(largestRank)];
}

/** From vLLM's argument classes and `envs.py`, and its security guide (docs/usage/security.md). */
function refusedFlags(): RefusedFlags[] {
  const set = 'the operator sets it';
  const by = (field: string) => `set spec.${field} instead`;
  const unreachable = 'the router and the probes could no longer reach the engine';
  const runsCode = 'it runs code that comes with the weights or with a request';
  const onePod = 'a pod is one server on its own GPUs; for more of them set spec.replicas or spec.gpu.count';
  return [
    { flags: ['--host', '--port', '--uds'], env: ['VLLM_PORT'], why: set },
    { flags: ['--served-model-name'], why: `${set}, to the model's name` },
    { flags: ['--model', '--model-tag'], why: 'the weights come from spec.model' },
    {
      flags: ['--enable-lora', '--no-enable-lora', '--lora-modules', '--default-mm-loras'],
      why: by('model.adapter'),
    },
    {
      flags: ['--chat-template'],
      why: 'spec.model.promptTemplate says what the template is',
      when: ({ promptTemplate }) => promptTemplate !== undefined,
    },
    { flags: ['--revision', '--code-revision'], why: by('model.revision') },
    {
      flags: ['--hf-token'],
      env: ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HF_HUB_TOKEN'],
      why: 'only the loader gets a token: spec.model.credentials',
    },
    {
      flags: ['--download-dir'],
      env: ['HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE', 'VLLM_USE_MODELSCOPE', 'VLLM_MODEL_REDIRECT_PATH'],
      why: 'the engine downloads nothing; the loader does',
    },
    { flags: ['--max-model-len'], env: ['VLLM_ALLOW_LONG_MAX_MODEL_LEN'], why: by('engine.maxModelLength') },
    { flags: ['--max-num-seqs'], why: by('engine.maxConcurrency') },
    { flags: ['-tp', '--tensor-parallel-size'], why: by('gpu.count') },
    {
      flags: ['-pp', '--pipeline-parallel-size', '-dp', '--data-parallel-*', '-dpn', '-dpr', '-dpl', '-dpa', '-dpp'],
      why: onePod,
    },
    { flags: ['-dpb', '-dph', '-dpe', '--api-server-count', '-asc', '--headless', '--nnodes', '-n'], why: onePod },
    { flags: ['--shutdown-timeout'], env: ['VLLM_KEEP_ALIVE_ON_ENGINE_DEATH'], why: set },
    { flags: ['--config'], why: 'it could carry flags that are refused; give them in spec.engine.args' },
    { flags: ['--trust-remote-code', '--no-trust-remote-code'], why: runsCode },
    {
      flags: ['--middleware', '--tool-server', '--tool-parser-plugin', '--trust-request-chat-template'],
      env: ['VLLM_ALLOW_INSECURE_SERIALIZATION'],
      why: runsCode,
    },
    {
      flags: ['--api-key'],
      env: ['VLLM_API_KEY'],
      why: `${unreachable}; the NetworkPolicy guards it, and clients' keys are in the RoutingPolicy`,
    },
    {
      flags: ['--ssl-keyfile', '--ssl-certfile', '--ssl-ca-certs', '--ssl-cert-reqs', '--root-path'],
      why: unreachable,
    },
    {
      flags: [],
      env: ['VLLM_ALLOW_RUNTIME_LORA_UPDATING', 'VLLM_LORA_RESOLVER_*'],
      why: 'adapters loaded while it runs would be gone after a restart',
    },
    { flags: [], env: ['VLLM_SERVER_DEV_MODE'], why: 'it opens endpoints that stop or change the server' },
    { flags: [], env: ['HOME', 'VLLM_CACHE_ROOT', 'VLLM_NO_USAGE_STATS', 'DO_NOT_TRACK'], why: set },
    { flags: ['--enable-log-requests', '--enable-log-outputs'], why: 'prompts and answers are never logged' },
    { flags: ['-h', '--help', '-v', '--version'], why: 'it prints something and exits' },
  ];
}
