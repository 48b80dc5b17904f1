#!/usr/bin/env node
import { CommanderError } from 'commander';
import { UserError } from '../process/errors.ts';
import { createLogger } from '../process/logger.ts';
import { createProgram } from './program.ts';

/** Exit status: 0 done, 1 failed, 2 called wrongly. */
async function main(): Promise<number> {
  try {
    await createProgram().parseAsync();
    return 0;
  } catch (error) {
    // commander has said what is wrong; for --help and --version its exit code is 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof UserError) {
      process.stderr.write(`cadre: ${error.message}\n`);
      return 1;
    }
    createLogger('cadre', 'error').error({ err: error }, 'ended by an unexpected error');
    return 1;
  }
}

// Whatever is still open then, a connection or a timer, holds nobody up.
process.exit(await main());
