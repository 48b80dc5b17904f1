import { type FSWatcher, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from '../../process/logger.ts';

/** Editors write a file in several steps, which are one change; in ms. */
const settleMs = 100;
/** Some file systems tell of no change, and a folder that was made anew is not the one that is watched; in ms. */
const lookMs = 5_000;

export interface FileWatch {
  stop(): void;
}

/**
 * Calls `changed` soon after something about these files and folders may have changed, and now and then besides. Folders are
 * watched, not files: an editor puts a new file in the place of the old one.
 */
export function watchFiles(paths: readonly string[], log: Logger, changed: () => void): FileWatch {
  let settling: NodeJS.Timeout | undefined;
  const soon = (): void => {
    clearTimeout(settling);
    settling = setTimeout(changed, settleMs);
  };
  const watchers = [...new Set(paths.map(folderOf))].flatMap((folder): FSWatcher[] => {
    try {
      const watcher = watch(folder, soon);
      watcher.on('error', (error) => log.debug({ folder, err: error }, 'watched no more; looked at every 5 s'));
      return [watcher];
    } catch (error) {
      log.debug({ folder, err: error }, "can't be watched; looked at every 5 s");
      return [];
    }
  });
  const look = setInterval(changed, lookMs);
  return {
    stop() {
      clearTimeout(settling);
      clearInterval(look);
      for (const watcher of watchers) watcher.close();
    },
  };
}

function folderOf(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? path : dirname(path);
}
