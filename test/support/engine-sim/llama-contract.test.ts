import { engineContract } from '../engine-contract.ts';
import { startEngineSim } from './start.ts';

const env = { SIM_START_SECONDS: '0.2', SIM_DECODE_TOKENS_PER_SECOND: '150' };

engineContract('simulated llama-server', {
  engine: 'LlamaCpp',
  start: (args = []) =>
    startEngineSim({ engine: 'LlamaCpp', env, ownProcess: true, args: ['-np', '2', '-c', '2048', ...args] }),
});
