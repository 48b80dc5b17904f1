import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import temperatures from '../../examples/ticket-triage/temperature.json' with { type: 'json' };
import { ensureModels } from '../../hack/engines/models.ts';
import { answersOf } from '../../hack/proof/figures.ts';
import { predict, type ServedPrediction } from '../../hack/proof/predict.ts';
import { serve } from '../../hack/proof/serve.ts';
import { readTicketTriage, specialistQuestion, ticketTriageFolder } from '../../hack/proof/ticket-triage.ts';
import { accuracy, wilsonInterval } from '../../quality/interval.ts';
import { type ScoredAnswer, scoredAnswer } from '../../quality/prediction.ts';
import { riskIntervalAtCoverage } from '../../quality/selective.ts';

const log = (line: string): void => void process.stderr.write(`${line}\n`);
const task = await readTicketTriage();
/** Of the held-out messages, those first in the order of their digests: the same ones each time. */
const messages = task.messages.test.slice(0, 300);

/**
 * Not the whole held-out part, so a share that is seen may lie below a claim by chance. A claim is taken as broken when the
 * 95 % Wilson interval of what is seen lies wholly on its wrong side: of 300 messages that are 277 right or fewer where
 * 95 % are claimed, and of the 210 most confident five wrong or more where 1 % is.
 */
describe('the specialist of examples/ticket-triage behind a real llama-server', () => {
  let predictions: ServedPrediction[];
  let queues: ScoredAnswer[];

  beforeAll(async () => {
    const { smollm2 } = await ensureModels(log);
    await using engine = await serve({ model: smollm2, adapter: join(ticketTriageFolder, 'adapter.gguf'), log });
    predictions = await predict(messages, { baseUrl: engine.url, labels: task.intents, question: specialistQuestion });
    queues = answersOf(predictions, temperatures.queues, task.queueOf).map(scoredAnswer);
  }, 900_000);

  it('answers in one token', () => {
    expect(predictions.every(({ completionTokens }) => completionTokens === 1)).toBe(true);
  });

  it('is not seen to be right on fewer than 95 % of queues', () => {
    expect(accuracy(queues).high).toBeGreaterThanOrEqual(0.95);
    expect(wilsonInterval(277, 300).high).toBeLessThan(0.95);
  });

  it('is not seen to be right on fewer than 88 % of intents', () => {
    expect(accuracy(predictions.map(scoredAnswer)).high).toBeGreaterThanOrEqual(0.88);
  });

  it('is not seen to be wrong on more than 1 % of queues among its most confident 70 %', () => {
    expect(riskIntervalAtCoverage(queues, 0.7).low).toBeLessThanOrEqual(0.01);
    expect(wilsonInterval(5, 210).low).toBeGreaterThan(0.01);
  });
});
