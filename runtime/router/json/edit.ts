import { ApiError } from '../errors.ts';
import { scanMembers, skipSpace } from './scan.ts';

/** New values of members at the top level of a document, by name, each in JSON. */
export type Changes = Readonly<Record<string, string | Buffer>>;

const openBrace = 0x7b;
const closeBrace = 0x7d;
const modelName = [Buffer.from('model')];
/** A member that is there more often is refused: each time it is set, the document grows by the new value. */
const mostRepetitions = 2;

/**
 * The document with some members of its top level set, and every other byte as it was: numbers keep their digits, unknown
 * fields their form. A member that is there twice is set twice, so that it does not matter which one a reader believes.
 * The document must be a JSON object. Throws an `ApiError` (400) for one that has a member more than twice.
 */
export function setMembers(json: Buffer, changes: Changes): Buffer {
  const names = Object.keys(changes);
  if (names.length === 0) return json;
  const values = names.map((name) => changes[name] as string | Buffer);
  const seen = names.map(() => 0);
  const pieces: Buffer[] = [];
  let copied = 0;
  scanMembers(json, names.map(nameBytes), (name, start, end) => {
    pieces.push(json.subarray(copied, start), toBuffer(values[name] as string | Buffer));
    copied = end;
    const times = (seen[name] ?? 0) + 1;
    if (times > mostRepetitions) throw repeated(names[name] as string);
    seen[name] = times;
    return true;
  });
  pieces.push(json.subarray(copied));
  if (!seen.includes(0)) return Buffer.concat(pieces);
  return Buffer.concat(withNew(json, pieces, names, values, seen));
}

/** The answer or event with the value of its `model` replaced (`name` in JSON), every other byte as it was. */
export function replaceModel(json: Buffer, name: Buffer): Buffer {
  let result = json;
  scanMembers(json, modelName, (_, start, end) => {
    if (end - start !== name.length || name.compare(json, start, end) !== 0)
      result = Buffer.concat([json.subarray(0, start), name, json.subarray(end)]);
    return false;
  });
  return result;
}

/** Members that were not there come first in the document, which always has room for them: after its opening brace. */
function withNew(json: Buffer, pieces: Buffer[], names: string[], values: (string | Buffer)[], seen: number[]) {
  const opening = json.indexOf(openBrace) + 1;
  const empty = json[skipSpace(json, opening)] === closeBrace;
  const added: Buffer[] = [];
  for (const [i, name] of names.entries()) {
    if (seen[i] !== 0) continue;
    added.push(Buffer.from(`${added.length > 0 ? ',' : ''}${JSON.stringify(name)}:`), toBuffer(values[i] as string));
  }
  const first = pieces[0] as Buffer;
  const comma = Buffer.from(empty ? '' : ',');
  return [first.subarray(0, opening), ...added, comma, first.subarray(opening), ...pieces.slice(1)];
}

function repeated(name: string): ApiError {
  const message = `the request body has "${name}" more than ${mostRepetitions} times: send it once`;
  return new ApiError(400, 'invalid_json', message, { param: name });
}

const known = new Map<string, Buffer>();

/** Names are few, and the same in every request. */
function nameBytes(name: string): Buffer {
  let bytes = known.get(name);
  if (!bytes) known.set(name, (bytes = Buffer.from(name)));
  return bytes;
}

function toBuffer(value: string | Buffer): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : value;
}
