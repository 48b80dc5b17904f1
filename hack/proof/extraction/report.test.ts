import { describe, expect, it } from 'vitest';
import { type ExtractionReport, reportTable, withFigures } from './report.ts';
import { scoreAnswers } from './score.ts';
import { parseMessages, recordParser } from './task.ts';

const messages = parseMessages(
  '{"text":"It leaks","record":{"order":null,"amount":null,"currency":null,"date":null,"issue":"damaged"}}\n',
);
const answer = {
  text: messages[0]?.json ?? '',
  truncated: false,
  milliseconds: 1,
  promptTokens: 12,
  completionTokens: 21,
};
const parse = recordParser({ type: 'object' });
const report: ExtractionReport = {
  split: 'test',
  llamaServer: '0.7.0',
  model: 'ab',
  figures: {
    rules: scoreAnswers(messages, [{ ...answer, promptTokens: 0, tokens: [] }], parse),
    specialist: scoreAnswers(messages, [{ ...answer, tokens: [{ token: answer.text, logprob: -0.1 }] }], parse),
  },
};

describe('the report of extraction', () => {
  it('is a table with a column for each who answered, and no risk where no confidence is known', () => {
    const lines = reportTable(report).split('\n');
    expect(lines[0]).toBe('| | rules | specialist |');
    expect(lines).toContain('| whole record | 100.0 (20.7–100.0) | 100.0 (20.7–100.0) |');
    expect(lines).toContain('| wrong records, the most confident 90 % | — | 0.0 (0.0–79.3) |');
    expect(lines).toContain('| tokens of prompt and answer | — | 12 + 21 |');
  });

  it('takes the place of the figures in a model card, again and again', () => {
    const card = '# Card\n\n<!-- figures -->\nold\n<!-- end of figures -->\n\nLimits\n';
    const once = withFigures(card, report);
    expect(once).toContain(`\n\n${reportTable(report)}\n\n`);
    expect(
      once.startsWith('# Card\n\n<!-- figures -->\n') && once.endsWith('<!-- end of figures -->\n\nLimits\n'),
    ).toBe(true);
    expect(withFigures(once, report)).toBe(once);
    expect(() => withFigures('# Card', report)).toThrow('the card has no <!-- figures -->');
  });
});
