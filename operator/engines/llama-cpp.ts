import { enginePort } from '../../crds/names.ts';
import { parseQuantity } from '../../crds/quantity.ts';
import type { SpecializedModelSpec } from '../../crds/v1alpha1/specialized-model.ts';
import type { Engine, ServeRequest } from './engine.ts';
import { livenessProbe, startupProbe } from './probes.ts';
import type { RefusedFlags } from './refused-flags.ts';

const defaultSlots = 4;
/** llama-server's own default, in MiB. */
const largestPromptCacheMiB = 8192;

/** llama-server of llama.cpp, 0.7.0 and later: one GGUF file, on CPUs or with its layers on GPUs. */
export const llamaCpp: Engine = {
  type: 'LlamaCpp',
  container: (request) => ({
    command: ['llama-server'],
    args: args(request),
    // The upstream image has the server in /app, which is not in its PATH; Debian's is in /usr/bin.
    env: [{ name: 'PATH', value: '/app:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }],
    startupProbe: startupProbe(2),
    livenessProbe: livenessProbe(),
    volumes: [],
    volumeMounts: [],
  }),
  rules: { refused: refusedFlags(), abbreviations: false },
  // It exits within 2.1 s while a stream is open, with the ping interval below; otherwise at once.
  shutdownSeconds: 5,
};

function args({ servedName, modelPath, adapterPath, promptTemplatePath, spec }: ServeRequest): string[] {
  const slots = spec.engine.maxConcurrency ?? defaultSlots;
  const { maxModelLength } = spec.engine;
  return [
    ['--host', '0.0.0.0', '--port', String(enginePort), '--alias', servedName, '--model', modelPath],
    adapterPath === undefined ? [] : ['--lora', adapterPath],
    promptTemplatePath === undefined ? [] : ['--jinja', '--chat-template-file', promptTemplatePath],
    ['--parallel', String(slots)],
    // --ctx-size is the total, divided by the slots. Without a length, all slots share one context as long as the model's.
    maxModelLength === undefined ? ['--ctx-size', '0', '--kv-unified'] : ['--ctx-size', String(slots * maxModelLength)],
    // Otherwise it would silently shrink what was not given.
    ['--fit', 'off'],
    ['--threads', String(wholeCpus(spec)), '--cache-ram', String(promptCacheMiB(spec))],
    // An open stream keeps it from exiting until the next ping, 30 s by default.
    ['--metrics', '--no-ui', '--sse-ping-interval', '1'],
    spec.gpu ? ['--gpu-layers', 'all'] : [],
    spec.task === 'Embedding' ? ['--embeddings'] : [],
  ].flat();
}

/** Its threads wait for each other at every step, so one without a whole CPU slows all of them, thirtyfold when measured. */
function wholeCpus({ resources }: SpecializedModelSpec): number {
  return Math.max(1, Math.floor(parseQuantity(resources?.limits?.cpu ?? resources?.requests?.cpu ?? 1)));
}

/** The cache of prompts is in the container's memory: a quarter of its limit, and none where there is no limit to hold. */
function promptCacheMiB({ resources }: SpecializedModelSpec): number {
  const limit = resources?.limits?.memory;
  if (limit === undefined) return 0;
  return Math.min(largestPromptCacheMiB, Math.floor(parseQuantity(limit) / 2 ** 20 / 4));
}

/** Seen in `llama-server --help` of 0.7.0, each with its names in the environment. */
function refusedFlags(): RefusedFlags[] {
  const set = 'the operator sets it';
  const by = (field: string) => `set spec.${field} instead`;
  const source = 'the weights come from spec.model';
  const runsCode = 'it lets answers of the model run code or reach other services';
  const unreachable = 'the router and the probes could no longer reach the engine';
  const exits = 'it prints something and exits';
  return [
    { flags: ['--host', '--port', '--reuse-port'], env: arg('HOST', 'PORT', 'REUSE_PORT'), why: set },
    { flags: ['-a', '--alias'], env: arg('ALIAS'), why: `${set}, to the model's name` },
    { flags: ['-m', '--model', '-mu', '--model-url'], env: arg('MODEL', 'MODEL_URL'), why: source },
    {
      flags: ['-hf', '-hfr', '--hf-repo', '-hff', '--hf-file', '-dr', '--docker-repo'],
      env: arg('HF_REPO', 'HF_FILE', 'DOCKER_REPO'),
      why: source,
    },
    { flags: ['-hft', '--hf-token'], env: ['HF_TOKEN'], why: 'only the loader gets a token: spec.model.credentials' },
    {
      flags: ['-hfd', '-hfrd', '--hf-repo-draft', '--spec-draft-hf', '-mmu', '--mmproj-url'],
      env: arg('SPEC_DRAFT_HF_REPO', 'MMPROJ_URL'),
      why: 'the engine downloads nothing; name a file beside the weights',
    },
    {
      flags: ['--lora', '--lora-scaled', '--lora-init-without-apply'],
      env: arg('LORA', 'LORA_SCALED', 'LORA_INIT_WITHOUT_APPLY'),
      why: by('model.adapter'),
    },
    {
      flags: ['--chat-template', '--chat-template-file', '--jinja', '--no-jinja'],
      env: arg('CHAT_TEMPLATE', 'CHAT_TEMPLATE_FILE', 'JINJA', 'NO_JINJA'),
      why: 'spec.model.promptTemplate says what the template is',
      when: ({ promptTemplate }) => promptTemplate !== undefined,
    },
    { flags: ['--fim-*', '--gpt-oss-*', '--vision-gemma-*', '--embd-gemma-default'], why: source },
    { flags: ['--models-*'], env: ['LLAMA_ARG_MODELS_*', 'LLAMA_SERVER_*'], why: 'a pod serves one model' },
    { flags: ['-c', '--ctx-size'], env: arg('CTX_SIZE'), why: by('engine.maxModelLength') },
    {
      flags: ['-kvu', '--kv-unified', '-no-kvu', '--no-kv-unified', '--kv-unified-per-slot'],
      env: arg('KV_UNIFIED', 'NO_KV_UNIFIED', 'KV_UNIFIED_PER_SLOT'),
      why: by('engine.maxModelLength'),
    },
    { flags: ['-np', '--parallel'], env: arg('N_PARALLEL'), why: by('engine.maxConcurrency') },
    { flags: ['-fit', '--fit'], env: arg('FIT'), why: `${set} to off: it would change the context silently` },
    { flags: ['-t', '--threads'], env: arg('THREADS'), why: by('resources.limits.cpu') },
    { flags: ['-cram', '--cache-ram'], env: arg('CACHE_RAM'), why: by('resources.limits.memory') },
    { flags: ['-ngl', '--gpu-layers', '--n-gpu-layers'], env: arg('N_GPU_LAYERS'), why: by('gpu') },
    { flags: ['--embedding', '--embeddings'], env: arg('EMBEDDINGS'), why: by('task: Embedding') },
    {
      flags: ['--metrics', '--no-metrics', '--sse-ping-interval'],
      env: arg('ENDPOINT_METRICS', 'NO_ENDPOINT_METRICS', 'SSE_PING_INTERVAL'),
      why: set,
    },
    {
      flags: ['--ui', '--webui', '--no-ui', '--no-webui', '--ui-mcp-proxy', '--webui-mcp-proxy'],
      env: arg('UI', 'WEBUI', 'NO_UI', 'NO_WEBUI', 'UI_MCP_PROXY'),
      why: `${set}: a served model has no page`,
    },
    {
      flags: ['--tools', '--tools-runtime', '-ag', '--agent', '--mcp-servers-config', '--mcp-servers-json', '--rpc'],
      env: arg('TOOLS', 'TOOLS_RUNTIME', 'AGENT', 'MCP_SERVERS_CONFIG', 'MCP_SERVERS_JSON', 'RPC'),
      why: runsCode,
    },
    {
      flags: ['--api-key', '--api-key-file'],
      env: ['LLAMA_API_KEY', ...arg('API_KEY_FILE')],
      why: `${unreachable}; the NetworkPolicy guards it, and clients' keys are in the RoutingPolicy`,
    },
    {
      flags: ['--ssl-key-file', '--ssl-cert-file', '--api-prefix'],
      env: arg('SSL_KEY_FILE', 'SSL_CERT_FILE', 'API_PREFIX'),
      why: unreachable,
    },
    { flags: ['--props'], env: arg('ENDPOINT_PROPS'), why: 'requests could change the server for everybody' },
    { flags: ['--log-prompts-dir'], why: 'prompts are never logged' },
    {
      flags: ['-h', '--help', '--usage', '--version', '--list-devices', '-cl', '--cache-list', '--completion-bash'],
      why: exits,
    },
  ];
}

function arg(...names: string[]): string[] {
  return names.map((name) => `LLAMA_ARG_${name}`);
}
