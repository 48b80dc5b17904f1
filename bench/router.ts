import { type ChildProcess, fork } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { clientKey, eventsPerStream, type Part, request, startPart } from './router/parts.ts';

const help = `npm run bench:router -- [--seconds N] [--warm-up SECONDS] [--connections N] [--json FILE]

Sends the same requests through the router and through a bare Node proxy that parses them, in turns, against a backend that
answers at once, and prints what each costs: CPU of the process by the operating system's account.`;

/** One case of one program. Microseconds of CPU are per request, and per event of a stream. */
interface Figures {
  case: 'plain' | 'streamed';
  program: 'router' | 'bare';
  cpuMicrosPerRequest: number;
  cpuMicrosPerEvent?: number;
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  peakMemoryBytes: number;
  errors: number;
}

/** What a part tells of itself when it is asked. */
interface Told {
  port?: number;
  cpuMicros?: number;
  memoryBytes?: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '6' },
      connections: { type: 'string', default: '32' },
      'warm-up': { type: 'string', default: '5' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const seconds = Number(values.seconds);
  const connections = Number(values.connections);
  const warmUp = Number(values['warm-up']);
  const backend = await start('backend', 0);
  const programs = { router: await start('router', backend.port), bare: await start('bare', backend.port) };
  const figures: Figures[] = [];
  try {
    for (const kind of ['plain', 'streamed'] as const) {
      // Until the compiler is done with it: its work would count as the program's.
      for (const program of ['bare', 'router'] as const) await load(programs[program], kind, connections, warmUp);
      // In turns, so that what else the machine does falls on both.
      const rounds = { bare: [] as Load[], router: [] as Load[] };
      for (let round = 0; round < 3; round++) {
        for (const program of ['bare', 'router'] as const)
          rounds[program].push(await load(programs[program], kind, connections, seconds / 3));
      }
      for (const program of ['bare', 'router'] as const) {
        const one = figuresOf(kind, program, rounds[program]);
        figures.push(one);
        console.log(describe(one));
      }
      const [bare, router] = figures.slice(-2) as [Figures, Figures];
      console.log(
        `${kind}: router / bare = ${(router.cpuMicrosPerRequest / bare.cpuMicrosPerRequest).toFixed(2)} × CPU\n`,
      );
    }
  } finally {
    for (const { child } of [programs.router, programs.bare, backend]) child.kill('SIGKILL');
  }
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
}

interface Program {
  child: ChildProcess;
  port: number;
  usage(): Promise<{ cpuMicros: number; memoryBytes: number }>;
}

async function start(part: Part, backendPort: number): Promise<Program> {
  const child = fork(fileURLToPath(import.meta.url), [], {
    env: { ...process.env, BENCH_PART: part, BENCH_BACKEND_PORT: String(backendPort) },
  });
  const answer = () => new Promise<Told>((resolve) => child.once('message', (told: Told) => resolve(told)));
  const { port = 0 } = await answer();
  return {
    child,
    port,
    async usage() {
      const told = answer();
      child.send('usage');
      const { cpuMicros = 0, memoryBytes = 0 } = await told;
      return { cpuMicros, memoryBytes };
    },
  };
}

async function runPart(part: Part): Promise<void> {
  const port = await startPart(part, Number(process.env['BENCH_BACKEND_PORT']));
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuMicros: user + system, memoryBytes: process.resourceUsage().maxRSS * 1024 } satisfies Told);
  });
  process.on('disconnect', () => process.exit());
  process.send?.({ port } satisfies Told);
}

interface Load {
  requests: number;
  errors: number;
  seconds: number;
  cpuMicros: number;
  memoryBytes: number;
  latenciesMs: number[];
}

async function load(program: Program, kind: Figures['case'], connections: number, seconds: number): Promise<Load> {
  const pool = new Pool(`http://127.0.0.1:${program.port}`, { connections });
  const body = JSON.stringify({ ...request, ...(kind === 'streamed' && { stream: true }) });
  const headers = ['content-type', 'application/json', 'authorization', `Bearer ${clientKey}`];
  const before = await program.usage();
  const began = performance.now();
  const end = began + seconds * 1000;
  const latenciesMs: number[] = [];
  let errors = 0;
  const once = () =>
    new Promise<void>((resolve) => {
      const sent = performance.now();
      let status = 0;
      let last = '';
      pool.dispatch(
        { method: 'POST', path: '/v1/chat/completions', headers, body },
        {
          onRequestStart: () => undefined,
          onResponseStart(_, code) {
            status = code;
          },
          onResponseData(_, part) {
            last = part.toString('latin1', Math.max(0, part.length - 16));
          },
          onResponseEnd() {
            latenciesMs.push(performance.now() - sent);
            if (status !== 200 || (kind === 'streamed' && !last.includes('[DONE]'))) errors++;
            resolve();
          },
          onResponseError() {
            errors++;
            resolve();
          },
        },
      );
    });
  const client = async () => {
    while (performance.now() < end) await once();
  };
  await Promise.all(Array.from({ length: connections }, client));
  const elapsed = (performance.now() - began) / 1000;
  const after = await program.usage();
  await pool.destroy();
  await sleep(100);
  const cpuMicros = after.cpuMicros - before.cpuMicros;
  return {
    requests: latenciesMs.length,
    errors,
    seconds: elapsed,
    cpuMicros,
    memoryBytes: after.memoryBytes,
    latenciesMs,
  };
}

function figuresOf(kind: Figures['case'], program: Figures['program'], rounds: Load[]): Figures {
  const sum = (of: (round: Load) => number) => rounds.reduce((total, round) => total + of(round), 0);
  const requests = sum((round) => round.requests);
  const latencies = rounds.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b);
  const quantile = (q: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))] ?? Number.NaN;
  const cpu = sum((round) => round.cpuMicros) / requests;
  return {
    case: kind,
    program,
    cpuMicrosPerRequest: cpu,
    ...(kind === 'streamed' && { cpuMicrosPerEvent: cpu / eventsPerStream }),
    requestsPerSecond: requests / sum((round) => round.seconds),
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    peakMemoryBytes: Math.max(...rounds.map(({ memoryBytes }) => memoryBytes)),
    errors: sum((round) => round.errors),
  };
}

function describe(one: Figures): string {
  const event = one.cpuMicrosPerEvent === undefined ? '' : `, ${one.cpuMicrosPerEvent.toFixed(2)} µs/event`;
  const cpu = `${one.cpuMicrosPerRequest.toFixed(1)} µs CPU/request${event}`;
  const rest = `${one.requestsPerSecond.toFixed(0)} req/s, p50 ${one.p50Ms.toFixed(1)} ms, p99 ${one.p99Ms.toFixed(1)} ms`;
  return `${one.case.padEnd(9)}${one.program.padEnd(7)} ${cpu}, ${rest}, ${(one.peakMemoryBytes / 2 ** 20).toFixed(0)} MiB, ${one.errors} errors`;
}

const part = process.env['BENCH_PART'] as Part | undefined;
await (part === undefined ? main() : runPart(part));
