/** Where a text stops being JSON. */
export interface Position {
  /** Zero-based, in characters. */
  offset: number;
  /** One-based. */
  line: number;
  column: number;
}

const space = /[ \n\r\t]*/y;
const escape = /\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
const literal = /true|false|null/y;

/**
 * The first place at which a text is not JSON, or undefined where all of it is. JSON.parse knows, but tells only for some
 * mistakes, and in the others repeats a piece of the text instead.
 */
export function firstProblem(text: string): Position | undefined {
  const reader = new Reader(text);
  const offset = reader.run();
  if (offset === undefined) return undefined;
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return { offset, line, column: offset - before.lastIndexOf('\n') };
}

/** A reader without recursion: a document may be nested deeper than the stack. */
class Reader {
  readonly #text: string;
  /** Closing brackets that are owed, innermost last. */
  readonly #open: string[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): number | undefined {
    this.#take(space);
    for (;;) {
      if (!this.#value()) return this.#at;
      // After a value: close what ends here, then either a comma and the next value, or the end.
      for (;;) {
        this.#take(space);
        const owed = this.#open.at(-1);
        if (owed === undefined) return this.#at === this.#text.length ? undefined : this.#at;
        if (this.#char() === owed) {
          this.#at++;
          this.#open.pop();
          continue;
        }
        if (this.#char() !== ',') return this.#at;
        this.#at++;
        this.#take(space);
        if (owed === '}' && !this.#key()) return this.#at;
        break;
      }
    }
  }

  /** One value, or the way into an object or array up to its first value. */
  #value(): boolean {
    for (;;) {
      const char = this.#char();
      if (char === '"') return this.#string();
      if (char !== '{' && char !== '[') return this.#take(literal) || this.#take(number);
      const closing = char === '{' ? '}' : ']';
      this.#at++;
      this.#take(space);
      if (this.#char() === closing) {
        this.#at++;
        return true;
      }
      this.#open.push(closing);
      if (closing === '}' && !this.#key()) return false;
    }
  }

  #key(): boolean {
    if (this.#char() !== '"' || !this.#string()) return false;
    this.#take(space);
    if (this.#char() !== ':') return false;
    this.#at++;
    this.#take(space);
    return true;
  }

  #string(): boolean {
    this.#at++;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === 0x5c) {
        if (!this.#take(escape)) return false;
      } else if (!(code >= 0x20)) {
        return false; // a control character, or the end of the text (NaN)
      } else {
        this.#at++;
        if (code === 0x22) return true;
      }
    }
  }

  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (!match || match[0].length === 0) return false;
    this.#at += match[0].length;
    return true;
  }

  #char(): string {
    return this.#text[this.#at] ?? '';
  }
}
