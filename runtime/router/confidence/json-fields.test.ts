import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonFieldReader, jsonFieldConfidences, type SpokenToken } from './json-fields.ts';

const spoken = (tokens: [string, number | undefined][]): SpokenToken[] =>
  tokens.map(([token, p]) => ({ token, logprob: p === undefined ? undefined : Math.log(p) }));

const confidences = (...tokens: [string, number | undefined][]): Record<string, number | undefined> =>
  Object.fromEntries(
    [...jsonFieldConfidences(spoken(tokens)).fields].map(([name, p]) => [
      name,
      p === undefined ? undefined : Math.round(p * 1e6) / 1e6,
    ]),
  );

describe('the confidence in a field of a JSON object', () => {
  it('is the least probability among the tokens of its value', () => {
    expect(
      confidences(
        ['{"', 0.1],
        ['order', 0.1],
        ['":"', 0.97],
        ['AB', 0.9],
        ['-', 0.95],
        ['48', 0.6],
        ['21', 0.8],
        ['","', 0.1],
        ['amount', 0.1],
        ['":', 0.99],
        ['49', 0.7],
        ['.', 0.8],
        ['90', 0.9],
        [',"', 0.1],
        ['date', 0.1],
        ['":', 0.99],
        ['null', 0.98],
        ['}', 0.1],
      ),
    ).toEqual({ order: 0.6, amount: 0.7, date: 0.98 });
  });

  it('has the choice between a value and none, wherever the tokenizer lets it fall', () => {
    expect(confidences(['{"order', 1], ['":"', 0.55], ['AB', 1], ['"}', 1])).toEqual({ order: 0.55 });
    expect(confidences(['{"order', 1], ['":', 0.45], ['null', 1], ['}', 1])).toEqual({ order: 0.45 });
    expect(confidences(['{"order"', 0.1], [':', 1], ['"', 0.5], ['AB', 1], ['"}', 0.1])).toEqual({ order: 0.5 });
    expect(confidences(['{"order"', 0.1], [': ', 1], ['[', 0.6], ['7', 1], [']', 0.1], ['}', 1])).toEqual({
      order: 0.6,
    });
  });

  it('does not fall with blanks', () => {
    expect(confidences(['{\n', 0.1], [' "a":', 1], [' ', 0.1], ['1', 0.9], ['\n', 0.1], ['}', 0.1])).toEqual({
      a: 0.9,
    });
  });

  it('has the doubt of a token that belongs to two fields in both', () => {
    expect(confidences(['{"a":', 1], ['1,"b":2', 0.4], ['3}', 0.8])).toEqual({ a: 0.4, b: 0.4 });
  });

  it('of a nested value is that of its scalars, not of its keys and brackets', () => {
    expect(
      confidences(
        ['{"items":', 1],
        ['[{"', 1],
        ['name', 0.1],
        ['":', 0.1],
        ['"', 0.1],
        ['lamp', 0.8],
        ['","', 0.1],
        ['n', 0.1],
        ['":', 0.1],
        ['2', 0.7],
        ['},', 0.1],
        ['"', 0.1],
        ['x', 0.9],
        ['"]', 0.1],
        [',"b":', 1],
        ['true', 0.95],
        ['}', 0.1],
      ),
    ).toEqual({ items: 0.7, b: 0.95 });
  });

  it('reads escapes in keys and values', () => {
    expect(
      confidences(['{"a\\"b":"', 1], ['x\\', 0.9], ['"', 0.5], ['{,:', 0.8], ['\\\\', 1], ['"', 0.1], ['}', 1]),
    ).toEqual({
      'a"b': 0.5,
    });
  });

  it('is unknown where one of its tokens has no probability, and stays so', () => {
    expect(confidences(['{"a":', 1], ['1', undefined], ['2', 0.5], [',"b":', 1], ['3', 0.8], ['}', undefined])).toEqual(
      {
        a: undefined,
        b: 0.8,
      },
    );
  });

  it('is none for a text that is no object', () => {
    expect(confidences(['[1', 1], [']', 1])).toEqual({});
    expect(confidences(['sorry', 1], [', no', 1])).toEqual({});
    expect(confidences()).toEqual({});
  });

  it('is known of a stream that has not ended, and only falls', () => {
    const reader = new JsonFieldReader();
    const seen: (number | undefined)[] = [];
    for (const token of spoken([
      ['{"a":"', 0.9],
      ['x', 0.8],
      ['y', 0.95],
      ['z', 0.5],
    ])) {
      reader.push(token);
      seen.push(reader.fields.get('a'));
    }
    expect(seen.map((p) => p?.toFixed(2))).toEqual(['0.90', '0.80', '0.80', '0.50']);
    expect(reader.complete).toBe(false);
    reader.push({ token: '"}', logprob: 0 });
    expect(reader.complete).toBe(true);
    reader.push({ token: ',"b":1', logprob: 0 });
    expect([...reader.fields.keys()]).toEqual(['a']);
  });
});

/** The characters of a JSON text, each with the field for which it counts. */
class Writer {
  readonly written: { character: string; field: string | undefined }[] = [];

  write(text: string, field?: string): void {
    for (const character of text) this.written.push({ character, field });
  }

  object(object: object): void {
    this.write('{');
    for (const [index, [key, value]] of Object.entries(object).entries()) {
      this.write(`${index > 0 ? ',\n' : ''}${JSON.stringify(key)}`);
      this.write(':', key);
      this.write(' ');
      this.value(value, key, key);
    }
    this.write('}');
  }

  /** A value of a field; `opening` is the field where its quote or bracket counts. */
  private value(value: unknown, field: string, opening?: string): void {
    if (typeof value === 'string') {
      this.write('"', opening);
      this.write(JSON.stringify(value).slice(1, -1), field);
      this.write('"');
    } else if (value === null || typeof value !== 'object') {
      this.write(JSON.stringify(value), field);
    } else {
      const isList = Array.isArray(value);
      this.write(isList ? '[' : '{', opening);
      for (const [index, [key, member]] of Object.entries(value).entries()) {
        this.write((index > 0 ? ', ' : '') + (isList ? '' : `${JSON.stringify(key)}: `));
        this.value(member, field);
      }
      this.write(isList ? ']' : '}');
    }
  }
}

const anyObject = fc.dictionary(fc.string({ maxLength: 4 }), fc.jsonValue({ maxDepth: 2, stringUnit: 'grapheme' }), {
  minKeys: 1,
  maxKeys: 4,
});

describe('the fields of any JSON object in any tokens', () => {
  it('have the least probability of the tokens with a character that counts', () => {
    fc.assert(
      fc.property(
        anyObject,
        fc.infiniteStream(
          fc.record({ length: fc.integer({ min: 1, max: 5 }), p: fc.double({ min: 0.01, max: 1, noNaN: true }) }),
        ),
        (object, cuts) => {
          const writer = new Writer();
          writer.object(object);
          const expected = new Map(Object.keys(object).map((key) => [key, 1]));
          const tokens: SpokenToken[] = [];
          for (let at = 0; at < writer.written.length; ) {
            const { length, p } = cuts.next().value;
            const part = writer.written.slice(at, at + length);
            const token = { token: part.map(({ character }) => character).join(''), logprob: Math.log(p) };
            tokens.push(token);
            for (const { field } of part)
              if (field !== undefined) expected.set(field, Math.min(expected.get(field) ?? 1, Math.exp(token.logprob)));
            at += length;
          }
          const { fields, complete } = jsonFieldConfidences(tokens);
          expect(fields).toEqual(expected);
          expect(complete).toBe(true);
        },
      ),
    );
  });
});
