import { loadError } from '../report.ts';

/**
 * Refuses a file name that a server gave when it could lead out of the model's folder, or meet the loader's own files.
 *
 * @throws UserError `InvalidModel`
 */
export function safePath(path: string): string {
  if (!isSafePath(path))
    throw loadError(
      'InvalidModel',
      `the repository lists an unsafe file name, ${JSON.stringify(path)}; nothing was loaded`,
    );
  return path;
}

/** Whether a file name stays in the folder, and is none of the loader's own. */
export function isSafePath(path: string): boolean {
  const parts = path.split('/');
  return (
    path.length <= 1024 &&
    // oxlint-disable-next-line no-control-regex -- these are what is refused.
    !/[\\\u0000-\u001f\u007f]/.test(path) &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..' && part.length <= 255) &&
    !parts.some((part) => part.startsWith('.cadre'))
  );
}
