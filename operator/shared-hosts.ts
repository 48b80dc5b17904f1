import { hostsAnnotation } from '../crds/names.ts';

/** Whether the owner of a Secret meant it for the host of this https URL: its annotation `cadre.dev/hosts` lists it. */
export function isSharedWith(secret: { annotations?: Record<string, string> }, url: URL): boolean {
  return listsHost((secret.annotations?.[hostsAnnotation] ?? '').split(','), url);
}

/**
 * Whether a list has the host of an https URL. An entry is `host`, for every port, or `host:port`, for that port only (443
 * where the URL has none); IPv6 addresses stand in brackets. Letter case, white space around it and the dot of the root do
 * not count. There are no wildcards.
 */
export function listsHost(entries: readonly string[], url: URL): boolean {
  const host = withoutRoot(url.hostname);
  const port = Number(url.port || 443);
  return entries.some((entry) => {
    const [, name = '', entryPort] = /^(.*?)(?::(\d+))?$/.exec(entry.trim().toLowerCase()) ?? [];
    return withoutRoot(name) === host && (entryPort === undefined || Number(entryPort) === port);
  });
}

function withoutRoot(name: string): string {
  return name.replace(/\.$/, '');
}
