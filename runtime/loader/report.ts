import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { errorMessage, UserError } from '../../process/errors.ts';

/** Why weights could not be brought into place: the `code` of a failure's report. */
export const loadFailureCodes = [
  'InvalidSource',
  'ModelNotFound',
  'Unauthorized',
  'DownloadFailed',
  'ChecksumMismatch',
  'NotAGguf',
  'InvalidModel',
  'InvalidAdapter',
  'AdapterMismatch',
  'DiskFull',
  'NotWritable',
  'Interrupted',
] as const;
export type LoadFailureCode = (typeof loadFailureCodes)[number];

/** A failure to load, for people: the message says what to do. */
export function loadError(code: LoadFailureCode, message: string, cause?: unknown): UserError {
  return new UserError(code, message, { cause });
}

/** What stands in the container's termination message after success. */
export interface LoadReport {
  /** `sha256:…` of the one model file, where it is known; a folder has none. */
  digest?: string;
  /** `sha256:…` of the adapter's file: the GGUF, or the tensors in a PEFT folder. */
  adapterDigest?: string;
  /** Of the model. */
  bytes: number;
  /** From the loader's start to its end, rounded up. */
  seconds: number;
}

/** What stands there after a failure. */
export interface LoadFailure {
  code: string;
  message: string;
}

export const defaultTerminationLog = '/dev/termination-log';

/** The kubelet keeps 4096 bytes of a termination message. */
const maxMessageBytes = 3500;

export function failureOf(error: unknown): LoadFailure {
  const code = error instanceof UserError ? error.code : 'DownloadFailed';
  const text = error instanceof UserError ? error.message : errorMessage(error);
  return { code, message: Buffer.from(text).subarray(0, maxMessageBytes).toString('utf8') };
}

/**
 * Writes the report where the kubelet reads it. Outside a container the default file does not exist, and is not made:
 * a regular file in /dev would only be in the way.
 */
export async function writeTerminationMessage(report: LoadReport | LoadFailure, path: string): Promise<void> {
  const create = path === defaultTerminationLog ? 0 : constants.O_CREAT;
  try {
    // oxlint-disable-next-line no-bitwise -- open(2) takes its flags this way.
    const file = await open(path, constants.O_WRONLY | constants.O_TRUNC | create, 0o644);
    try {
      await file.writeFile(JSON.stringify(report));
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
