import { type Case, eventsPerStream } from './cases.ts';

/** One case of one program in so many processes: what `--json` writes. Microseconds of CPU are the operating system's. */
export interface Figures {
  case: Case['name'];
  program: string;
  processes: number;
  cpuMicrosPerRequest: number;
  /** Of streams. */
  cpuMicrosPerEvent?: number;
  /** At full load. */
  requestsPerSecond: number;
  /** Requests a second at which latency was measured: half of what Cadre does at full load, or of what the program does, whichever is less. */
  halfLoad: number;
  /** What the program adds at half load to asking the backend directly, in ms. */
  addedP50Ms: number;
  addedP99Ms: number;
  /** Of all its processes together. */
  peakMemoryBytes: number;
  errors: number;
}

/** Resident memory of the router over many plain requests: its growth is the last over the first. */
export interface Soak {
  case: 'soak';
  program: 'cadre';
  processes: 1;
  requests: number;
  /** After each fifth of the requests. */
  memoryBytes: number[];
  errors: number;
}

/** What the router is to reach beside the bare proxy and Portkey, by case. */
export function goals(figures: readonly Figures[]): { what: string; is: string; most: string; met: boolean }[] {
  const one = (program: string, name: Figures['case']) =>
    figures.find((figure) => figure.program === program && figure.case === name && figure.processes === 1);
  const atMost = (what: string, is: number | undefined, most: number) =>
    is === undefined ? [] : [{ what, is: is.toFixed(2), most: `at most ${most}`, met: is <= most }];
  const ratio = (name: Figures['case']) => {
    const [cadre, bare] = [one('cadre', name), one('bare', name)];
    return cadre && bare && cadre.cpuMicrosPerRequest / bare.cpuMicrosPerRequest;
  };
  const [cadre, bare, portkey] = [one('cadre', 'plain'), one('bare', 'plain'), one('portkey', 'plain')];
  const less = cadre && portkey && portkey.cpuMicrosPerRequest / cadre.cpuMicrosPerRequest;
  return [
    ...atMost('plain: CPU of Cadre / bare', ratio('plain'), 1.5),
    ...atMost('streamed: CPU of Cadre / bare', ratio('streamed'), 1.5),
    ...atMost('classified: CPU of Cadre / bare', ratio('classified'), 2),
    ...atMost('plain: p99 that Cadre adds more than bare, ms', cadre && bare && cadre.addedP99Ms - bare.addedP99Ms, 2),
    ...(less === undefined
      ? []
      : [{ what: 'plain: CPU of Portkey / Cadre', is: less.toFixed(2), most: 'at least 7', met: less >= 7 }]),
  ];
}

/** A line of the table that is printed. */
export function describe(one: Figures): string {
  const event = one.cpuMicrosPerEvent === undefined ? '' : ` (${one.cpuMicrosPerEvent.toFixed(2)} an event)`;
  return [
    one.case.padEnd(10),
    `${one.program} ×${one.processes}`.padEnd(12),
    `${one.cpuMicrosPerRequest.toFixed(1)} µs CPU${event}`.padEnd(30),
    `${one.requestsPerSecond.toFixed(0)} req/s`.padStart(12),
    `added p50 ${one.addedP50Ms.toFixed(2)}, p99 ${one.addedP99Ms.toFixed(2)} ms at ${one.halfLoad.toFixed(0)}/s`.padEnd(
      48,
    ),
    `${(one.peakMemoryBytes / 2 ** 20).toFixed(0)} MiB`.padStart(9),
    one.errors === 0 ? '' : `${one.errors} ERRORS`,
  ].join(' ');
}

/** CPU per event, for streams. */
export function perEvent({ streamed }: Case, cpuMicrosPerRequest: number): { cpuMicrosPerEvent?: number } {
  return streamed ? { cpuMicrosPerEvent: cpuMicrosPerRequest / eventsPerStream } : {};
}
