import type { Calls } from './operator-process.ts';
import { say } from './progress.ts';

/** For how long the operator is watched when it has nothing to do. */
export const idleSeconds = 60;

/** What `--json` writes. Seconds, bytes, counts. */
export interface Figures {
  models: number;
  /** From the first create until the last child is present and the last model has its first status. */
  wallSeconds: number;
  floorWallSeconds: number;
  floorCpuSeconds: number;
  /** The operator's, from its start until nothing is written any more. */
  cpuSeconds: number;
  peakMemoryBytes: number;
  /** The operator's, those of the Lease apart, until nothing is written any more. */
  writes: number;
  idleWrites: number;
  idleCpuSeconds: number;
  callsByVerb: Calls['byVerb'];
  /** The operator's CPU before the first model. */
  startCpuSeconds: number;
  /** The operator's CPU when `wallSeconds` ended. */
  wallCpuSeconds: number;
  /** From the first create until nothing is written any more. */
  settledSeconds: number;
  idleMemoryBytes: number;
}

/** Prints what was measured beside what it may be at most. */
export function report(figures: Figures): void {
  const { models, wallSeconds, floorWallSeconds, cpuSeconds, peakMemoryBytes, writes, idleWrites, idleCpuSeconds } =
    figures;
  const megabytes = peakMemoryBytes / 1e6;
  const share = (100 * idleCpuSeconds) / idleSeconds;
  const fleet = models / 1000;
  const rows: [string, string, string, boolean][] = [
    [
      'wall time',
      `${wallSeconds.toFixed(1)} s`,
      `1.25 × floor = ${(1.25 * floorWallSeconds).toFixed(1)} s`,
      wallSeconds <= 1.25 * floorWallSeconds,
    ],
    ['operator CPU', `${cpuSeconds.toFixed(1)} s`, `${(10 * fleet).toFixed(0)} s`, cpuSeconds <= 10 * fleet],
    [
      'peak memory',
      `${megabytes.toFixed(0)} MB`,
      `${(150 * Math.max(1, fleet)).toFixed(0)} MB`,
      megabytes <= 150 * Math.max(1, fleet),
    ],
    ['writes a model', (writes / models).toFixed(2), '8', writes <= 8 * models],
    [`writes in ${idleSeconds} s at rest`, String(idleWrites), '0', idleWrites === 0],
    [`CPU in ${idleSeconds} s at rest`, `${share.toFixed(2)} % of a core`, '1 %', share < 1],
  ];
  say(`\n${models} models; floor ${floorWallSeconds.toFixed(1)} s wall, ${figures.floorCpuSeconds.toFixed(1)} s CPU\n`);
  say(line('', 'measured', 'at most', ''));
  for (const [what, is, most, met] of rows) say(line(what, is, most, met ? 'met' : 'MISSED'));
  say(`\ncalls by verb: ${JSON.stringify(figures.callsByVerb)}`);
}

function line(...cells: string[]): string {
  return cells
    .map((cell, i) => cell.padEnd([24, 20, 24, 6][i] ?? 0))
    .join('')
    .trimEnd();
}
