/** The first lines in which two texts differ, as `- before` and `+ after`, with the line's number. */
export function difference(before: string, after: string, shown = 5): string {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  let start = 0;
  while (start < Math.min(old.length, fresh.length) && old[start] === fresh[start]) start++;
  let end = 0;
  while (end < Math.min(old.length, fresh.length) - start && old.at(-1 - end) === fresh.at(-1 - end)) end++;
  const part = (lines: string[], sign: string): string[] => {
    const changed = lines.slice(start, lines.length - end).map((line) => `  ${sign} ${line}`);
    const rest = changed.length - shown;
    return rest > 0 ? [...changed.slice(0, shown), `  ${sign} … ${rest} more`] : changed;
  };
  return [`  line ${start + 1}:`, ...part(old, '-'), ...part(fresh, '+')].join('\n');
}
