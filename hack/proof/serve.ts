import { type EngineProcess, startProcess, untilHealthy } from '../../test/support/engine-process.ts';
import { type Log, sha256File } from '../cache.ts';
import { ensureLlamaServer } from '../engines/llama-server.ts';
import { freePort } from '../local-cluster/ports.ts';

/** What a llama-server is to serve. */
export interface Serving {
  /** A GGUF file of weights. */
  model: string;
  /** A GGUF file of a LoRA adapter. */
  adapter?: string | undefined;
  /** A file with the chat template to use instead of the model's own. */
  chatTemplate?: string | undefined;
  /** Tokens of prompt and answer together. */
  context?: number;
  log: Log;
}

/** A running llama-server; ended when disposed. */
export interface Served extends EngineProcess {
  /** What its answers depend on: its version and the checksums of its files. */
  identity: string;
  /** e.g. `0.7.0` */
  version: string;
}

/**
 * Starts the real llama-server on a free port of this machine and waits until it is healthy. One thread and one slot: on
 * shared cores the threads of a pool wait for the slowest, and a message costs what it costs on one core.
 */
export async function serve({ model, adapter, chatTemplate, context = 4096, log }: Serving): Promise<Served> {
  const server = await ensureLlamaServer(log);
  const port = await freePort();
  const files = [model, adapter, chatTemplate].filter((path) => path !== undefined);
  const identity = [server.version, ...(await Promise.all(files.map(sha256File)))].join(' ');
  const flags = ['--host', '127.0.0.1', '--port', String(port), '--threads', '1', '-np', '1', '--cache-ram', '0'];
  if (adapter !== undefined) flags.push('--lora', adapter);
  if (chatTemplate !== undefined) flags.push('--jinja', '--chat-template-file', chatTemplate);
  const command = [...server.command, '--model', model, '-c', String(context), ...flags];
  const engine = startProcess(command, { port, model: 'proof', env: server.env, cwd: server.cwd });
  try {
    // Long enough for a machine that is busy with other things.
    await untilHealthy(engine, 600_000);
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
  return Object.assign(engine, { identity, version: server.version });
}
