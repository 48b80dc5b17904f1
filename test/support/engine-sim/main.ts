#!/usr/bin/env node
import { basename } from 'node:path';
import { dialects, startSimulator } from './server.ts';

/**
 * `vllm serve DIR …` or `llama-server …`: which one is told by the name that it was started under, or by the first
 * argument. The same flags as the real engine, and its exit codes.
 */
const [, script = '', ...rest] = process.argv;
const own = basename(script);
const [name, args] = own in dialects ? [own, rest] : [rest[0] ?? '', rest.slice(1)];
const simulator = startSimulator(name, args, {
  env: process.env,
  write: (text) => process.stderr.write(text),
  exit: (code) => process.exit(code),
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => simulator?.terminate());
