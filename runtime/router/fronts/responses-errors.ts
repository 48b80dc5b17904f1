import { ApiError } from '../errors.ts';

/** Whether a field asks for something. */
export function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}

/** 400: a field of another form than it has to have. */
export function invalid(param: string, what: string): ApiError {
  return new ApiError(400, 'invalid_type', `"${param}" ${what}`, { param });
}

/** 400: what a chat can't do, and what to do instead. */
export function unsupported(param: string, cure: string): ApiError {
  return new ApiError(400, 'unsupported_parameter', `"${param}" can't be had here: ${cure}`, { param });
}

/** A client's word in a message, short. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? `"${value.slice(0, 64)}"` : typeof value;
}

/** An error about another field. */
export function renamed({ status, code, message, details }: ApiError, param: string): ApiError {
  return new ApiError(status, code, message.replaceAll(`"${details.param}"`, `"${param}"`), { ...details, param });
}
