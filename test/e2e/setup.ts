import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { stateDir } from '../../hack/cache.ts';
import { installChart } from '../../hack/install.ts';
import { down, up } from '../../hack/local-cluster/cluster.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The state folder of the cluster that all end-to-end tests share. */
    clusterDir: string;
  }
}

/**
 * A cluster of the tests' own, with Cadre installed from its chart: a user's cluster on the same machine is left alone.
 * `CADRE_KEEP_CLUSTER=1` leaves it running, so that the next run starts in seconds and a failure can be looked at.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = (line: string): void => console.log(`e2e: ${line}`);
  const dir = stateDir('e2e-cluster');
  const cluster = await up({ log, dir, images: ['llama-server', 'cadre', 'engine-sim'] });
  await installChart(cluster, log, [join(import.meta.dirname, 'values.yaml')]);
  await makeModelFiles(cluster.models);
  project.provide('clusterDir', dir);
  return async () => {
    if (process.env['CADRE_KEEP_CLUSTER']) return;
    await down({ log, dir });
    await rm(dir, { recursive: true, force: true });
  };
}

/** Beside the real models: a file that is none, and a folder that has the shape of a model for vLLM's simulator. */
async function makeModelFiles(folder: string): Promise<void> {
  await writeFile(join(folder, 'broken.gguf'), 'this is not a model\n');
  await mkdir(join(folder, 'vllm'), { recursive: true });
  await writeFile(join(folder, 'vllm/config.json'), JSON.stringify({ architectures: ['LlamaForCausalLM'] }));
  // A safetensors file without tensors: eight bytes with the length of its header, and the header.
  const header = Buffer.from('{}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await writeFile(join(folder, 'vllm/model.safetensors'), Buffer.concat([length, header]));
}
