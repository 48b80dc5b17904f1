import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ensureVenv } from '../../../hack/python.ts';
import type { Running } from '../programs.ts';
import { freePort, startPeer } from './process.ts';

/** LiteLLM's proxy, with so many workers. */
export async function startLiteLLM(backendPort: number, processes: number): Promise<Running> {
  const python = await ensureVenv(join(import.meta.dirname, 'requirements-litellm.txt'), (line) => console.log(line));
  const folder = await mkdtemp(join(tmpdir(), 'cadre-litellm-'));
  const config = join(folder, 'config.json');
  const models = ['plain', 'classified', 'escalated'].map((name) => ({
    model_name: name,
    litellm_params: { model: `openai/${name}`, api_base: `http://127.0.0.1:${backendPort}/v1`, api_key: 'none' },
  }));
  await writeFile(config, JSON.stringify({ model_list: models }));
  const port = await freePort();
  const args = ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--num_workers', String(processes)];
  const script = join(dirname(python), 'litellm');
  const peer = await startPeer(python, [script, ...args], {
    port,
    env: {
      LITELLM_LOCAL_MODEL_COST_MAP: 'True',
      LITELLM_TELEMETRY: 'False',
      LITELLM_LOG: 'ERROR',
      // Without a key it refuses to start.
      LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY: 'true',
    },
    timeoutMs: 180_000,
  });
  return {
    ports: [port],
    headers: ['authorization', 'Bearer none'],
    pids: [peer.pid],
    async stop() {
      await peer.stop();
      await rm(folder, { recursive: true });
    },
  };
}
