import { describe, expect, it } from 'vitest';
import { type Answer, scoreAnswers } from './score.ts';
import { fewShotPrompt, type OrderMessage, parseMessages, prompt, readTask } from './task.ts';

const task = await readTask();

/** An answer in which every character is a token, with one probability for all. */
const answering = (text: string, p = 0.9, more: Partial<Answer> = {}): Answer => ({
  text,
  tokens: Array.from(text, (token) => ({ token, logprob: Math.log(p) })),
  truncated: false,
  milliseconds: 10,
  promptTokens: 40,
  completionTokens: 30,
  ...more,
});

const messages: OrderMessage[] = parseMessages(
  [
    '{"text":"I paid $9.50 for order AB-1","record":{"order":"AB-1","amount":9.50,"currency":"USD","date":null,"issue":"late"}}',
    '{"text":"It leaks","record":{"order":null,"amount":null,"currency":null,"date":null,"issue":"damaged"}}',
    '{"text":"Bought 3 May","record":{"order":null,"amount":null,"currency":null,"date":"05-03","issue":"wrong"}}',
  ].join('\n'),
);
const right = messages.map(({ json }) => answering(json));

describe('the data of order extraction', () => {
  it('is read with the record as the model writes it', () => {
    expect(messages[0]?.json).toBe('{"order":"AB-1","amount":9.50,"currency":"USD","date":null,"issue":"late"}');
    expect([task.validation.length, task.test.length]).toEqual([500, 500]);
  });

  it('fits its schema, all of it', () => {
    for (const { json, record } of [...task.validation, ...task.test, ...task.shots])
      expect(task.parse(json)).toEqual(record);
  });

  it('shows a model without training each issue twice', () => {
    const issues = task.shots.map(({ record }) => record.issue).sort();
    expect(new Set(issues).size).toBe(7);
    expect(issues.length).toBe(14);
    const asked = fewShotPrompt('Where is it?', task.shots);
    expect(asked.endsWith(`\n\n${prompt('Where is it?')}`)).toBe(true);
    for (const { text, json } of task.shots) expect(asked).toContain(`Message: ${text}\nJSON:${json}\n`);
  });
});

describe('the score of extraction', () => {
  it('is whole where every record is as it should be, however a number is written', () => {
    const [first, ...rest] = right as [Answer, ...Answer[]];
    const figures = scoreAnswers(
      messages,
      [answering(first.text.replace('9.50', '9.5').replaceAll(',', ', ')), ...rest],
      task.parse,
    );
    expect(figures.valid.successes).toBe(3);
    expect(figures.records.value).toBe(1);
    expect(figures.records.low).toBeCloseTo(0.4385, 3);
    expect(figures.fields.amount.value).toBe(1);
  });

  it('counts a mistake in its field and in the record', () => {
    const figures = scoreAnswers(
      messages,
      right.map((answer) => answering(answer.text.replace('AB-1', 'AB-2'))),
      task.parse,
    );
    expect(figures.valid.successes).toBe(3);
    expect(figures.records.successes).toBe(2);
    expect(figures.fields.order.successes).toBe(2);
    expect(figures.fields.issue.successes).toBe(3);
  });

  it('gives nothing for what is no JSON, breaks the schema or was cut off', () => {
    const [first, second, third] = right as [Answer, Answer, Answer];
    const figures = scoreAnswers(
      messages,
      [
        { ...first, text: `${first.text}}` },
        { ...second, text: second.text.replace('damaged', 'dented') },
        { ...third, truncated: true },
      ],
      task.parse,
    );
    expect(figures.valid.successes).toBe(0);
    expect(figures.fields.order.successes).toBe(0);
    expect(figures.records.successes).toBe(0);
  });

  it('keeps the most confident records, a doubtful field making the record doubtful', () => {
    const [first, second, third] = right as [Answer, Answer, Answer];
    const doubtful = answering(third.text.replace('wrong', 'late'), 0.3);
    const figures = scoreAnswers(messages, [first, second, doubtful], task.parse);
    expect(figures.recordRisk?.riskAt['70']).toMatchObject({ successes: 0, n: 2 });
    expect(figures.fieldRisk?.issue.riskAt['70']).toMatchObject({ successes: 0, n: 2 });
    expect(figures.recordRisk?.area).toBeCloseTo((0 + 0 + 1 / 3) / 3);
  });

  it('takes an answer without probabilities for the least certain', () => {
    const [first, second, third] = right as [Answer, Answer, Answer];
    const silent = { ...third, text: third.text.replace('wrong', 'late'), tokens: [] };
    const figures = scoreAnswers(messages, [first, second, silent], task.parse);
    expect(figures.recordRisk?.riskAt['70']).toMatchObject({ successes: 0, n: 2 });
  });
});
