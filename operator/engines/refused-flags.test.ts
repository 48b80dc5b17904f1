import { describe, expect, it } from 'vitest';
import { llamaCpp } from './llama-cpp.ts';
import { refusedArgs } from './refused-flags.ts';
import { engines } from './registry.ts';
import { vllm } from './vllm.ts';

/** A model without an adapter and a prompt template. */
const plain = { uri: 'pvc://models/m' };

describe('what llama-server must not get', () => {
  it.each([
    [['-m', '/models/other.gguf']],
    [['--model', '/models/other.gguf']],
    [['--model=/models/other.gguf']],
    [['--MODEL', 'x']],
    [['  --port 9000']],
    [['--ctx_size', '4096']],
    [['--ctx-size', '4096']],
    [['--ctxSize', '4096']],
    [['-c', '4096']],
    [['-np', '8']],
    [['--hf-repo', 'someone/else']],
    [['-hf', 'someone/else']],
    [['--fim-qwen-1.5b-default']],
    [['--tools', 'all']],
    [['--agent']],
    [['-ag']],
    [['--api-key', 'k']],
    [['--webui']],
    [['--n_gpu_layers=3']],
    [['-no-kvu']],
    [['--models-dir', '/models']],
    [['--lora', '/models/a.gguf']],
    [['--lora=/models/a.gguf']],
    [['--lora_scaled', '/models/a.gguf:2']],
    [['--lora-init-without-apply']],
  ])('%j', (args) => {
    expect(refusedArgs(llamaCpp.rules, { args }, plain)).toEqual([
      expect.stringMatching(/^spec\.engine\.args\[0\]: -.* is refused: /),
    ]);
  });

  it.each([
    'LLAMA_ARG_PORT',
    'LLAMA_ARG_CTX_SIZE',
    'LLAMA_API_KEY',
    'LLAMA_ARG_MODELS_DIR',
    'HF_TOKEN',
    'LLAMA_ARG_TOOLS',
  ])('in the environment: %s', (name) => {
    expect(refusedArgs(llamaCpp.rules, { env: [{ name, value: '1' }] }, plain)).toEqual([
      expect.stringMatching(`^spec\\.engine\\.env\\[${name}\\] is refused: `),
    ]);
  });

  it('takes what is the user’s to choose, and values that look like numbers', () => {
    const args = [
      ['--temp', '0', '--seed', '-1', '-C', 'ff', '--flash-attn', 'on', '-ctk', 'q8_0'],
      ['--chat-template-file', '/models/t'],
    ].flat();
    expect(refusedArgs(llamaCpp.rules, { args, env: [{ name: 'LLAMA_ARG_TOP_K', value: '1' }] }, plain)).toEqual([]);
  });

  it('does not take the beginning of a flag for the flag, as llama-server does not', () => {
    expect(refusedArgs(llamaCpp.rules, { args: ['--po', '1'] }, plain)).toEqual([]);
  });
});

describe('what vLLM must not get', () => {
  it.each([
    [['--served-model-name', 'x']],
    [['--served_model_name=x']],
    [['--served_model-name', 'x']],
    [['--serv', 'x']],
    [['--max-model-l=1']],
    [['--max_num_seqs', '1']],
    [['-tp', '2']],
    [['-tp=2']],
    [['-n2']],
    [['-t', '2']],
    [['--tensor_parallel', '2']],
    [['--model', 'x']],
    [['--model.key', 'x']],
    [['--trust-remote-code']],
    [['--trust_remote_code']],
    [['--trust-r']],
    [['--config=/models/evil.yaml']],
    [['--api-key', 'k']],
    [['--ssl-keyfile', 'k']],
    [['--maxModelLen', '9']],
    [['--data-parallel-size', '2']],
    [['--enable-lora']],
    [['--enable_lora']],
    [['--enable-lor']],
    [['--no-enable-lora']],
    [['--lora-modules', 'a=/models/a']],
    [['--lora_modules=a=/models/a']],
    [['--lora-m', 'a=/models/a']],
  ])('%j', (args) => {
    expect(refusedArgs(vllm.rules, { args }, plain)).toEqual([
      expect.stringMatching(/^spec\.engine\.args\[0\]: -.* is refused: /),
    ]);
  });

  it.each([
    'VLLM_PORT',
    'VLLM_API_KEY',
    'VLLM_ALLOW_RUNTIME_LORA_UPDATING',
    'HF_HUB_OFFLINE',
    'VLLM_SERVER_DEV_MODE',
    'HOME',
  ])('in the environment: %s', (name) => {
    expect(refusedArgs(vllm.rules, { env: [{ name, value: '1' }] }, plain)).toHaveLength(1);
  });

  it('takes what is the user’s to choose', () => {
    const args = [
      ['--gpu-memory-utilization', '0.9', '--model-impl', 'vllm', '--config-format', 'hf', '--dtype', 'bfloat16'],
      ['--enable-prefix-caching', '--quantization', 'fp8', '--tokenizer', '/models/t', '-O3', '--seed', '-1'],
      ['--max-num-batched-tokens', '8k', '--max-logprobs', '50', '--convert', 'embed', '--max-lora-rank', '128'],
      ['--hf-overrides.architectures', '["X"]', '--enable-server-load-tracking', '--max-num-queued-reqs', '9'],
    ].flat();
    expect(refusedArgs(vllm.rules, { args, env: [{ name: 'VLLM_LOGGING_LEVEL', value: 'DEBUG' }] }, plain)).toEqual([]);
  });
});

