/** Headers of every request to an engine; the id of the request comes to them. */
export function engineHeaders(): string[] {
  return ['content-type', 'application/json'];
}
