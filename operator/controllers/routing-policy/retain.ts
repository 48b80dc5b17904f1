import type { Route, RouteBackend } from '../../../crds/route-table.ts';
import type { Resolved } from './compile.ts';

/**
 * The last good route of a policy whose spec is wrong now, less what must not outlive its permission: client keys that the
 * policy no longer names or whose Secret is gone, providers that are no longer allowed or whose key was withdrawn.
 */
export function retainRoute(route: Route, resolved: Resolved): Route {
  return { ...route, access: retainAccess(route.access, resolved.access), backends: route.backends.map(retain) };

  function retain(backend: RouteBackend): RouteBackend {
    if (backend.kind !== 'Provider') return backend;
    const { name, baseUrl, apiKey } = backend;
    const allowed = resolved.backends.some(
      (now) => now.kind === 'Provider' && now.baseUrl === baseUrl && now.apiKey === apiKey,
    );
    if (allowed) return backend;
    const now = resolved.backends.find((other) => other.name === name);
    return { name, kind: 'Unavailable', reason: now?.kind === 'Unavailable' ? now.reason : 'InvalidSpec' };
  }
}

/** The narrower of the two. */
function retainAccess(before: Route['access'], now: Route['access']): Route['access'] {
  if (now.mode === 'Open') return before.mode === 'Open' ? now : before;
  if (before.mode === 'Open') return now;
  const known = new Set(before.keys.map(({ sha256 }) => sha256));
  return { mode: 'Keys', keys: now.keys.filter(({ sha256 }) => known.has(sha256)) };
}
