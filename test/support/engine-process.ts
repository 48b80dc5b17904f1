import { type ChildProcess, spawn } from 'node:child_process';

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
