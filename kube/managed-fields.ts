const start = '"managedFields":[';
const end = '}]';

/**
 * Parses one object that the API server sent, or a watch event with one, without `metadata.managedFields`: nobody here reads
 * them, and they are half of the bytes of a Deployment or Pod, so of what a busy watch costs in CPU and garbage.
 *
 * The list is cut out of the text. Its first `}]` is its end, as there is no list within it, and neither text can stand in a
 * string by chance, because quotes are escaped there. The API server writes `metadata` before all else that could have a
 * field of this name. Should a cut go wrong all the same, what is left is no JSON, and the whole is parsed.
 *
 * @throws SyntaxError when the text is no JSON.
 */
export function parseWithoutManagedFields(text: string): unknown {
  const from = text.indexOf(start);
  const last = from === -1 ? -1 : text.indexOf(end, from + start.length);
  if (last !== -1) {
    const until = last + end.length;
    // With one of the commas beside it.
    const [before, after] =
      text[from - 1] === ',' ? [from - 1, until] : [from, text[until] === ',' ? until + 1 : until];
    try {
      return JSON.parse(text.slice(0, before) + text.slice(after));
    } catch {
      // As a whole, below.
    }
  }
  return JSON.parse(text);
}
