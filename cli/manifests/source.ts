import { UserError } from '../../process/errors.ts';
import {
  type GivenTables,
  replaceTables,
  type TableSource,
  type Tables,
} from '../../runtime/router/routes/table-source.ts';
import { compileManifests, endpointsOf } from './compile.ts';
import { type ManifestFiles, readFiles } from './files.ts';
import type { Given } from './given.ts';
import { readObjects } from './objects.ts';
import { watchFiles } from './watch.ts';

/** Routes and endpoints of these files, for as long as they say nothing wrong. */
export interface ManifestTables extends GivenTables {
  warnings: string[];
}

/**
 * Routes from manifests in files and folders, endpoints as they are given. What changes is served within a second. Files
 * that say something wrong change nothing: the last good tables stay, and the log says why.
 *
 * @param first what the files said when they were looked at before
 */
export function manifestSource(
  files: ManifestFiles,
  paths: readonly string[],
  given: Given,
  tables: Tables,
): TableSource {
  const { log } = tables;
  const started = Math.floor(Date.now() / 1000);
  let seen = JSON.stringify(files);
  let stop = (): void => undefined;

  const serve = ({ warnings, ...next }: ManifestTables): void => {
    for (const warning of warnings) log.warn(warning);
    replaceTables(tables, next);
  };
  const lookAgain = (): void => {
    const now = readFiles(paths);
    const text = JSON.stringify(now);
    if (text === seen) return;
    seen = text;
    try {
      const next = tablesOf(now, given, started);
      serve(next);
      log.info({ routes: next.routes.length }, 'manifests read again');
    } catch (error) {
      const why = error instanceof UserError ? { problem: error.message } : { err: error };
      log.error(why, "the manifests can't be used as they are now: their last good form is served");
    }
  };
  return {
    async start() {
      serve(tablesOf(files, given, started));
      const watching = watchFiles(paths, log, lookAgain);
      stop = () => watching.stop();
      // What changed between the first look and the watch.
      lookAgain();
    },
    missing: () => undefined,
    async stop() {
      stop();
    },
  };
}

/** Tables of these files. Throws a `UserError` with all that is wrong, a line each. */
export function tablesOf(files: ManifestFiles, given: Given, created: number): ManifestTables {
  const { routes, warnings } = compiled(files, given);
  const { endpoints, warnings: odd } = endpointsOf(
    routes.map(({ route }) => route),
    given,
  );
  const dated = routes.map((one) => ({ route: one.route, created: one.created ?? created }));
  return { routes: dated, endpoints, warnings: [...warnings, ...odd] };
}

/** Routes of these files. Throws a `UserError` with all that is wrong, a line each. */
export function compiled({ files, problems }: ManifestFiles, given: Given) {
  const { routes, refusals, warnings } = compileManifests(readObjects(files), given);
  const wrong = [...problems, ...refusals];
  if (wrong.length > 0) throw new UserError('InvalidManifests', wrong.join('\n'));
  if (routes.length === 0) {
    const where = files.map(({ path }) => path).join(', ');
    throw new UserError('InvalidManifests', `no RoutingPolicy of apiVersion cadre.dev/v1alpha1 is in ${where}`);
  }
  return { routes, warnings };
}
