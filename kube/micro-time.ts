/**
 * A time in milliseconds since 1970 as metav1.MicroTime, which Leases and Events have: RFC 3339 in UTC with microseconds.
 */
export function microTime(at: number): string {
  return new Date(at).toISOString().replace('Z', '000Z');
}
