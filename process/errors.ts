import { inspect } from 'node:util';

/**
 * An error that a person can cure: a stable `code` (CamelCase, as reasons of conditions are) and a message that names the
 * field or flag and says what to do. Whoever catches it at the edge prints the message without a stack trace.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The text of anything that was thrown, with the causes behind it: `connect failed: ECONNREFUSED 127.0.0.1:6443`. */
export function errorMessage(error: unknown): string {
  const texts: string[] = [];
  for (let at: unknown = error, depth = 0; at !== undefined && at !== null && depth < 5; depth++) {
    const text = at instanceof Error ? at.message || at.name : typeof at === 'string' ? at : inspect(at);
    if (!texts.some((seen) => seen.includes(text))) texts.push(text);
    at = at instanceof Error ? at.cause : undefined;
  }
  return texts.join(': ');
}
