/** A piece of a streamed answer with the natural logarithm of its probability; undefined where the engine gave none. */
export interface SpokenToken {
  token: string;
  logprob: number | undefined;
}

/** What the tokens of a JSON object say of its fields. */
export interface JsonFieldConfidences {
  /**
   * By the name of each top-level field that has begun, in the order of the text: 0 to 1, or undefined where a token that
   * counts came without a probability. Unknown is not certain.
   */
  fields: ReadonlyMap<string, number | undefined>;
  /** The object has been closed. Whether it is valid is for a parser to say. */
  complete: boolean;
}

/**
 * The confidence in each top-level field of a JSON object: the least probability among the tokens that say its value.
 *
 * ```
 *   {"   order   ":"   AB   -   48   ","   amount   ":   null   }
 *                      ╰──── order ───╯                 ╰ amount
 * ```
 *
 * A token says a value if it has at least one character of it. Braces, brackets, keys, quotes, colons, commas and blanks are
 * no characters of a value: a schema or habit makes them certain, and they would tell nothing. Inside a nested value only its
 * scalars count, all for the top-level field. The least and not the mean or product, because one wrong digit spoils a
 * number, and a long value is not a doubtful one; and because it only falls while an answer is streamed, so that an answer
 * can be given up at the first token below a threshold.
 */
export function jsonFieldConfidences(tokens: Iterable<SpokenToken>, boundaries = 0): JsonFieldConfidences {
  const reader = new JsonFieldReader(boundaries);
  for (const token of tokens) reader.push(token);
  return reader;
}

/** {@link jsonFieldConfidences} of an answer that is still being streamed. */
export class JsonFieldReader implements JsonFieldConfidences {
  readonly fields = new Map<string, number | undefined>();
  complete = false;
  /** What has been opened and not closed. */
  private readonly open: ('{' | '[')[] = [];
  private readonly boundaries: number;
  private isKeyNext = false;
  private inString: 'key' | 'value' | undefined;
  private isEscaped = false;
  private isValueNext = false;
  private inScalar = false;
  /** The top-level key as it is written, while it is read. */
  private key = '';
  private field: string | undefined;

  constructor(boundaries = 0) {
    this.boundaries = boundaries;
  }

  push({ token, logprob }: SpokenToken): void {
    for (const character of token) this.read(character, logprob);
  }

  private read(character: string, logprob: number | undefined): void {
    if (this.complete) return;
    if (this.inString) this.readString(character, logprob);
    else this.readStructure(character, logprob);
  }

  private readString(character: string, logprob: number | undefined): void {
    const isEnd = character === '"' && !this.isEscaped;
    this.isEscaped = character === '\\' && !this.isEscaped;
    if (this.inString === 'value') {
      if (!isEnd || (this.boundaries > 1 && this.open.length === 1)) this.count(logprob);
    } else if (!isEnd && this.open.length === 1) this.key += character;
    if (isEnd) this.inString = undefined;
  }

  private readStructure(character: string, logprob: number | undefined): void {
    const top = this.open.length === 1;
    if (top && this.isValueNext && !/\s/.test(character)) {
      this.isValueNext = false;
      if (this.boundaries > 0) this.count(logprob);
    }
    const wasScalar = this.inScalar;
    this.inScalar = false;
    switch (character) {
      case '"':
        this.inString = this.isKeyNext ? 'key' : 'value';
        if (this.isKeyNext && top) this.key = '';
        break;
      case '{':
      case '[':
        this.open.push(character);
        this.isKeyNext = character === '{';
        break;
      case ':':
        this.isKeyNext = false;
        if (top) this.begin();
        break;
      case ',':
        if (wasScalar && top && this.boundaries > 1) this.count(logprob);
        if (top) this.field = undefined;
        this.isKeyNext = this.open.at(-1) === '{';
        break;
      case '}':
      case ']':
        if (wasScalar && top && this.boundaries > 1) this.count(logprob);
        this.open.pop();
        this.isKeyNext = false;
        this.complete = this.open.length === 0;
        break;
      case ' ':
      case '\t':
      case '\n':
      case '\r':
        break;
      default:
        this.inScalar = true;
        this.count(logprob);
    }
  }

  private begin(): void {
    this.isValueNext = true;
    try {
      this.field = JSON.parse(`"${this.key}"`) as string;
    } catch {
      this.field = this.key;
    }
  }

  private count(logprob: number | undefined): void {
    if (this.field === undefined) return;
    const before = this.fields.has(this.field) ? this.fields.get(this.field) : 1;
    const probability = logprob === undefined ? undefined : Math.min(1, Math.exp(logprob));
    this.fields.set(
      this.field,
      before === undefined || probability === undefined ? undefined : Math.min(before, probability),
    );
  }
}
