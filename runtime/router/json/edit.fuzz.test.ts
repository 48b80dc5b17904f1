import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ApiError } from '../errors.ts';
import { replaceModel, setMembers } from './edit.ts';

/** JSON's white space, as pretty printers and careless ones put it. */
const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 3 });
/** Pieces of strings as they are written: escapes, surrogates in pairs and alone, quotes, backslashes. */
const piece = fc.constantFrom(
  'a',
  'model',
  'é',
  '🍵',
  '\\"',
  '\\\\',
  '\\n',
  '\\/',
  '\\u0000',
  '\\ud83c\\udf75',
  '\\ud800',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '\u2028',
  'x'.repeat(60),
  '\\\\'.repeat(30),
);
const string = fc.array(piece, { maxLength: 6 }).map((pieces) => `"${pieces.join('')}"`);
/** Numbers that would not survive being read and written again. */
const number = fc.constantFrom(
  '0',
  '-0',
  '1.0',
  '1e5',
  '1E+05',
  '18446744073709551615',
  '0.1000',
  '-1.5e-300',
  '1e999',
);
const nested = fc.nat({ max: 60 }).map((depth) => `${'{"model":['.repeat(depth)}1${']}'.repeat(depth)}`);
const value = fc.oneof(
  string,
  number,
  nested,
  fc.constantFrom('true', 'false', 'null', '{}', '[]', '[ ]', '{ "model" : "inner" }'),
  fc.json(),
);
const key = fc.oneof(
  fc.constantFrom('"model"', '"stream"', '"\\u006dodel"', '"mode\\u006c"', '"Model"', '" model"', '"__proto__"'),
  string,
);
const member = fc.tuple(key, value, space, space, space, space);
type Member = typeof member extends fc.Arbitrary<infer T> ? T : never;

/** A document from its members as they are written. */
const written = (members: readonly Member[]): string =>
  `{${members.map(([name, what, a, b, c, d]) => `${a}${name}${b}:${c}${what}${d}`).join(',')}}`;
const nameOf = ([name]: Member): unknown => JSON.parse(name);

const refused = 'refused, as it has a member too often';

function setOrRefused(document: Buffer): string {
  try {
    return setMembers(document, { model: '"new"' }).toString();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return refused;
  }
}

describe('setMembers, for documents written in any way', () => {
  it('changes the bytes of the values that it sets, and no other byte', () => {
    fc.assert(
      fc.property(fc.array(member, { maxLength: 6 }), space, space, (members, before, after) => {
        const times = members.filter((one) => nameOf(one) === 'model').length;
        const document = Buffer.from(`${before}${written(members)}${after}`);
        const set = members.map((one): Member => {
          const [name, , ...spaces] = one;
          return nameOf(one) === 'model' ? [name, '"new"', ...spaces] : one;
        });
        const added: Member[] = times === 0 ? [['"model"', '"new"', '', '', '', ''], ...set] : set;
        const expected = times > 2 ? refused : `${before}${written(added)}${after}`;
        expect(setOrRefused(document)).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives JSON whose members are what they were set to, beside others', () => {
    fc.assert(
      fc.property(fc.array(member, { maxLength: 6 }), (members) => {
        fc.pre(members.every((one) => members.filter((other) => nameOf(other) === nameOf(one)).length <= 2));
        const edited = setMembers(Buffer.from(written(members)), { model: '"new"', stream: 'true' }).toString();
        const before = JSON.parse(written(members)) as Record<string, unknown>;
        expect(JSON.parse(edited)).toEqual({ ...before, model: 'new', stream: true });
      }),
      { numRuns: 1_000 },
    );
  });

  it('is done with as often as it is done', () => {
    fc.assert(
      fc.property(fc.array(member, { maxLength: 4 }), (members) => {
        fc.pre(members.filter((one) => nameOf(one) === 'model').length <= 2);
        const once = setMembers(Buffer.from(written(members)), { model: '"new"' });
        expect(setMembers(once, { model: '"new"' }).equals(once)).toBe(true);
      }),
    );
  });
});

describe('what is no JSON', () => {
  it('of any bytes is gone through to its end, and keeps its bytes but for a model', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
          fc.string().map((text) => Buffer.from(`{"a":1,${text}`)),
        ),
        (bytes) => {
          const renamed = replaceModel(bytes, Buffer.from('"new"'));
          expect(renamed.equals(bytes) || renamed.includes('"new"')).toBe(true);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('of a million quotes, backslashes or brackets is gone through once', () => {
    for (const unit of ['"', '\\', '\\"', '{', '[', '{"', '{"a":', '"a",', ',', '{"\\', '\ufeff'])
      for (const start of ['', '{', '{"', '{"a":"', '{"a":[']) {
        const bytes = Buffer.from(`${start}${unit.repeat(1_000_000 / unit.length)}`);
        expect(replaceModel(bytes, Buffer.from('"b"')).equals(bytes)).toBe(true);
      }
  });
});
