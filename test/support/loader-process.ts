import { errorMessage } from '../../process/errors.ts';
import { createLogger } from '../../process/logger.ts';
import { shutdownSignal } from '../../process/shutdown.ts';
import { runLoader } from '../../runtime/loader/main.ts';
import { loading } from './loading.ts';

/** A loader as a process of its own, so that it can be killed: `loader-process.ts FOLDER OPTIONS-AS-JSON`. */
const [folder = '', options = '{}'] = process.argv.slice(2);
const log = createLogger('loader', 'info');
try {
  const given = JSON.parse(options) as Parameters<typeof loading>[1];
  await runLoader(loading(folder, { ...given, log, signal: shutdownSignal(log) }));
  process.exit(0);
} catch (error) {
  process.stderr.write(`${errorMessage(error)}\n`);
  process.exit(1);
}
