import type { Logger } from '../../process/logger.ts';

/** Tells how far a load has come, at most every `everyMs`. */
export interface Progress {
  /** Bytes that arrived, over the network or found on disk. */
  add(bytes: number): void;
}

export function progressLog(log: Logger, totalBytes: number | undefined, everyMs = 5_000): Progress {
  let bytes = 0;
  let lastBytes = 0;
  let last = performance.now();
  return {
    add(more) {
      bytes += more;
      const now = performance.now();
      if (now - last < everyMs) return;
      const bytesPerSecond = Math.round(((bytes - lastBytes) / (now - last)) * 1000);
      const percent = totalBytes ? Math.floor((100 * bytes) / totalBytes) : undefined;
      log.info({ bytes, totalBytes, percent, bytesPerSecond }, 'loading');
      last = now;
      lastBytes = bytes;
    },
  };
}
