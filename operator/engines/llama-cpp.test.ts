import { describe, expect, it } from 'vitest';
import type { SpecializedModelSpec } from '../../crds/v1alpha1/specialized-model.ts';
import { llamaCpp } from './llama-cpp.ts';

const base: SpecializedModelSpec = {
  task: 'Generation',
  model: { uri: 'pvc://models/a.gguf' },
  engine: { type: 'LlamaCpp' },
  replicas: 1,
};

function flags(over: Partial<SpecializedModelSpec>): Record<string, string | undefined> {
  const { args } = llamaCpp.container({ servedName: 'a', modelPath: '/models/a.gguf', spec: { ...base, ...over } });
  return Object.fromEntries(args.flatMap((arg, at) => (arg.startsWith('--') ? [[arg, args[at + 1]]] : [])));
}

describe('llama-server', () => {
  it('gets the context of all slots together, as it divides what it gets', () => {
    const got = flags({ engine: { type: 'LlamaCpp', maxModelLength: 2048, maxConcurrency: 8 } });
    expect(got).toMatchObject({ '--ctx-size': '16384', '--parallel': '8' });
    expect(got).not.toHaveProperty('--kv-unified');
  });

  it('shares the model’s own context between its slots when no length is given', () => {
    expect(flags({})).toMatchObject({ '--ctx-size': '0', '--parallel': '4', '--kv-unified': '--fit' });
  });

  it.each([
    [undefined, '1'],
    [{ limits: { cpu: '500m' } }, '1'],
    [{ limits: { cpu: '3900m' } }, '3'],
    [{ requests: { cpu: 2 } }, '2'],
    [{ requests: { cpu: 2 }, limits: { cpu: '4' } }, '4'],
  ])('runs as many threads as it has whole CPUs: %j → %s', (resources, threads) => {
    expect(flags(resources ? { resources } : {})['--threads']).toBe(threads);
  });

  it.each([
    [undefined, '0'],
    [{ limits: { memory: '1Gi' } }, '256'],
    [{ limits: { memory: '64Gi' } }, '8192'],
    [{ requests: { memory: '64Gi' } }, '0'],
  ])('keeps its prompt cache well below the memory limit: %j → %s MiB', (resources, mib) => {
    expect(flags(resources ? { resources } : {})['--cache-ram']).toBe(mib);
  });

  it('applies an adapter, and takes a chat template in place of the model’s own', () => {
    const { args } = llamaCpp.container({
      servedName: 'a',
      modelPath: '/models/a.gguf',
      adapterPath: '/adapter/triage.gguf',
      promptTemplatePath: '/prompt-template/template.jinja',
      spec: base,
    });
    const line = args.join(' ');
    expect(line).toContain('--lora /adapter/triage.gguf');
    expect(line).toContain('--jinja --chat-template-file /prompt-template/template.jinja');
    expect(flags({})).not.toHaveProperty('--lora');
    expect(flags({})).not.toHaveProperty('--chat-template-file');
  });

  it('puts layers on GPUs only where there are some', () => {
    expect(flags({})).not.toHaveProperty('--gpu-layers');
    expect(flags({ gpu: { profile: 'nvidia-l4', count: 1 } })['--gpu-layers']).toBe('all');
  });

  it('serves embeddings only for that task', () => {
    expect(flags({})).not.toHaveProperty('--embeddings');
    expect(flags({ task: 'Embedding' })).toHaveProperty('--embeddings');
  });
});
