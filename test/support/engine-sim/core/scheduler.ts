import type { Settings } from './settings.ts';

/** Why a sequence ended. */
export type Ending = 'finished' | 'aborted' | 'cancelled';

/** One sequence that the engine works on. */
export interface Job {
  prompt: string[];
  /** Tokens of the answer, decided beforehand; the scheduler only spends the time. */
  length: number;
  /** Why it will end, when nothing comes between. */
  finish: string;
  /** The token at this place is there. */
  onToken: (at: number) => void;
  onEnd: (ending: Ending) => void;
  /** Spent once before the first token, e.g. compiling; in seconds. */
  extraSeconds?: number;
}

/** Times of one sequence, in seconds since the scheduler began; undefined until they come. */
export interface JobTimes {
  arrived: number;
  admitted?: number;
  firstToken?: number;
  lastToken?: number;
  ended?: number;
}

export interface Sequence {
  job: Job;
  times: JobTimes;
  cached: number;
  produced: number;
  cancel(): void;
}

export interface SchedulerEvents {
  onToken?: (sequence: Sequence, now: number) => void;
  onEnd?: (sequence: Sequence, ending: Ending) => void;
}

const rememberedPrompts = 64;

/**
 * Continuous batching, in time: so many seats, a queue without end, one prefill after the other, all seated sequences
 * decoding together and slowing each other, a memory of contexts that may run out. Time is the real one.
 */
export class Scheduler {
  readonly seats: number;
  readonly #settings: Settings;
  readonly #events: SchedulerEvents;
  readonly #began = performance.now();
  #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  #prompts: string[][] = [];
  #timer: NodeJS.Timeout | undefined;
  #last = 0;
  #frozen = false;
  readonly #left = new Map<Sequence, { prefill: number; credit: number }>();
  /** Counters and gauges that metrics are made from. */
  readonly totals = {
    promptTokens: 0,
    cachedTokens: 0,
    generatedTokens: 0,
    preemptions: 0,
    steps: 0,
    busySteps: 0,
    prefillSeconds: 0,
    decodeSeconds: 0,
    longest: 0,
  };

  constructor(seats: number, settings: Settings, events: SchedulerEvents = {}) {
    this.seats = seats;
    this.#settings = settings;
    this.#events = events;
  }

