/** Fields to set, by path (`spec.backends[0].name`); `undefined` removes one. */
export type Changes = Readonly<Record<string, unknown>>;

interface Tree {
  [key: string]: unknown;
}

/** A copy of an object with some fields changed. Objects on the way are made where they are missing. */
export function changed<T extends object>(object: T, changes: Changes): T {
  const copy = structuredClone(object);
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split(/[.[\]]+/).filter(Boolean);
    const last = keys.pop();
    if (last === undefined) throw new Error(`"${path}" is no path`);
    let at = copy as Tree;
    for (const key of keys) at = (at[key] ??= {}) as Tree;
    if (value === undefined) delete at[last];
    else at[last] = value;
  }
  return copy;
}
