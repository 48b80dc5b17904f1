import { engineContract } from '../engine-contract.ts';
import { startEngineSim } from './start.ts';

const env = { SIM_START_SECONDS: '0.2', SIM_DECODE_TOKENS_PER_SECOND: '150' };

engineContract('simulated vLLM', {
  engine: 'VLLM',
  start: (args = []) =>
    startEngineSim({
      engine: 'VLLM',
      env,
      ownProcess: true,
      args: ['--max-num-seqs', '2', '--max-model-len', '1024', ...args],
    }),
});
