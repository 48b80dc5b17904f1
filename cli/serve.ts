import { readConfig } from '../process/config.ts';
import type { Logger } from '../process/logger.ts';
import { type RouterConfigInput, routerConfigSchema } from '../runtime/router/config.ts';
import { runRouter } from '../runtime/router/main.ts';
import type { Resolve } from '../runtime/router/providers/guarded-connect.ts';
import type { HostPort } from './flags.ts';
import { readFiles } from './manifests/files.ts';
import { type Given, loopback } from './manifests/given.ts';
import { manifestSource, tablesOf } from './manifests/source.ts';

export interface ServeOptions {
  /** Files and folders with manifests. */
  paths: readonly string[];
  given: Omit<Given, 'allowedCIDRs'>;
  listen: HostPort;
  /** Configuration of the router; may be left out. */
  configFile: string | undefined;
  log: Logger;
  signal: AbortSignal;
  onListening?: (port: number) => void;
  /** How names of providers are resolved; `dns.lookup` by default. */
  resolve?: Resolve | undefined;
}

/** The router's configuration where nobody has to be told that it ends, and no namespace is its own. */
const configSchema = routerConfigSchema.extend({
  namespace: routerConfigSchema.shape.namespace.default('default'),
  drain: routerConfigSchema.shape.drain.prefault({ delaySeconds: 0 }),
});

/**
 * Runs the router from manifests until `signal` aborts and the last request is answered. Rejects with a `UserError` for
 * what a person can cure.
 */
export async function runServe({ paths, listen, configFile, log, signal, ...options }: ServeOptions): Promise<void> {
  const config = configFile === undefined ? configSchema.parse({}) : readConfig(configSchema, configFile);
  const allowedCIDRs = [...loopback, ...config.providers.allowedCIDRs];
  const given: Given = { ...options.given, allowedCIDRs };
  const files = readFiles(paths);
  // What is wrong from the first ends the program before anything was opened.
  tablesOf(files, given, 0);
  const used: RouterConfigInput = { ...config, providers: { ...config.providers, allowedCIDRs } };
  await runRouter({
    config: used,
    host: listen.host,
    port: listen.port,
    portSetting: '--listen',
    source: (tables) => manifestSource(files, paths, given, tables),
    onListening: ({ port }) => options.onListening?.(port),
    resolve: options.resolve,
    log,
    signal,
  });
}
