import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EngineType } from '../../../crds/v1alpha1/specialized-model.ts';
import { ggufFile, safetensorsFile } from '../hub/models.ts';
import type { Faults } from './core/faults.ts';

/** An engine as a process of its own, simulated or real. */
export interface EngineProcess extends AsyncDisposable {
  /** e.g. `http://127.0.0.1:41234` */
  url: string;
  port: number;
  model: string;
  kill(signal: NodeJS.Signals): void;
  /** Exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
  /** What it wrote so far. */
  output(): string;
}

export interface SimulatedEngine extends EngineProcess {
  setFaults(faults: Faults): Promise<void>;
  crash(): Promise<void>;
  /** Bodies of the inference requests that came, with their paths and headers. */
  requests(): Promise<{ path: string; headers: Record<string, string>; body: string }[]>;
}

export interface SimulatorOptions {
  engine: EngineType;
  /** Name that it serves; default `tiny`. */
  model?: string;
  /** More flags of the engine. */
  args?: string[];
  /** `SIM_…` variables. */
  env?: Record<string, string>;
  port?: number;
  /** `config.json` of a vLLM model. */
  config?: object;
}

const main = fileURLToPath(new URL('main.ts', import.meta.url));

/** Starts the simulator with a model file of its own; it is not awaited to be healthy. */
export async function startEngineSim(options: SimulatorOptions): Promise<SimulatedEngine> {
  const { engine, model = 'tiny', args = [], env = {} } = options;
  const port = options.port ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), 'cadre-engine-sim-'));
  await writeFile(join(folder, 'model.gguf'), ggufFile(1000));
  await writeFile(join(folder, 'model.safetensors'), safetensorsFile(1000));
  await writeFile(
    join(folder, 'config.json'),
    JSON.stringify(options.config ?? { architectures: ['LlamaForCausalLM'] }),
  );
  const common = ['--host', '127.0.0.1', '--port', String(port)];
  const command =
    engine === 'LlamaCpp'
      ? ['llama-server', '--model', join(folder, 'model.gguf'), '--alias', model, '--metrics', ...common, ...args]
      : ['vllm', 'serve', folder, '--served-model-name', model, ...common, ...args];
  const running = startProcess([process.execPath, main, ...command], { port, model, env });
  const url = `${running.url}/__sim`;
  return {
    ...running,
    async setFaults(faults) {
      const { status } = await fetch(`${url}/faults`, { method: 'POST', body: JSON.stringify(faults) });
      if (status !== 200) throw new Error(`the simulator refused the faults with ${status}`);
    },
    async crash() {
      await fetch(`${url}/crash`, { method: 'POST' }).catch(() => undefined);
    },
    requests: async () =>
      (await (await fetch(`${url}/requests`)).json()) as Awaited<ReturnType<SimulatedEngine['requests']>>,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs an engine's command; ends it for good when disposed. */
export function startProcess(
  command: string[],
  options: { port: number; model: string; env?: Record<string, string>; cwd?: string },
): EngineProcess {
  const [file = '', ...args] = command;
  const child: ChildProcess = spawn(file, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-20_000);
    });
  const exited = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal as NodeJS.Signals)));
  });
  return {
    url: `http://127.0.0.1:${options.port}`,
    port: options.port,
    model: options.model,
    kill: (signal) => void child.kill(signal),
    exited,
    output: () => output,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited.catch(() => undefined);
    },
  };
}

/** Waits until the engine's health check says 200; fails with its output when it ends before. */
export async function untilHealthy(engine: EngineProcess, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  const running = Symbol('running');
  for (;;) {
    const status = await fetch(`${engine.url}/health`).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return;
    const ended = await Promise.race([engine.exited, Promise.resolve(running)]);
    if (ended !== running) throw new Error(`the engine ended with ${String(ended)}:\n${engine.output()}`);
    if (Date.now() > deadline) throw new Error(`the engine is not healthy after ${timeoutMs} ms:\n${engine.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port that is free now, on 127.0.0.1. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
