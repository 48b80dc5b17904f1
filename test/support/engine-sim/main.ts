#!/usr/bin/env node
import { basename } from 'node:path';
import { FlagError } from './core/flags.ts';
import { dialects, startSimulator } from './server.ts';

/**
 * `vllm serve DIR …` or `llama-server …`: which one is told by the name that it was started under, or by the first
 * argument. The same flags as the real engine, and its exit codes.
 */
const [, script = '', ...rest] = process.argv;
const own = basename(script);
const [name, args] = own in dialects ? [own, rest] : [rest[0] ?? '', rest.slice(1)];
try {
  const simulator = startSimulator(name, args, process.env, (code) => process.exit(code));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => simulator.terminate());
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  // argparse's exit code for a wrong command line is 2; a model that can't be loaded is 1 for both.
  const wrongArguments = error instanceof FlagError && name === 'vllm' && /argument/.test(error.message);
  process.exitCode = wrongArguments ? 2 : 1;
}
