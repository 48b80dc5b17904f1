import { existsSync } from 'node:fs';
import { errorMessage, UserError } from '../process/errors.ts';
import { cacheDir, stateDir } from './cache.ts';
import { down } from './local-cluster/cluster.ts';

/** `make down`: ends the local cluster and removes every trace of it. */
const log = (line: string): void => console.log(line);
try {
  await down({ log });
  if (existsSync(stateDir('e2e-cluster')))
    log('the cluster of an unfinished "make test" is still there: the next one takes it over and removes it');
  if (existsSync(cacheDir())) log(`what was built and downloaded stays in ${cacheDir()}`);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`make down: ${errorMessage(error)}`);
  process.exitCode = 1;
}
