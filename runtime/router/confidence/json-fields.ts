/** A piece of an answer with the natural logarithm of its probability; undefined where the engine told none. */
export interface SpokenToken {
  token: string;
  logprob: number | undefined;
}

/** What the tokens of a JSON object tell of its fields. */
export interface JsonFieldConfidences {
  /**
   * By the name of each top-level field that has begun, in the order of the text: 0 to 1, or undefined where a token that
   * counts came without a probability. Unknown is not certain.
   */
  readonly fields: ReadonlyMap<string, number | undefined>;
  /** The object has been closed. Whether it is valid is for a parser to say. */
  readonly complete: boolean;
}

/**
 * The confidence in each top-level field of a JSON object: the least probability among the tokens that decide its value.
 * Here these are the underlined ones:
 *
 * ```
 *   {"  order  ":"  AB  -  48  ","  amount  ":  null  }
 *              ‾‾‾  ‾‾  ‾  ‾‾               ‾‾  ‾‾‾‾
 * ```
 *
 * A token decides a value if it has a character of it, or the colon before it, or the quote or bracket that opens it: a
 * tokenizer that joins `":"` decides with that token that there is a text and not `null`, which nothing after it is in doubt
 * about. Keys, braces, commas, closing quotes and blanks do not count: a schema or habit makes them certain, and a blank is
 * a matter of style. Within a nested value its scalars count, for the top-level field.
 *
 * The least and not the mean or the product, for one wrong digit spoils a number while a long value is not a doubtful one;
 * and the least only falls while an answer is streamed, so that it can be given up at the first token below a threshold.
 */
export function jsonFieldConfidences(tokens: Iterable<SpokenToken>): JsonFieldConfidences {
  const reader = new JsonFieldReader();
  for (const token of tokens) reader.push(token);
  return reader;
}

/** {@link jsonFieldConfidences} of an answer that is still being streamed. */
export class JsonFieldReader implements JsonFieldConfidences {
  readonly fields = new Map<string, number | undefined>();
  complete = false;
  /** What has been opened and not closed. */
  private readonly open: ('{' | '[')[] = [];
  private inString: 'key' | 'value' | undefined;
  private isEscaped = false;
  private isKeyNext = false;
  /** Between a top-level colon and the first character of its value. */
  private isValueNext = false;
  /** The latest top-level key as it is written. */
  private key = '';
  /** The top-level field whose value is read. */
  private field: string | undefined;

  push({ token, logprob }: SpokenToken): void {
    for (const character of token) {
      if (this.complete) return;
      if (this.inString === undefined ? this.readStructure(character) : this.readString(character)) this.count(logprob);
    }
  }

  /** Whether the character of a text is one of a value. */
  private readString(character: string): boolean {
    const isEnd = character === '"' && !this.isEscaped;
    const isValue = this.inString === 'value' && !isEnd;
    this.isEscaped = character === '\\' && !this.isEscaped;
    if (isEnd) this.inString = undefined;
    else if (this.inString === 'key' && this.open.length === 1) this.key += character;
    return isValue;
  }

  /** Whether the character outside a text is one of a scalar, or begins a top-level value. */
  private readStructure(character: string): boolean {
    if (' \t\n\r'.includes(character)) return false;
    const isTop = this.open.length === 1;
    const isFirst = this.isValueNext;
    this.isValueNext = false;
    switch (character) {
      case '"':
        this.inString = this.isKeyNext ? 'key' : 'value';
        if (this.isKeyNext && isTop) this.key = '';
        return isFirst;
      case '{':
      case '[':
        this.open.push(character);
        this.isKeyNext = character === '{';
        return isFirst;
      case ':':
        this.isKeyNext = false;
        if (isTop) this.field = keyText(this.key);
        this.isValueNext = isTop;
        return isTop;
      case ',':
        this.isKeyNext = this.open.at(-1) === '{';
        return false;
      case '}':
      case ']':
        this.open.pop();
        this.isKeyNext = false;
        this.complete = this.open.length === 0;
        return false;
      default:
        return this.open.length > 0;
    }
  }

  private count(logprob: number | undefined): void {
    if (this.field === undefined) return;
    const known = this.fields.has(this.field) ? this.fields.get(this.field) : 1;
    const isKnown = known !== undefined && logprob !== undefined;
    this.fields.set(this.field, isKnown ? Math.min(known, Math.exp(logprob)) : undefined);
  }
}

/** A key without its escapes. */
function keyText(written: string): string {
  try {
    return JSON.parse(`"${written}"`) as string;
  } catch {
    return written;
  }
}
