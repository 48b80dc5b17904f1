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
const { access } = route;
const objection = () => undefined;

describe('the last good route of a policy that is wrong now', () => {
  it('stays as it was', () => {
    expect(retainRoute(route, { access, objection })).toEqual(route);
  });

  it('loses the client keys that are gone, and gets no new ones', () => {
    const now: Route['access'] = { mode: 'Keys', keys: [app, { name: 'new', sha256: 'cc' }] };
    expect(retainRoute(route, { access: now, objection }).access).toEqual({ mode: 'Keys', keys: [app] });
  });

  it('does not open because the wrong policy would', () => {
    const kept = retainRoute(route, { access: { mode: 'Open', shortName: true }, objection });
    expect(kept.access).toEqual(access);
  });

  it('closes where the wrong policy would', () => {
    const open: Route = { ...route, access: { mode: 'Open', shortName: true } };
    expect(retainRoute(open, { access, objection }).access).toEqual(access);
  });

  it('forgets a provider that may no longer be asked, with its key', () => {
    const kept = retainRoute(route, { access, objection: () => 'SecretNotShared' });
    expect(kept.backends).toEqual([{ name: 'flagship', kind: 'Unavailable', reason: 'SecretNotShared' }]);
    expect(JSON.stringify(kept)).not.toContain('sk-1');
  });
});