  get running(): number {
    return this.#running.length;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Share of the memory for contexts that is in use, 0 to 1. */
  get kvUsage(): number {
    return Math.min(1, this.#kvTokens() / this.#settings.kvTokens);
  }

  submit(job: Job): Sequence {
    const sequence: Sequence = {
      job,
      times: { arrived: this.#now() },
      cached: 0,
      produced: 0,
      cancel: () => this.#end(sequence, 'cancelled'),
    };
    this.#waiting.push(sequence);
    this.#admit();
    this.#schedule();
    return sequence;
  }

  /** Nothing moves any more, and nobody is told: llama-server after SIGTERM. */
  freeze(): void {
    this.#frozen = true;
    clearTimeout(this.#timer);
  }

  /** Ends everything now. */
  abortAll(): void {
    for (const sequence of [...this.#running, ...this.#waiting]) this.#end(sequence, 'aborted');
  }

  #now(): number {
    return (performance.now() - this.#began) / 1000;
  }

  #kvTokens(): number {
    return this.#running.reduce((sum, { job, produced }) => sum + job.prompt.length + produced, 0);
  }

  #admit(): void {
    while (!this.#frozen && this.#running.length < this.seats) {
      const next = this.#waiting[0];
      if (!next) return;
      const fits = this.#kvTokens() + next.job.prompt.length + next.produced < this.#settings.kvTokens;
      if (!fits && this.#running.length > 0) return;
      this.#waiting.shift();
      this.#running.push(next);
      next.times.admitted ??= this.#now();
      next.cached = this.#cachedOf(next.job.prompt);
      const fresh = next.job.prompt.length - next.cached;
      this.totals.promptTokens += fresh;
      this.totals.cachedTokens += next.cached;
      this.#left.set(next, { prefill: fresh / this.#settings.prefillRate + (next.job.extraSeconds ?? 0), credit: 0 });
    }
  }

  /** Tokens of the prompt that an earlier one began with; the last is always worked on. */
  #cachedOf(prompt: string[]): number {
    let best = 0;
    for (const earlier of this.#prompts) {
      let same = 0;
      while (same < prompt.length - 1 && earlier[same] === prompt[same]) same++;
      best = Math.max(best, same);
    }
    this.#prompts = [prompt, ...this.#prompts].slice(0, rememberedPrompts);
    return best;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#frozen || this.#running.length === 0) return;
    this.#last = this.#now();
    const step = () => {
      this.#timer = undefined;
      this.#step();
      if (this.#running.length > 0 && !this.#frozen) this.#timer = setTimeout(step, this.#pauseMs());
    };
    this.#timer = setTimeout(step, this.#pauseMs());
  }

  #pauseMs(): number {
    return Math.max(1, Math.floor(1000 / this.#settings.decodeRate));
  }

  /** What happened in the time since the last step: first prefills, one after the other, then a few tokens for each. */
  #step(): void {
    const now = this.#now();
    const elapsed = now - this.#last;
    this.#last = now;
    let seconds = elapsed;
    this.totals.steps++;
    this.totals.busySteps += this.#running.length;
    for (const sequence of this.#running) {
      const left = this.#left.get(sequence);
      if (!left || left.prefill <= 0) continue;
      const spent = Math.min(seconds, left.prefill);
      left.prefill -= spent;
      seconds -= spent;
      this.totals.prefillSeconds += spent;
      if (left.prefill > 1e-9) break;
      left.prefill = 0;
      // The prefill brings the first token.
      left.credit = 1;
    }
    const rate = this.#settings.decodeRate / (1 + this.#settings.batchSlowdown * (this.#running.length - 1));
    this.totals.decodeSeconds += elapsed;
    // Chunked prefill: those that decode go on meanwhile.
    for (const sequence of this.#running.slice()) this.#decode(sequence, elapsed * rate);
    this.#preempt();
    this.#admit();
  }

  #decode(sequence: Sequence, tokens: number): void {
    const left = this.#left.get(sequence);
    if (!left || left.prefill > 0) return;
    left.credit += tokens;
    while (left.credit >= 1 && sequence.produced < sequence.job.length && !this.#frozen) {
      left.credit -= 1;
      const now = this.#now();
      sequence.times.firstToken ??= now;
      const at = sequence.produced++;
      this.totals.generatedTokens++;
      this.totals.longest = Math.max(this.totals.longest, sequence.job.prompt.length + sequence.produced);
      this.#events.onToken?.(sequence, now);
      sequence.times.lastToken = now;
      sequence.job.onToken(at);
      if (!this.#left.has(sequence)) return;
    }
    if (sequence.produced >= sequence.job.length) this.#end(sequence, 'finished');
  }

  /** Out of memory: the youngest gives its place back and starts again later, as vLLM does. */
  #preempt(): void {
    while (this.#running.length > 1 && this.#kvTokens() > this.#settings.kvTokens) {
      const youngest = this.#running.pop() as Sequence;
      this.#left.delete(youngest);
      this.totals.preemptions++;
      this.#waiting.unshift(youngest);
    }
  }

  #end(sequence: Sequence, ending: Ending): void {
    if (sequence.times.ended !== undefined) return;
    sequence.times.ended = this.#now();
    this.#running = this.#running.filter((one) => one !== sequence);
    this.#waiting = this.#waiting.filter((one) => one !== sequence);
    this.#left.delete(sequence);
    this.#events.onEnd?.(sequence, ending);
    sequence.job.onEnd(ending);
    if (this.#running.length === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    this.#admit();
    this.#schedule();
  }
}
