/** A command line that the real engine would refuse. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

/** Values by the flag's long name, e.g. `--port`; a flag without a value is `true`, its `--no-` form `false`. */
export type Flags = Map<string, string | boolean>;

export interface FlagStyle {
  /** Words of the table: `-c,--ctx-size=`; the names of one flag, `=` when it takes a value. */
  table: string;
  /** argparse takes `--max-num` for `--max-num-seqs`, `--flag=value`, and several values for one flag. */
  argparse: boolean;
}

/** Reads arguments as the engine does. What is not a flag is in `positional`. */
export function parseFlags(args: string[], style: FlagStyle): { flags: Flags; positional: string[] } {
  const known = tableOf(style);
  const flags: Flags = new Map();
  const positional: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at] as string;
    if (!word.startsWith('-')) {
      positional.push(word);
      continue;
    }
    const equals = style.argparse ? word.indexOf('=') : -1;
    const name = equals < 0 ? word : word.slice(0, equals);
    const flag = lookUp(name, known, style);
    if (!flag) throw new FlagError(style.argparse ? `unrecognized arguments: ${word}` : `invalid argument: ${word}`);
    if (!flag.takesValue) flags.set(flag.name, !flag.negated);
    else if (equals >= 0) flags.set(flag.name, word.slice(equals + 1));
    else {
      const value = args[++at];
      if (value === undefined || (style.argparse && value.startsWith('--')))
        throw new FlagError(
          style.argparse ? `argument ${name}: expected one argument` : `expected value for argument: ${name}`,
        );
      flags.set(flag.name, value);
    }
  }
  return { flags, positional };
}

interface Flag {
  name: string;
  takesValue: boolean;
  negated: boolean;
}

function tableOf({ table, argparse }: FlagStyle): Map<string, Flag> {
  const known = new Map<string, Flag>();
  for (const word of table.trim().split(/\s+/)) {
    const takesValue = word.endsWith('=');
    const names = word.replace(/=$/, '').split(',');
    const name = names.find((one) => one.startsWith('--')) ?? word;
    for (const one of names)
      known.set(one, { name, takesValue, negated: /^--?no-/.test(one) && !/^--?no-/.test(name) });
    if (argparse && !takesValue) known.set(name.replace(/^--/, '--no-'), { name, takesValue, negated: true });
  }
  return known;
}

function lookUp(name: string, known: Map<string, Flag>, { argparse }: FlagStyle): Flag | undefined {
  const exact = known.get(argparse ? name.replaceAll('_', '-') : name);
  if (exact || !argparse || !name.startsWith('--')) return exact;
  const candidates = [...known].filter(([one]) => one.startsWith(name)).map(([, flag]) => flag);
  const [first] = candidates;
  return first && candidates.every((one) => one.name === first.name && one.negated === first.negated)
    ? first
    : undefined;
}

export function numberFlag(flags: Flags, name: string, fallback: number): number {
  const text = flags.get(name);
  if (typeof text !== 'string') return fallback;
  const value = Number(text);
  if (!Number.isInteger(value)) throw new FlagError(`argument ${name}: invalid int value: '${text}'`);
  return value;
}

export function textFlag(flags: Flags, name: string): string | undefined {
  const value = flags.get(name);
  return typeof value === 'string' ? value : undefined;
}
