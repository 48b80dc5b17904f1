/** Sum of a metric's samples over all its label sets in the Prometheus text format; undefined when there is none. */
export function metricSum(text: string, name: string): number | undefined {
  let sum: number | undefined;
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + name.length)) {
    const after = text[at + name.length];
    if ((at > 0 && text[at - 1] !== '\n') || (after !== ' ' && after !== '{')) continue;
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end < 0 ? undefined : end);
    // A label's value may hold a brace; the last one closes the set.
    const value = Number(
      line
        .slice(Math.max(line.lastIndexOf('}') + 1, name.length))
        .trim()
        .split(' ')[0],
    );
    if (!Number.isNaN(value)) sum = (sum ?? 0) + value;
  }
  return sum;
}
