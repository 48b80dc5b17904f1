import type { Rule } from '../rules.ts';
import type { ModelSourceSpec, SourceField } from './model-source.ts';

interface Spec {
  engine: { type: 'VLLM' | 'LlamaCpp' };
  model: ModelSourceSpec;
}

type Source = Pick<ModelSourceSpec, 'uri' | 'sha256'>;

/** What each engine can open: LlamaCpp one GGUF file, VLLM a folder, of weights and of adapters alike. */
export function sourceForEngine(field: SourceField): Rule<Spec>[] {
  const at = `self.${field}`;
  const [there, folder] =
    field === 'model'
      ? ['', 'a folder or repository with safetensors']
      : [`!has(${at}) || `, 'a PEFT folder or repository'];
  const rule = (
    type: Spec['engine']['type'],
    { cel, holds, message, name }: { cel: string; holds: (source: Source) => boolean; message: string; name: string },
  ): Rule<Spec> => ({
    rule: `self.engine.type != '${type}' || ${there}${cel}`,
    holds: ({ engine, model }) => {
      const source = field === 'model' ? model : model.adapter;
      return engine.type !== type || source === undefined || holds(source);
    },
    message,
    fieldPath: `.${field}.${name}`,
  });
  const uri = `${field}.uri`;
  return [
    rule('LlamaCpp', {
      name: 'uri',
      cel: `(${at}.uri.endsWith('.gguf') && !${at}.uri.matches(r'^hf://[^/]+/[^/]+$'))`,
      holds: (source) => source.uri.endsWith('.gguf') && !/^hf:\/\/[^/]+\/[^/]+$/.test(source.uri),
      message: `${uri} must name one file that ends in .gguf, as engine.type is LlamaCpp; with hf: hf://OWNER/REPO/FILE.gguf`,
    }),
    rule('VLLM', {
      name: 'uri',
      cel: `!${at}.uri.startsWith('https://')`,
      holds: (source) => !source.uri.startsWith('https://'),
      message: `${uri} must be hf:// or pvc://, as engine.type is VLLM, which loads a folder; https:// is one file`,
    }),
    rule('VLLM', {
      name: 'uri',
      cel: `!${at}.uri.endsWith('.gguf')`,
      holds: (source) => !source.uri.endsWith('.gguf'),
      message: `${uri} must be ${folder}, as engine.type is VLLM; for a .gguf file set engine.type: LlamaCpp`,
    }),
    rule('VLLM', {
      name: 'uri',
      cel: `!${at}.uri.matches(r'^hf://[^/]+/[^/]+/')`,
      holds: (source) => !/^hf:\/\/[^/]+\/[^/]+\//.test(source.uri),
      message: `${uri} must be the whole repository, hf://OWNER/REPO, as engine.type is VLLM`,
    }),
    rule('VLLM', {
      name: 'sha256',
      cel: `!has(${at}.sha256)`,
      holds: (source) => source.sha256 === undefined,
      message: `${field}.sha256 is of one file, and engine.type VLLM loads many; remove it: ${field}.revision pins them all`,
    }),
  ];
}
