import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCsv } from './csv.ts';

const quoted = (field: string): string => `"${field.replaceAll('"', '""')}"`;

describe('CSV', () => {
  it('has fields by the names of its first line, quoted or not', () => {
    const text = 'text,label\n"Hello, ""you""\nthere",card\nplain,\r\n,cash\n';
    expect(parseCsv(text)).toEqual([
      { text: 'Hello, "you"\nthere', label: 'card' },
      { text: 'plain', label: '' },
      { text: '', label: 'cash' },
    ]);
    expect(parseCsv('a,b\n1,2')).toEqual([{ a: '1', b: '2' }]);
    expect(parseCsv('a,b\n1,')).toEqual([{ a: '1', b: '' }]);
    expect(parseCsv('a\n')).toEqual([]);
  });

  it('gives back what was written', () => {
    const rows = fc.array(fc.record({ one: fc.string(), two: fc.string() }));
    fc.assert(
      fc.property(rows, fc.constantFrom('\n', '\r\n'), (records, end) => {
        const lines = ['one,two', ...records.map(({ one, two }) => `${quoted(one)},${quoted(two)}`)];
        expect(parseCsv(lines.join(end) + end)).toEqual(records);
      }),
    );
  });
});
