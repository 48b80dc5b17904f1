import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of a test's own. `await using` removes it, or a hook calls `remove`. */
export interface TemporaryFolder extends AsyncDisposable {
  path: string;
  /** Removes the folder with all that is in it, also when some of it is gone already. */
  remove: () => Promise<void>;
}

/** Makes an empty folder where the system keeps what is temporary; `purpose` is a part of its name. */
export async function temporaryFolder(purpose: string): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), `cadre-${purpose}-`));
  // Processes that end just now may still write there.
  const remove = (): Promise<void> => rm(path, { recursive: true, force: true, maxRetries: 5 });
  return { path, remove, [Symbol.asyncDispose]: remove };
}
