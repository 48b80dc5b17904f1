import { engineContract } from '../engine-contract.ts';
import { startEngineSim } from './start.ts';

const slow = { SIM_START_SECONDS: '0.2', SIM_DECODE_TOKENS_PER_SECOND: '150' };

engineContract('simulated llama-server', {
  engine: 'LlamaCpp',
  start: (args = []) => startEngineSim({ engine: 'LlamaCpp', env: slow, args: ['-np', '2', '-c', '2048', ...args] }),
});

engineContract('simulated vLLM', {
  engine: 'VLLM',
  start: (args = []) =>
    startEngineSim({ engine: 'VLLM', env: slow, args: ['--max-num-seqs', '2', '--max-model-len', '1024', ...args] }),
});
