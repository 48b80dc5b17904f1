import type { SpecializedModelSpec } from '../../crds/v1alpha1/specialized-model.ts';

/** Flags that users may not give: the operator sets them, or they would break what it promises. */
export interface RefusedFlags {
  /** Every spelling, short and long. `--fim-*` stands for all flags that start so. */
  flags: readonly string[];
  /** The names by which the engine takes the same from its environment; `LLAMA_SERVER_*` as above. */
  env?: readonly string[];
  /** Completes "… is refused: ", and says what to do instead. */
  why: string;
  /** Only for models of which this holds; otherwise for all. */
  when?: (model: SpecializedModelSpec['model']) => boolean;
}

/** What an engine refuses, and how it reads its command line. */
export interface FlagRules {
  refused: readonly RefusedFlags[];
  /** Python's argparse takes any unambiguous beginning of a flag for the flag: `--serv` is `--served-model-name`. */
  abbreviations: boolean;
}

type UserArgs = Pick<SpecializedModelSpec['engine'], 'args' | 'env'>;

/** One sentence for each of the user's arguments and variables that an engine must not get; empty when all is well. */
export function refusedArgs(
  rules: FlagRules,
  { args = [], env = [] }: UserArgs,
  model: SpecializedModelSpec['model'],
): string[] {
  const refused = rules.refused.filter(({ when }) => when === undefined || when(model));
  const ofArgs = args.flatMap((arg, index) => {
    const given = flagName(arg);
    if (given === undefined) return [];
    const means = (flag: string) => matches(flag, given) || (rules.abbreviations && flag.startsWith(given));
    const found = refused.find(({ flags }) => flags.some(means));
    if (!found) return [];
    const flag = found.flags.find(means) ?? given;
    const named = flag === given || flag.endsWith('*') ? given : `${given} (${flag})`;
    return [`spec.engine.args[${index}]: ${named} is refused: ${found.why}`];
  });
  const ofEnv = env.flatMap(({ name }) => {
    const found = refused.find((entry) => entry.env?.some((pattern) => matches(pattern, name)));
    return found ? [`spec.engine.env[${name}] is refused: ${found.why}`] : [];
  });
  return [...ofArgs, ...ofEnv];
}

/**
 * The flag in an argument, as the tables spell it, or undefined for a value: without `=value`, without a nested key
 * (`--model.key`), and long ones in lower case with dashes, as both engines take underscores for dashes.
 */
function flagName(arg: string): string | undefined {
  const text = arg.trim();
  if (!/^--?[a-zA-Z]/.test(text)) return undefined;
  const [name = ''] = text.split(/[=\s]/, 1);
  // argparse also takes a number that is written at once: `-n2`.
  if (!name.startsWith('--')) return name.replace(/^(-[a-zA-Z])\d.*$/, '$1');
  const [long = ''] = name.split('.', 1);
  return long
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll('_', '-')
    .toLowerCase();
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}