describe('the message of a refusal', () => {
  it('names the argument, the flag that it means, and what to do instead', () => {
    expect(refusedArgs(vllm.rules, { args: ['--dtype', 'auto', '--max-model-l=1'] }, plain)).toEqual([
      'spec.engine.args[2]: --max-model-l (--max-model-len) is refused: set spec.engine.maxModelLength instead',
    ]);
  });

  it('comes once for each of several', () => {
    const args = ['-c', '1', '-np', '2'];
    expect(refusedArgs(llamaCpp.rules, { args, env: [{ name: 'LLAMA_ARG_PORT', value: '1' }] }, plain)).toHaveLength(3);
  });
});

describe('a prompt template of the user’s own', () => {
  const withTemplate = { ...plain, promptTemplate: { configMap: { name: 'prompts', key: 'triage' } } };
  const args: Record<string, string[][]> = {
    LlamaCpp: [
      ['--chat-template', 'chatml'],
      ['--chat-template-file=/models/t'],
      ['--no-jinja'],
      ['--Chat_Template=x'],
    ],
    VLLM: [['--chat-template', '/models/t'], ['--chat_template=/models/t'], ['--chat-t', '/models/t']],
  };

  it.each(Object.values(engines))(
    'may stand in the arguments for $type, unless the model has one already',
    (engine) => {
      for (const given of args[engine.type] ?? []) {
        expect(refusedArgs(engine.rules, { args: given }, plain)).toEqual([]);
        expect(refusedArgs(engine.rules, { args: given }, withTemplate)).toEqual([
          expect.stringContaining('is refused: spec.model.promptTemplate'),
        ]);
      }
    },
  );

  it('nor in the environment', () => {
    const env = ['CHAT_TEMPLATE', 'CHAT_TEMPLATE_FILE', 'JINJA'].map((name) => ({
      name: `LLAMA_ARG_${name}`,
      value: '0',
    }));
    expect(refusedArgs(llamaCpp.rules, { env }, plain)).toEqual([]);
    expect(refusedArgs(llamaCpp.rules, { env }, withTemplate)).toHaveLength(env.length);
  });
});

const ours = {
  task: 'Embedding',
  model: { uri: 'pvc://c/m', promptTemplate: { configMap: { name: 'c', key: 'k' } } },
  engine: { maxModelLength: 100, maxConcurrency: 2 },
  gpu: { profile: 'p', count: 2 },
  replicas: 1,
} as const;

describe.each(Object.values(engines))('the arguments that the operator gives to $type', (engine) => {
  it('are refused when a user gives them', () => {
    const spec = { ...ours, engine: { ...ours.engine, type: engine.type } };
    const paths = { modelPath: '/models/m', adapterPath: '/adapter/a', promptTemplatePath: '/prompt-template/t' };
    const { args } = engine.container({ servedName: 'm', ...paths, spec });
    // These two are only where we begin: users may set others.
    const free = new Set(['--runner', '--max-lora-rank']);
    const flags = args.filter((arg) => arg.startsWith('-') && !free.has(arg));
    expect(refusedArgs(engine.rules, { args: flags }, spec.model)).toHaveLength(flags.length);
  });
});
