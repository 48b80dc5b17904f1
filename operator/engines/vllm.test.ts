import { describe, expect, it } from 'vitest';
import type { SpecializedModelSpec } from '../../crds/v1alpha1/specialized-model.ts';
import { vllm } from './vllm.ts';

const spec: SpecializedModelSpec = {
  task: 'Classification',
  model: { uri: 'pvc://models/a' },
  engine: { type: 'VLLM' },
  replicas: 1,
};

function args(over: Partial<SpecializedModelSpec>): string {
  return vllm.container({ servedName: 'a', modelPath: '/models/a', spec: { ...spec, ...over } }).args.join(' ');
}

describe('vLLM', () => {
  it('gets what the model says, and otherwise keeps its own defaults', () => {
    expect(args({})).toBe('/models/a --host 0.0.0.0 --port 8000 --served-model-name a --shutdown-timeout 15');
    expect(args({ engine: { type: 'VLLM', maxModelLength: 4096, maxConcurrency: 64 } })).toContain(
      '--max-model-len 4096 --max-num-seqs 64',
    );
  });

  it('answers to the model’s name with the adapter, so that no request reaches the base by it', () => {
    const request = { servedName: 'a', modelPath: '/models/a', adapterPath: '/adapter/pe=ft', spec };
    const { args: line } = vllm.container(request);
    const after = (flag: string) => line[line.indexOf(flag) + 1];
    expect(after('--served-model-name')).toBe('a-base');
    expect(line).toContain('--enable-lora');
    expect(JSON.parse(after('--lora-modules') ?? '')).toEqual({ name: 'a', path: '/adapter/pe=ft' });
    expect(after('--max-lora-rank')).toBe('64');
  });

  it('takes a chat template in place of the model’s own', () => {
    const request = { servedName: 'a', modelPath: '/models/a', promptTemplatePath: '/prompt-template/t', spec };
    expect(vllm.container(request).args.join(' ')).toContain('--chat-template /prompt-template/t');
  });

  it('divides the model between all GPUs of a replica', () => {
    expect(args({ gpu: { profile: 'nvidia-l4', count: 2 } })).toContain('--tensor-parallel-size 2');
  });

  it('pools for embeddings, and finds out by itself for the other tasks', () => {
    expect(args({ task: 'Embedding' })).toContain('--runner pooling');
    expect(args({})).not.toContain('--runner');
  });

  it('is never online', () => {
    const { env } = vllm.container({ servedName: 'a', modelPath: '/models/a', spec });
    expect(env).toContainEqual({ name: 'HF_HUB_OFFLINE', value: '1' });
  });

  it('has shared memory and a place for compiled kernels, as its file system is read-only', () => {
    const { volumeMounts } = vllm.container({ servedName: 'a', modelPath: '/models/a', spec });
    expect(volumeMounts.map(({ mountPath }) => mountPath)).toEqual(['/dev/shm', '/cache']);
  });
});
