import type { Route } from '../../../crds/route-table.ts';
import type { Permitted } from './compile.ts';

/**
 * The last good route of a policy whose spec is wrong now, less what must not outlive its permission: client keys that the
 * policy no longer names or whose Secret is gone, providers that are no longer allowed or whose key was withdrawn.
 */
export function retainRoute(route: Route, permitted: Permitted): Route {
  const backends = route.backends.map((backend): Route['backends'][number] => {
    const reason = backend.kind === 'Provider' ? permitted.objection(backend) : undefined;
    return reason ? { name: backend.name, kind: 'Unavailable', reason } : backend;
  });
  return { ...route, access: retainAccess(route.access, permitted.access), backends };
}

/** The narrower of the two. */
function retainAccess(before: Route['access'], now: Route['access']): Route['access'] {
  if (now.mode === 'Open') return before.mode === 'Open' ? now : before;
  if (before.mode === 'Open') return now;
  const known = new Set(before.keys.map(({ sha256 }) => sha256));
  return { mode: 'Keys', keys: now.keys.filter(({ sha256 }) => known.has(sha256)) };
}
