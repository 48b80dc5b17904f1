import type { Case } from './cases.ts';
import { type Figures, perEvent, type Soak } from './figures.ts';
import { full, type Load, paced, quantile } from './load.ts';
import { type Running, usageOf } from './programs.ts';

export interface Options {
  /** Of each measurement, at full load and at half. */
  seconds: number;
  /** Until the compiler is done: its work would count as the program's. */
  warmUpSeconds: number;
  connections: number;
}

/** What a program can do when it is asked as much as it can take. */
export interface AtFullLoad {
  cpuMicrosPerRequest: number;
  requestsPerSecond: number;
  errors: number;
}

/** Full load on several programs in turns, so that what else the machine does falls on all of them. By program. */
export async function atFullLoad(
  running: ReadonlyMap<string, Running>,
  kind: Case,
  { seconds, warmUpSeconds, connections }: Options,
): Promise<Map<string, AtFullLoad>> {
  for (const program of running.values()) await full(program, kind, { connections, seconds: warmUpSeconds });
  const turns = 3;
  const sums = new Map([...running.keys()].map((name) => [name, { cpu: 0, requests: 0, seconds: 0, errors: 0 }]));
  for (let turn = 0; turn < turns; turn++) {
    for (const [name, program] of running) {
      const before = await usageOf(program);
      const load = await full(program, kind, { connections, seconds: seconds / turns });
      const after = await usageOf(program);
      const sum = sums.get(name) as { cpu: number; requests: number; seconds: number; errors: number };
      sum.cpu += after.cpuSeconds - before.cpuSeconds;
      sum.requests += load.requests;
      sum.seconds += load.seconds;
      sum.errors += load.errors;
    }
  }
  return new Map(
    [...sums].map(([name, sum]) => [
      name,
      {
        cpuMicrosPerRequest: (1e6 * sum.cpu) / sum.requests,
        requestsPerSecond: sum.requests / sum.seconds,
        errors: sum.errors,
      },
    ]),
  );
}

/** What a program adds to the latency of the backend at a rate, the two asked one after the other. */
export async function atRate(
  { program, backend, kind, rate }: { program: Running; backend: Running; kind: Case; rate: number },
  { seconds, connections }: Options,
): Promise<{ addedP50Ms: number; addedP99Ms: number; errors: number }> {
  const direct = sorted(await paced(backend, kind, { rate, connections, seconds }));
  const load = await paced(program, kind, { rate, connections, seconds });
  const through = sorted(load);
  const added = (q: number): number => quantile(through, q) - quantile(direct, q);
  return { addedP50Ms: added(0.5), addedP99Ms: added(0.99), errors: load.errors };
}

function sorted({ latenciesMs }: Load): number[] {
  return latenciesMs.toSorted((a, b) => a - b);
}

/** All figures of one case for several programs, of which one is `cadre`. */
export async function measure(
  running: ReadonlyMap<string, Running>,
  backend: Running,
  kind: Case,
  { processes, options }: { processes: number; options: Options },
): Promise<Figures[]> {
  const loads = await atFullLoad(running, kind, options);
  const cadre = loads.get('cadre')?.requestsPerSecond ?? Number.POSITIVE_INFINITY;
  const figures: Figures[] = [];
  for (const [name, program] of running) {
    const load = loads.get(name) as AtFullLoad;
    const halfLoad = Math.min(load.requestsPerSecond, cadre) / 2;
    const { errors, ...added } = await atRate({ program, backend, kind, rate: halfLoad }, options);
    figures.push({
      case: kind.name,
      program: name,
      processes,
      cpuMicrosPerRequest: load.cpuMicrosPerRequest,
      ...perEvent(kind, load.cpuMicrosPerRequest),
      requestsPerSecond: load.requestsPerSecond,
      halfLoad,
      ...added,
      peakMemoryBytes: (await usageOf(program)).peak,
      errors: load.errors + errors,
    });
  }
  return figures;
}

/** Many requests through the router, and what it holds after each fifth of them. */
export async function soak(cadre: Running, kind: Case, requests: number, connections: number): Promise<Soak> {
  const memoryBytes: number[] = [];
  let errors = 0;
  for (let fifth = 0; fifth < 5; fifth++) {
    const load = await full(cadre, kind, { connections, seconds: 600, requests: Math.ceil(requests / 5) });
    errors += load.errors;
    memoryBytes.push((await usageOf(cadre)).now);
  }
  return { case: 'soak', program: 'cadre', processes: 1, requests, memoryBytes, errors };
}
