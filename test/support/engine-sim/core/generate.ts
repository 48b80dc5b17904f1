import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, answer, type Token } from './answer.ts';
import type { Generation } from './ask.ts';
import type { FaultPlan } from './faults.ts';
import { EventStream, type Exchange, onClientGone, sendJson } from './http.ts';
import type { Scheduler, Sequence } from './scheduler.ts';
import type { Settings } from './settings.ts';
import { tokenize } from './text.ts';

/** One choice of an answer. */
export interface Choice {
  index: number;
  tokens: Token[];
  finish: string;
}

export interface Usage {
  promptTokens: number;
  completionTokens: number;
  cachedTokens: number;
}

/** How a dialect words an answer. A piece that it does not send is undefined. */
export interface Wording {
  whole(choices: Choice[], usage: Usage): object;
  first(index: number): object | undefined;
  token(index: number, token: Token, finish: string | undefined): object;
  finish(index: number, reason: string, usage: Usage, last: boolean): object | undefined;
  usage(usage: Usage): object | undefined;
}

export interface GenerateOptions {
  exchange: Exchange;
  generation: Generation;
  wording: Wording;
  scheduler: Scheduler;
  settings: Settings;
  faults: FaultPlan;
  /** Longest prompt and answer together. */
  context: number;
  /** llama-server goes on when the client of an unstreamed request leaves. */
  cancelsUnary: boolean;
  pingMs: number;
  /** Words for a sequence that the engine aborted. */
  abortReason: string;
  extraSeconds: number;
  /** The first event of a stream that fails after its status was sent. */
  errorEvent: () => object;
}

/** Generates for one request and answers it, streamed or whole; ends when the answer has. */
export async function generate(options: GenerateOptions): Promise<void> {
  const { exchange, generation, faults } = options;
  const slow = faults.take('slow');
  if (slow) await sleep(slow.seconds * 1000);
  if (generation.stream && faults.take('errorEvent')) {
    const stream = new EventStream(exchange.response, 0);
    stream.send(options.errorEvent());
    stream.send('[DONE]');
    stream.end();
    return;
  }
  const cutAfter = faults.take('cut')?.afterTokens ?? Number.POSITIVE_INFINITY;
  const runs = plan(options);
  await (generation.stream ? streamed(options, runs, cutAfter) : whole(options, runs, cutAfter));
}

interface Run {
  index: number;
  prompt: string[];
  answer: Answer;
}

function plan({ generation, settings, context }: GenerateOptions): Run[] {
  const { prompts, n, maxTokens, temperature, seed, ignoreEos, stop, constraint } = generation;
  return prompts.flatMap((text, at) =>
    Array.from({ length: n }, (_, copy) => {
      const prompt = tokenize(text);
      const room = Math.max(0, context - prompt.length);
      const ask = {
        prompt: text,
        maxTokens: Math.min(room, maxTokens ?? room),
        temperature,
        seed: seed + copy,
        ignoreEos,
        stop,
        constraint,
      };
      return { index: at * n + copy, prompt, answer: answer(ask, settings) };
    }),
  );
}

/** Submits one run; the promise settles with its ending. */
function start(
  { scheduler, extraSeconds }: GenerateOptions,
  run: Run,
  onToken: (at: number) => void,
): { sequence: Sequence; ended: Promise<string> } {
  let settle: (ending: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => {
    settle = resolve;
  });
  const sequence = scheduler.submit({
    prompt: run.prompt,
    length: run.answer.tokens.length,
    finish: run.answer.finish,
    extraSeconds,
    onToken,
    onEnd: (ending) => settle(ending),
  });
  return { sequence, ended };
}

async function whole(options: GenerateOptions, runs: Run[], cutAfter: number): Promise<void> {
  const { exchange, cancelsUnary, abortReason, wording } = options;
  let produced = 0;
  const started = runs.map((run) =>
    start(options, run, () => {
      if (++produced >= cutAfter) exchange.response.destroy();
    }),
  );
  if (cancelsUnary) onClientGone(exchange, () => started.forEach(({ sequence }) => sequence.cancel()));
  const endings = await Promise.all(started.map(({ ended }) => ended));
  if (exchange.response.destroyed) return;
  const choices = runs.map((run, at) => ({
    index: run.index,
    tokens: run.answer.tokens.slice(0, started[at]?.sequence.produced),
    finish: endings[at] === 'aborted' ? abortReason : run.answer.finish,
  }));
  sendJson(exchange, 200, wording.whole(choices, usageOf(runs, started)));
}

async function streamed(options: GenerateOptions, runs: Run[], cutAfter: number): Promise<void> {
  const { exchange, generation, wording, abortReason, pingMs } = options;
  const stream = new EventStream(exchange.response, pingMs);
  let produced = 0;
  const started = runs.map((run) => {
    const { index, answer: planned } = run;
    const begun = start(options, run, (at) => {
      if (exchange.response.destroyed) return;
      const isLast = at === planned.tokens.length - 1;
      const first = at === 0 ? wording.first(index) : undefined;
      if (first) stream.send(first);
      stream.send(wording.token(index, planned.tokens[at] as Token, isLast ? planned.finish : undefined));
      if (++produced >= cutAfter) exchange.response.destroy();
    });
    return begun;
  });
  onClientGone(exchange, () => started.forEach(({ sequence }) => sequence.cancel()));
  let left = runs.length;
  await Promise.all(
    started.map(async ({ ended, sequence }, at) => {
      const run = runs[at] as Run;
      const ending = await ended;
      left--;
      if (ending === 'cancelled' || exchange.response.destroyed) return;
      const aborted = ending === 'aborted' || sequence.produced === 0;
      const reason = ending === 'aborted' ? abortReason : run.answer.finish;
      const chunk = wording.finish(run.index, reason, usageOf(runs, started), left === 0);
      if (chunk) stream.send(chunk);
      // The reason rides on the last token's chunk, and there was none.
      else if (aborted) stream.send(wording.token(run.index, { text: '', logprob: 0, alternatives: [] }, reason));
    }),
  );
  if (exchange.response.destroyed) return;
  const usage = generation.includeUsage ? wording.usage(usageOf(runs, started)) : undefined;
  if (usage) stream.send(usage);
  stream.send('[DONE]');
  stream.end();
}

function usageOf(runs: Run[], started: { sequence: Sequence }[]): Usage {
  return {
    promptTokens: runs.reduce((sum, { prompt }) => sum + prompt.length, 0),
    completionTokens: started.reduce((sum, { sequence }) => sum + sequence.produced, 0),
    cachedTokens: started.reduce((sum, { sequence }) => sum + sequence.cached, 0),
  };
}
