import { isAbsolute } from 'node:path';
import { ensureLlamaServer } from '../../hack/engines/llama-server.ts';
import { ensureModels } from '../../hack/engines/models.ts';
import { freePort } from '../../hack/local-cluster/ports.ts';
import { engineContract } from '../support/engine-contract.ts';
import { startProcess } from '../support/engine-process.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const llama = await ensureLlamaServer(say);
const { smollm2 } = await ensureModels(say);

engineContract(`llama-server ${llama.version}`, {
  engine: 'LlamaCpp',
  async start(args = []) {
    const port = await freePort();
    // One thread: those of a pool wait for each other, and on shared cores all of them wait for the slowest.
    const flags = ['--threads', '1', '-np', '2', '-c', '2048', '--alias', 'smollm2', '--metrics', '--cache-ram', '0'];
    const command = [
      ...llama.command,
      '--model',
      smollm2,
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      ...flags,
      ...args,
    ];
    return startProcess(command, { port, model: 'smollm2', env: llama.env, cwd: llama.cwd });
  },
});

/** `CADRE_VLLM`: the `vllm` command of an installation, and `CADRE_VLLM_MODEL` a folder to serve. It is large, so few have it. */
const { CADRE_VLLM: vllm, CADRE_VLLM_MODEL: folder } = process.env;
if (vllm && folder && isAbsolute(vllm)) {
  engineContract('vLLM', {
    engine: 'VLLM',
    async start(args = []) {
      const port = await freePort();
      const flags = [
        '--served-model-name',
        'tiny',
        '--max-num-seqs',
        '2',
        '--max-model-len',
        '1024',
        '--enforce-eager',
      ];
      const command = [vllm, 'serve', folder, '--host', '127.0.0.1', '--port', String(port), ...flags, ...args];
      const env = { HF_HUB_OFFLINE: '1', VLLM_NO_USAGE_STATS: '1', VLLM_CPU_KVCACHE_SPACE: '1' };
      return startProcess(command, { port, model: 'tiny', env });
    },
  });
} else say('vLLM is not tried: set CADRE_VLLM to its command and CADRE_VLLM_MODEL to a folder with a model');
