/**
 * Paths of the fields that were written and that reading by the schema dropped, as it knows none of them: the API server
 * refuses these too. `read` is what the schema made of `written`.
 */
export function unknownFields(written: unknown, read: unknown, path: string): string[] {
  if (Array.isArray(written)) {
    const items = Array.isArray(read) ? read : [];
    return written.flatMap((item, index) => unknownFields(item, items[index], `${path}[${index}]`));
  }
  if (typeof written !== 'object' || written === null || typeof read !== 'object' || read === null) return [];
  const known = read as Record<string, unknown>;
  return Object.entries(written).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const at = `${path}.${name}`;
    return Object.hasOwn(known, name) ? unknownFields(value, known[name], at) : [at];
  });
}
