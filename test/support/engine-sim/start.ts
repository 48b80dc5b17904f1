import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EngineType } from '../../../crds/v1alpha1/specialized-model.ts';
import { freePort } from '../../../hack/local-cluster/ports.ts';
import { type EngineProcess, startProcess } from '../engine-process.ts';
import { ggufFile, safetensorsFile } from '../hub/models.ts';
import type { Faults } from './core/faults.ts';
import { startSimulator } from './server.ts';

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
  /** A process of its own, with real signals; else it lives in this one, and starts in no time. */
  ownProcess?: boolean;
}

const main = fileURLToPath(new URL('main.ts', import.meta.url));

/** Starts the simulator with a model file of its own; it need not be healthy yet. */
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
  const running = options.ownProcess
    ? startProcess([process.execPath, main, ...command], { port, model, env })
    : startHere(command, { port, model, env });
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

function startHere(
  [name = '', ...args]: string[],
  { port, model, env }: { port: number; model: string; env: Record<string, string> },
): EngineProcess {
  let settle: (code: number | NodeJS.Signals) => void = () => undefined;
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    settle = resolve;
  });
  let output = '';
  const write = (text: string): void => {
    output += text;
  };
  const simulator = startSimulator(name, args, { env, write, exit: (code) => void stop(code) });
  async function stop(code: number | NodeJS.Signals): Promise<void> {
    await simulator?.stop();
    settle(code);
  }
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    model,
    kill: (signal) => (signal === 'SIGKILL' ? void stop(signal) : simulator?.terminate()),
    exited,
    output: () => output,
    [Symbol.asyncDispose]: () => stop('SIGKILL'),
  };
}
