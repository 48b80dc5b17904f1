import { stringify } from 'yaml';
import type { Route } from '../crds/route-table.ts';
import { readFiles } from './manifests/files.ts';
import { type Given, loopback } from './manifests/given.ts';
import { compiled } from './manifests/source.ts';

export interface CompileOptions {
  /** Files and folders with manifests. */
  paths: readonly string[];
  given: Omit<Given, 'allowedCIDRs'>;
  form: 'yaml' | 'json';
  /** Providers' keys are told as they are. */
  showKeys: boolean;
}

/** What stands in the place of a provider's key. */
const redacted = '(redacted)';

/**
 * The route table of manifests, as the operator would write it: a list of routes by the names of their policies, and what is
 * missing. Throws a `UserError` with all that is wrong, a line each.
 */
export function routeTable({ paths, given, form, showKeys }: CompileOptions): { text: string; warnings: string[] } {
  const { routes, warnings } = compiled(readFiles(paths), { ...given, allowedCIDRs: loopback });
  const table = routes.map(({ route }) => (showKeys ? route : withoutKeys(route)));
  const text = form === 'json' ? `${JSON.stringify(table, null, 2)}\n` : stringify(table, { lineWidth: 0 });
  return { text, warnings };
}

function withoutKeys(route: Route): Route {
  const backends = route.backends.map((backend) =>
    'apiKey' in backend && backend.apiKey !== undefined ? { ...backend, apiKey: redacted } : backend,
  );
  return { ...route, backends };
}
