import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { replaceModel, setMembers } from './edit.ts';
import { firstProblem } from './position.ts';

const set = (json: string, changes: Record<string, string>) => setMembers(Buffer.from(json), changes).toString();
const rename = (json: string, name: string) => replaceModel(Buffer.from(json), Buffer.from(JSON.stringify(name)));

describe('setMembers', () => {
  it('replaces a value and leaves every other byte as it was', () => {
    expect(set('{ "model" : "a", "seed":18446744073709551615,"t":1.0 }', { model: '"b"' })).toBe(
      '{ "model" : "b", "seed":18446744073709551615,"t":1.0 }',
    );
  });

  it('adds what is not there', () => {
    expect(set('{"a":1}', { stream: 'true' })).toBe('{"stream":true,"a":1}');
    expect(set(' { } ', { stream: 'true', b: '2' })).toBe(' {"stream":true,"b":2 } ');
    expect(set('{"model":"a"}', { stream: 'true', model: '"b"' })).toBe('{"stream":true,"model":"b"}');
  });

  it('sets each of two members of one name, also one whose key is written with escapes', () => {
    expect(set('{"model":"a","\\u006dodel":"c"}', { model: '"b"' })).toBe('{"model":"b","\\u006dodel":"b"}');
  });

  it('refuses a document that has a member over and over, which would make it grow beyond all bounds', () => {
    const many = `{${'"grammar":null,'.repeat(1_000)}"model":"a"}`;
    expect(() => set(many, { grammar: JSON.stringify('x'.repeat(1_000)) })).toThrow('"grammar"');
  });

  it('does not touch members of inner objects, nor text that looks like one', () => {
    const json = '{"messages":[{"model":"x","content":"\\"model\\":\\"y\\""}],"model":"z"}';
    expect(set(json, { model: '"b"' })).toBe(json.replace('"z"', '"b"'));
  });

  it('means the same as parsing, assigning and writing, for any object', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(fc.constantFrom('model', 'stream'), fc.string()), fc.jsonValue()),
        fc.constantFrom(undefined, 1, 4),
        (object, indent) => {
          const json = Buffer.from(JSON.stringify(object, undefined, indent));
          const edited = JSON.parse(setMembers(json, { model: '"new"', stream: 'true' }).toString()) as object;
          expect(edited).toEqual({ ...(JSON.parse(json.toString()) as object), model: 'new', stream: true });
        },
      ),
    );
  });

  it('finds members behind long strings with any run of backslashes', () => {
    fc.assert(
      fc.property(fc.nat(120), fc.nat(5), (padding, slashes) => {
        const text = JSON.stringify({ image: `${'x'.repeat(padding)}${'\\'.repeat(slashes)}"`, model: 'a' });
        expect(JSON.parse(set(text, { model: '"b"' }))).toEqual({ ...(JSON.parse(text) as object), model: 'b' });
      }),
    );
  });
});

describe('replaceModel', () => {
  it('gives the answer the public name', () => {
    expect(rename('{"id":1,"model": "gpt","choices":[]}', 'triage').toString()).toBe(
      '{"id":1,"model": "triage","choices":[]}',
    );
  });

  it('leaves what is not a JSON object as it is', () => {
    for (const text of ['', '[DONE]', '{', '{"a"', '{"a":', '{"a":"', '{"a":1', 'null', '{,}', '{"model"}'])
      expect(rename(text, 'x').toString()).toBe(text);
  });
});

describe('firstProblem', () => {
  it('tells where a document stops being JSON', () => {
    expect(firstProblem('{"a":x}')).toEqual({ offset: 5, line: 1, column: 6 });
    expect(firstProblem('{\n  "a": 1,\n}')).toEqual({ offset: 12, line: 3, column: 1 });
    expect(firstProblem('[1 2]')?.offset).toBe(3);
    expect(firstProblem('"abc')?.offset).toBe(4);
    expect(firstProblem('')?.offset).toBe(0);
  });

  it('agrees with JSON.parse on what is JSON, for any text near JSON', () => {
    const near = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', ',', '}', ']', '"', ':', '\\', '0', ' ', '\n', 'true', '-'))
      .map(([json, at, insert]) => {
        const position = at % (json.length + 1);
        return `${json.slice(0, position)}${insert}${json.slice(position + (insert === '' ? 1 : 0))}`;
      });
    fc.assert(
      fc.property(near, (text) => {
        expect(firstProblem(text) === undefined).toBe(parses(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('reads a document nested deeper than the stack', () => {
    expect(firstProblem('['.repeat(1_000_000))?.offset).toBe(1_000_000);
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
