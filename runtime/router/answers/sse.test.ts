import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventTooLarge, SseParser } from './sse.ts';

function read(chunks: readonly Buffer[], limit?: number) {
  const events: { data: string; event: string | undefined }[] = [];
  const parser = new SseParser(({ data, event }) => events.push({ data: data.toString(), event }), limit);
  for (const chunk of chunks) parser.push(chunk);
  return { events, rest: parser.rest().toString() };
}

/** Cuts bytes at the given places (modulo the length). */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length));
}

describe('SseParser', () => {
  it('reads events, ignores comments and unknown fields', () => {
    const text = ': ping\n\ndata: {"a":1}\n\nid: 4\nevent: error\ndata:x\ndata: y\n\ndata: [DONE]\n\n';
    expect(read([Buffer.from(text)]).events).toEqual([
      { data: '{"a":1}', event: undefined },
      { data: 'x\ny', event: 'error' },
      { data: '[DONE]', event: undefined },
    ]);
  });

  it('keeps what has not ended', () => {
    expect(read([Buffer.from('data: 1\n\ndata: [DO'), Buffer.from('NE]\n')])).toEqual({
      events: [{ data: '1', event: undefined }],
      rest: 'data: [DONE]\n',
    });
  });

  it('skips a byte order mark', () => {
    expect(read([Buffer.from('\ufeffdata: 1\n\n')]).events).toEqual([{ data: '1', event: undefined }]);
  });

  it('refuses an event without end', () => {
    expect(() => read([Buffer.from('data: 1234'), Buffer.from('5678')], 12)).toThrow(EventTooLarge);
  });

  it('reads the same events however the stream is cut, with any line end, characters split over chunks included', () => {
    const line = fc.string({ unit: 'binary' }).map((text) => text.replaceAll(/[\r\n]/g, '·'));
    const event = fc.tuple(fc.array(line, { minLength: 1, maxLength: 3 }), fc.constantFrom('', ': note', 'retry: 3'));
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 6 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.nat(), { maxLength: 12 }),
        (events, end, places) => {
          const text = events
            .map(([lines, extra]) => [...(extra === '' ? [] : [extra]), ...lines.map((one) => `data: ${one}`), '', ''])
            .map((lines) => lines.join(end))
            .join('');
          expect(read(cut(Buffer.from(text), places)).events).toEqual(
            events.map(([lines]) => ({ data: Buffer.from(lines.join('\n')).toString(), event: undefined })),
          );
        },
      ),
      { numRuns: 500 },
    );
  });
});
