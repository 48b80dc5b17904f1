import { Command, Option } from 'commander';
import { createLogger, type LogLevel, logLevels } from '../process/logger.ts';
import { shutdownSignal } from '../process/shutdown.ts';

/** Flags of every command. */
export interface Common {
  logLevel: LogLevel;
}

/** What every process has: a log, and a signal that ends it in order. */
export function start(component: string, { logLevel }: Common) {
  const log = createLogger(component, logLevel);
  return { log, signal: shutdownSignal(log) };
}

/** A command with the flags that all have. It refuses to run without those that `must` marks. */
export function subcommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(new Option('--log-level <level>', 'least level to log').choices(logLevels).default('info'))
    .hook('preAction', (_, called) => {
      const missing = called.options.filter(
        (option) => needed.has(option) && called.getOptionValue(option.attributeName()) === undefined,
      );
      if (missing.length > 0)
        called.error(`error: ${missing.map(({ flags }) => flags).join(', ')} must be given`, { exitCode: 2 });
    });
}

/** commander's own mandatory options would hide a misspelt flag behind the missing one. */
const needed = new WeakSet<Option>();

/** Marks an option that has to be given. */
export function must(option: Option): Option {
  needed.add(option);
  return option;
}
