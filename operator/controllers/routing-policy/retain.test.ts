import { describe, expect, it } from 'vitest';
import type { Route } from '../../../crds/route-table.ts';
import { retainRoute } from './retain.ts';

const flagship = {
  name: 'flagship',
  kind: 'Provider',
  dialect: 'OpenAI',
  baseUrl: 'https://api.openai.com/v1',
  servedModel: 'big',
  apiKey: 'sk-1',
} as const;
const web = { name: 'web', sha256: 'aa' };
const app = { name: 'app', sha256: 'bb' };
const route: Route = {
  version: 1,
  policy: { namespace: 'support', name: 'triage', uid: 'u', generation: 1 },
  model: 'triage',
  access: { mode: 'Keys', keys: [web, app] },
  backends: [flagship],
  split: [{ backend: 'flagship', weight: 1 }],
  fallback: [],
  output: {},
  timeouts: { firstByteMs: 1, idleMs: 1, totalMs: 1 },
};
const { access, backends } = route;

describe('the last good route of a policy that is wrong now', () => {
  it('stays as it was', () => {
    expect(retainRoute(route, { access, backends })).toEqual(route);
  });

  it('loses the client keys that are gone, and gets no new ones', () => {
    const now = { mode: 'Keys', keys: [app, { name: 'new', sha256: 'cc' }] } as const;
    expect(retainRoute(route, { access: { ...now, keys: [...now.keys] }, backends }).access).toEqual({
      mode: 'Keys',
      keys: [app],
    });
  });

  it('does not open because the wrong policy would', () => {
    const kept = retainRoute(route, { access: { mode: 'Open', shortName: true }, backends });
    expect(kept.access).toEqual(access);
  });

  it('closes where the wrong policy would', () => {
    const open: Route = { ...route, access: { mode: 'Open', shortName: true } };
    expect(retainRoute(open, { access, backends }).access).toEqual(access);
  });

  it('forgets a provider key that was withdrawn', () => {
    const unavailable = { name: 'flagship', kind: 'Unavailable', reason: 'SecretNotShared' } as const;
    const kept = retainRoute(route, { access, backends: [unavailable] });
    expect(kept.backends).toEqual([unavailable]);
    expect(JSON.stringify(kept)).not.toContain('sk-1');
  });

  it('forgets a provider key that was replaced', () => {
    const kept = retainRoute(route, { access, backends: [{ ...flagship, apiKey: 'sk-2' }] });
    expect(JSON.stringify(kept)).not.toContain('sk-1');
  });
});
