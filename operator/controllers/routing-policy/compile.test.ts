import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Route } from '../../../crds/route-table.ts';
import type { RoutingPolicySpec } from '../../../crds/v1alpha1/routing-policy.ts';
import type { SecretView } from '../../context.ts';
import { asNamesake, type Compilation, compileRoute, type Sources } from './compile.ts';
import { aModel, aPolicy, aSecret, strongKey } from './testing/builders.ts';

const config: Sources['config'] = { providers: { allowedHosts: [], allowedCIDRs: [] }, openShortNames: [] };
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const provider = (over: object = {}): RoutingPolicySpec['backends'][number] => ({
  name: 'flagship',
  provider: { type: 'OpenAI', model: 'big-model', apiKey: { name: 'provider', key: 'token' }, ...over },
});
const compatible = (url: string) => provider({ type: 'OpenAICompatible', url });
const flagshipOnly = (backend: RoutingPolicySpec['backends'][number]) =>
  aPolicy({ spec: { backends: [backend], split: [{ backend: 'flagship', weight: 1 }] } });

/** Compiles with a ready model, a good client key and a good provider key, unless said otherwise. */
function compile(
  over: Partial<Sources> & { secrets?: Record<string, SecretView> } = {},
  maxBytes?: number,
): Compilation {
  const secrets: Record<string, SecretView> = {
    'web-key': aSecret('web-key', { token: strongKey }),
    provider: aSecret('provider', { token: 'sk-provider' }),
    ...over.secrets,
  };
  const sources: Sources = {
    policy: aPolicy(),
    secret: (name) => secrets[name] ?? { state: 'Missing' },
    model: (name) => (name === 'classifier' ? aModel('classifier') : undefined),
    namesakes: [],
    config,
    ...over,
  };
  return compileRoute(sources, maxBytes);
}

function routeOf(compilation: Compilation): Route {
  if (compilation.outcome !== 'Compiled') throw new TypeError(`not compiled: ${JSON.stringify(compilation)}`);
  return compilation.route;
}

const reasons = (compilation: Compilation) => compilation.problems.map(({ reason }) => reason);

it('compiles a price to tenths of a nano-dollar a token', () => {
  const price = { inputPerMillion: '2.00', outputPerMillion: '10', cachedInputPerMillion: '0.0001' };
  const policy = flagshipOnly({ ...provider(), price });
  expect(routeOf(compile({ policy })).backends[0]).toMatchObject({
    price: { input: 20_000, output: 100_000, cachedInput: 1 },
  });
});

describe('the queue', () => {
  it('is compiled to numbers, as are the places of a backend and the priority of a key', () => {
    const { spec } = aPolicy();
    const [first, ...others] = spec.backends;
    const [key] = spec.access.keys ?? [];
    if (!first || !key) throw new Error('the policy of the tests has a backend and a key');
    const policy = aPolicy({
      spec: {
        ...spec,
        access: { keys: [{ ...key, priority: 'High' }] },
        backends: [{ ...first, maxConcurrency: 8 }, ...others],
        queue: { maxRequests: 100, maxBytes: '64Mi', maxWait: '5s', onDeadline: 'Reject' },
      },
    });
    const route = routeOf(compile({ policy }));
    const queue = { maxRequests: 100, maxBytes: 64 * 1024 * 1024, maxWaitMs: 5_000, onDeadline: 'Reject' };
    expect(route.queue).toEqual(queue);
    expect(route.backends[0]).toMatchObject({ maxConcurrency: 8 });
    expect(route.access).toMatchObject({ mode: 'Keys', keys: [{ priority: 'High' }] });
    expect(routeOf(compile())).not.toHaveProperty('queue');
  });
});

describe('escalation', () => {
  const twoBackends = [{ name: 'specialist', modelRef: { name: 'classifier' } }, provider()];
  const split = [{ backend: 'specialist', weight: 1 }];

  it('compiles with its numbers read, and what is left out is not there', () => {
    const policy = aPolicy({
      spec: {
        backends: twoBackends,
        split,
        escalation: {
          steps: [{ to: 'flagship', confidence: { threshold: '0.85' } }],
          when: ['LowConfidence', 'Timeout'],
          unknownConfidence: 'Accept',
          budget: { maxRate: '0.2' },
          streaming: 'Auto',
        },
      },
    });
    expect(routeOf(compile({ policy })).escalation).toEqual({
      steps: [{ to: 'flagship', threshold: 0.85 }],
      when: ['LowConfidence', 'Timeout'],
      unknownConfidence: 'Accept',
      maxRate: 0.2,
      streaming: 'Prefix',
    });
    expect(routeOf(compile())).not.toHaveProperty('escalation');
  });

  it('is streamed as a policy says, or as its answers can be judged', () => {
    const steps = [{ to: 'flagship', confidence: { threshold: '0.85' } }];
    const labels = [{ name: 'billing' }, { name: 'refund' }];
    const streamed = (over: object, output?: RoutingPolicySpec['output']) => {
      const escalation = {
        steps: [{ to: 'flagship' }],
        when: ['Error', 'LowConfidence'] as const,
        unknownConfidence: 'Accept' as const,
        streaming: 'Auto' as const,
        ...over,
      };
      const spec = { backends: twoBackends, split, ...(output && { output }) };
      const policy = aPolicy({ spec: { ...spec, escalation: { ...escalation, when: [...escalation.when] } } });
      return routeOf(compile({ policy })).escalation?.streaming;
    };
    expect(streamed({ steps })).toBe('Prefix');
    expect(streamed({})).toBe('PassThrough');
    expect(streamed({ steps }, { labels })).toBe('Buffer');
    expect(streamed({}, { jsonSchema: {} })).toBe('Buffer');
    expect(streamed({ steps, streaming: 'PassThrough' })).toBe('PassThrough');
  });

  it('counts a step as one of those who are asked: a model that is not ready is a problem', () => {
    const policy = aPolicy({
      spec: {
        backends: [
          { name: 'specialist', modelRef: { name: 'classifier' } },
          { name: 'bigger', modelRef: { name: 'bigger' } },
        ],
        split,
        escalation: { steps: [{ to: 'bigger' }], when: ['Error'], unknownConfidence: 'Escalate', streaming: 'Auto' },
      },
    });
    const notReady = aModel('bigger');
    notReady.status = { ...notReady.status, conditions: [] };
    const model = (name: string) => (name === 'bigger' ? notReady : aModel(name));
    expect(reasons(compile({ policy, model }))).toEqual(['BackendNotReady']);
  });
});

it('hedging compiles with its numbers read', () => {
  const policy = aPolicy({ spec: { hedge: { after: '300ms', maxRate: '0.05' } } });
  expect(routeOf(compile({ policy })).hedge).toEqual({ afterMs: 300, maxRate: 0.05 });
  expect(routeOf(compile())).not.toHaveProperty('hedge');
});

describe('a schema of answers', () => {
  const withSchema = (jsonSchema: Record<string, unknown>) => aPolicy({ spec: { output: { jsonSchema } } });

  it('comes to the router as it is', () => {
    const jsonSchema = { type: 'object', required: ['order'], properties: { order: { type: 'string' } } };
    expect(routeOf(compile({ policy: withSchema(jsonSchema) })).output).toEqual({ jsonSchema });
  });

  it.each([
    [{ type: 'strin' }, 'is no JSON Schema'],
    [{ $ref: 'https://example.com/order.json' }, 'is no JSON Schema'],
    [{ description: 'x'.repeat(33_000) }, 'and may have 32768'],
  ])('is refused where the router could not use it: %#', (jsonSchema, message) => {
    const compilation = compile({ policy: withSchema(jsonSchema) });
    expect([compilation.outcome, reasons(compilation)]).toEqual(['Refused', ['InvalidSpec']]);
    expect(compilation.problems[0]?.message).toContain(`spec.output.jsonSchema: `);
    expect(compilation.problems[0]?.message).toContain(message);
  });
});

describe('limits', () => {
  it('compile as they are, without what is left out', () => {
    const policy = aPolicy({ spec: { limits: { requestsPerMinute: 60, per: 'Key' } } });
    expect(routeOf(compile({ policy })).limits).toEqual({ requestsPerMinute: 60, per: 'Key' });
    expect(routeOf(compile())).not.toHaveProperty('limits');
  });
});

describe('a policy in order', () => {
  it('compiles to what the router needs', () => {
    const policy = aPolicy({
      spec: {
        model: 'ticket-triage',
        backends: [{ name: 'specialist', modelRef: { name: 'classifier' } }, provider()],
        split: [
          { backend: 'specialist', weight: 90 },
          { backend: 'flagship', weight: 10 },
        ],
        fallback: ['flagship'],
        output: { labels: [{ name: 'billing' }, { name: 'refund' }] },
      },
    });
    const compilation = compile({ policy });
    expect(compilation.problems).toEqual([]);
    expect(routeOf(compilation)).toEqual({
      version: 1,
      policy: { namespace: 'support', name: 'triage', uid: 'uid-triage', generation: 3 },
      model: 'ticket-triage',
      access: { mode: 'Keys', keys: [{ name: 'web', sha256: sha256(strongKey) }] },
      backends: [
        {
          name: 'specialist',
          kind: 'Model',
          namespace: 'support',
          model: 'classifier',
          engine: 'LlamaCpp',
          task: 'Classification',
          servedModel: 'classifier',
        },
        {
          name: 'flagship',
          kind: 'Provider',
          dialect: 'OpenAI',
          baseUrl: 'https://api.openai.com/v1',
          servedModel: 'big-model',
          apiKey: 'sk-provider',
        },
      ],
      split: [
        { backend: 'specialist', weight: 90 },
        { backend: 'flagship', weight: 10 },
      ],
      fallback: ['flagship'],
      output: { labels: ['billing', 'refund'] },
      timeouts: { firstByteMs: 10_000, idleMs: 20_000, totalMs: 60_000 },
    });
  });

  it('never carries a client key in the clear', () => {
    expect(JSON.stringify(routeOf(compile()))).not.toContain(strongKey);
  });

  it('takes the name of the policy where it names no model', () => {
    expect(routeOf(compile()).model).toBe('triage');
  });

  it('answers to its short name without keys only where the configuration grants it', () => {
    const policy = aPolicy({ spec: { access: { mode: 'Open' } } });
    expect(routeOf(compile({ policy })).access).toEqual({ mode: 'Open', shortName: false });
    const granted = { ...config, openShortNames: ['support/triage'] };
    expect(routeOf(compile({ policy, config: granted })).access).toEqual({ mode: 'Open', shortName: true });
  });
});

describe('labels', () => {
  it('come with their tokens, groups and temperature', () => {
    const labels = [{ name: 'card_arrival', token: ' arrival' }, { name: 'top_up' }, { name: 'fee', token: ' fee' }];
    const groups = [
      { name: 'card', labels: ['card_arrival'] },
      { name: 'money', labels: ['top_up', 'fee'] },
    ];
    const policy = aPolicy({ spec: { output: { labels, groups, temperature: '1.40' } } });
    expect(routeOf(compile({ policy })).output).toEqual({
      labels: ['card_arrival', 'top_up', 'fee'],
      tokens: [
        { label: 'card_arrival', token: ' arrival' },
        { label: 'fee', token: ' fee' },
      ],
      groups,
      temperature: 1.4,
    });
  });

  it.each<[string[], object, string | undefined]>([
    [['--runner', 'pooling'], {}, 'Text'],
    [['--max-num-seqs=8', '--convert=classify'], {}, 'Text'],
    [['--runner=pooling'], { promptTemplate: { configMap: { name: 'triage', key: 'prompt' } } }, 'Messages'],
    [['--runner', 'generate', 'pooling'], {}, undefined],
    [[], {}, undefined],
  ])('are told by the head of a vLLM that is started with %j', (args, model, classify) => {
    const classifier = aModel('classifier');
    classifier.spec = {
      ...classifier.spec,
      engine: { type: 'VLLM', args },
      model: { uri: 'hf://a/b', ...model },
    };
    const [backend] = routeOf(compile({ model: () => classifier })).backends;
    expect(backend).toMatchObject({ kind: 'Model', engine: 'VLLM' });
    expect(backend && 'classify' in backend ? backend.classify : undefined).toBe(classify);
  });
});

describe('client keys', () => {
  const twoKeys = aPolicy({
    spec: {
      access: {
        keys: [
          { name: 'web', secretRef: { name: 'web-key', key: 'token' } },
          { name: 'app', secretRef: { name: 'app-key', key: 'token' } },
        ],
      },
    },
  });

  it.each<[string, string, SecretView]>([
    ['does not exist', 'SecretNotFound', { state: 'Missing' }],
    ['lacks the key', 'SecretKeyNotFound', aSecret('app-key', { other: strongKey })],
    ['is empty', 'SecretKeyNotFound', aSecret('app-key', { token: '\n' })],
    ['is short', 'WeakKey', aSecret('app-key', { token: 'a'.repeat(31) })],
    ['cannot stand in a header', 'InvalidKey', aSecret('app-key', { token: `${strongKey} ${strongKey}` })],
  ])('opens nothing when its Secret %s, and the others still do', (_, reason, view) => {
    const compilation = compile({ policy: twoKeys, secrets: { 'app-key': view } });
    expect(reasons(compilation)).toEqual([reason]);
    expect(compilation.problems[0]?.message).toContain('spec.access.keys[app].secretRef');
    expect(routeOf(compilation).access).toEqual({ mode: 'Keys', keys: [{ name: 'web', sha256: sha256(strongKey) }] });
  });

  it('lose one line break at their end, as files have', () => {
    const key = 'a'.repeat(32);
    const secrets = { 'web-key': aSecret('web-key', { token: `${key}\n` }) };
    expect(routeOf(compile({ secrets })).access).toEqual({
      mode: 'Keys',
      keys: [{ name: 'web', sha256: sha256(key) }],
    });
  });

  it('count once when two entries have the same', () => {
    const secrets = { 'app-key': aSecret('app-key', { token: strongKey }) };
    expect(routeOf(compile({ policy: twoKeys, secrets })).access).toMatchObject({ keys: [{ name: 'web' }] });
  });

  it('are waited for until they were read once: nobody loses access because the operator started', () => {
    expect(compile({ secrets: { 'web-key': { state: 'Unknown' } } })).toEqual({ outcome: 'Waiting', problems: [] });
  });

  it('that cannot be read leave the route as it is, and the reason is told', () => {
    const compilation = compile({ secrets: { 'web-key': { state: 'Unknown', problem: 'forbidden' } } });
    expect(compilation.outcome).toBe('Waiting');
    expect(reasons(compilation)).toEqual(['SecretUnreadable']);
    expect(compilation.problems[0]?.message).toContain('forbidden');
  });
});

describe('models', () => {
  it('that do not exist are unavailable in the route', () => {
    const compilation = compile({ model: () => undefined });
    expect(reasons(compilation)).toEqual(['BackendNotFound']);
    expect(routeOf(compilation).backends).toEqual([
      { name: 'specialist', kind: 'Unavailable', reason: 'BackendNotFound' },
    ]);
  });

  it('that are not ready are in the route all the same, to serve as soon as their endpoints are there', () => {
    const compilation = compile({ model: (name) => aModel(name, { status: 'False', reason: 'Loading' }) });
    expect(reasons(compilation)).toEqual(['BackendNotReady']);
    expect(compilation.problems[0]?.message).toContain('Loading');
    expect(routeOf(compilation).backends).toMatchObject([{ kind: 'Model', model: 'classifier' }]);
  });

  it('that no request can come to may be unready', () => {
    const policy = aPolicy({
      spec: {
        backends: [
          { name: 'specialist', modelRef: { name: 'classifier' } },
          { name: 'next', modelRef: { name: 'next' } },
        ],
        split: [
          { backend: 'specialist', weight: 1 },
          { backend: 'next', weight: 0 },
        ],
      },
    });
    const model = (name: string) => aModel(name, { status: name === 'next' ? 'False' : 'True', reason: 'Loading' });
    expect(reasons(compile({ policy, model }))).toEqual([]);
  });
});

describe('a model of Anthropic', () => {
  it('is asked at its own host, by its own dialect, with the limit that is set; its Secret needs no annotation', () => {
    const claude = { type: 'Anthropic', model: 'claude-sonnet-4-6' };
    const compiled = (over: object) => routeOf(compile({ policy: flagshipOnly(provider({ ...claude, ...over })) }));
    expect(compiled({ maxTokens: 8192 }).backends).toEqual([
      {
        name: 'flagship',
        kind: 'Provider',
        dialect: 'Anthropic',
        baseUrl: 'https://api.anthropic.com/v1',
        servedModel: 'claude-sonnet-4-6',
        maxTokens: 8192,
        apiKey: expect.any(String),
      },
    ]);
    expect(compiled({}).backends[0]).not.toHaveProperty('maxTokens');
  });
});

describe('providers', () => {
  const shared = (hosts: string) => aSecret('provider', { token: 'sk' }, { 'cadre.dev/hosts': hosts });

  it.each([
    ['llm.example.com', 'https://llm.example.com/v1'],
    ['LLM.example.com, other.example.com', 'https://llm.example.com/v1'],
    ['llm.example.com', 'https://llm.example.com:8443/v1'],
    ['llm.example.com:8443', 'https://llm.example.com:8443/v1'],
    ['llm.example.com:443', 'https://llm.example.com/v1'],
  ])('get a key whose Secret names their host: %s for %s', (hosts, url) => {
    const compilation = compile({ policy: flagshipOnly(compatible(url)), secrets: { provider: shared(hosts) } });
    expect(compilation.problems).toEqual([]);
    expect(routeOf(compilation).backends).toMatchObject([{ baseUrl: url, apiKey: 'sk' }]);
  });

  it.each([
    ['nothing', ''],
    ['another host', 'other.example.com'],
    ['a host above', 'example.com'],
    ['another port', 'llm.example.com:8443'],
  ])('get no key whose Secret names %s', (_, hosts) => {
    const policy = flagshipOnly(compatible('https://llm.example.com/v1'));
    const compilation = compile({ policy, secrets: { provider: shared(hosts) } });
    expect(reasons(compilation)).toEqual(['SecretNotShared']);
    expect(compilation.problems[0]?.message).toContain('cadre.dev/hosts: llm.example.com');
    expect(routeOf(compilation).backends).toEqual([
      { name: 'flagship', kind: 'Unavailable', reason: 'SecretNotShared' },
    ]);
  });

  it('whose Secret is gone cannot be asked', () => {
    const compilation = compile({ policy: flagshipOnly(provider()), secrets: { provider: { state: 'Missing' } } });
    expect(reasons(compilation)).toEqual(['SecretNotFound']);
    expect(routeOf(compilation).backends).toMatchObject([{ kind: 'Unavailable' }]);
  });

  it('may need no key', () => {
    const { apiKey: _, ...keyless } = { ...compatible('https://llm.example.com/v1').provider };
    const policy = flagshipOnly({
      name: 'flagship',
      provider: keyless as typeof keyless & { type: 'OpenAI'; model: string },
    });
    expect(routeOf(compile({ policy })).backends[0]).not.toHaveProperty('apiKey');
  });

  it('at an address inside the cluster are refused', () => {
    const compilation = compile({ policy: flagshipOnly(compatible('https://engine.support.svc/v1')) });
    expect(compilation.outcome).toBe('Refused');
    expect(reasons(compilation)).toEqual(['HostNotAllowed']);
    expect(compilation.problems[0]?.message).toContain('spec.backends[flagship].provider.url');
  });

  it('at a private address are taken where the configuration allows it', () => {
    const policy = flagshipOnly(compatible('https://10.1.2.3/v1'));
    const allowed = { ...config, providers: { allowedHosts: [], allowedCIDRs: ['10.1.0.0/16'] } };
    const secrets = { provider: shared('10.1.2.3') };
    expect(compile({ policy, config: allowed, secrets }).problems).toEqual([]);
  });

  it('whose host the configuration does not list are refused, the own ones as well', () => {
    const listed = { ...config, providers: { allowedHosts: ['llm.example.com'], allowedCIDRs: [] } };
    const secrets = { provider: shared('llm.example.com') };
    expect(reasons(compile({ policy: flagshipOnly(provider()), config: listed }))).toEqual(['HostNotAllowed']);
    const policy = flagshipOnly(compatible('https://llm.example.com/v1'));
    expect(compile({ policy, config: listed, secrets }).outcome).toBe('Compiled');
  });
});

describe('names', () => {
  const older = aPolicy({ name: 'older', spec: { model: 'triage' }, created: '2025-01-01T00:00:00Z' });
  const younger = aPolicy({ name: 'younger', spec: { model: 'triage' }, created: '2026-02-01T00:00:00Z' });
  const namesake = (policy = older, key = strongKey) =>
    asNamesake(policy, () => aSecret('any', { token: key }), config);

  it('belong to the older policy where one key opens both', () => {
    const compilation = compile({ policy: younger, namesakes: [namesake()] });
    expect(reasons(compilation)).toEqual(['NameConflict']);
    expect(compilation.problems[0]?.message).toContain('support/older');
    expect(routeOf(compilation).access).toMatchObject({ keys: [{ name: 'web', shortName: false }] });
    expect(compile({ policy: older, namesakes: [namesake(younger)] }).problems).toEqual([]);
  });

  it('may be the same where no key opens both', () => {
    const compilation = compile({ policy: younger, namesakes: [namesake(older, 'z'.repeat(40))] });
    expect(compilation.problems).toEqual([]);
  });

  it('of two policies of the same second belong to the lesser UID, seen from either side', () => {
    const twin = (uid: string) => aPolicy({ name: uid, uid, spec: { model: 'triage' } });
    expect(reasons(compile({ policy: twin('b'), namesakes: [namesake(twin('a'))] }))).toEqual(['NameConflict']);
    expect(reasons(compile({ policy: twin('a'), namesakes: [namesake(twin('b'))] }))).toEqual([]);
  });

  it('are not given out before the keys of older policies are known', () => {
    const unread = asNamesake(older, () => ({ state: 'Unknown' }), config);
    expect(compile({ policy: younger, namesakes: [unread] }).outcome).toBe('Waiting');
  });

  it('granted to two open policies belong to the older', () => {
    const granted = { ...config, openShortNames: ['support/older', 'support/younger'] };
    const open = (name: string, created: string) =>
      aPolicy({ name, created, spec: { model: 'triage', access: { mode: 'Open' } } });
    const first = open('older', '2025-01-01T00:00:00Z');
    const second = open('younger', '2026-01-01T00:00:00Z');
    const namesakes = [asNamesake(first, () => ({ state: 'Missing' }), granted)];
    const compilation = compile({ policy: second, namesakes, config: granted });
    expect(reasons(compilation)).toEqual(['NameConflict']);
    expect(routeOf(compilation).access).toEqual({ mode: 'Open', shortName: false });
  });
});

describe('what a wrong policy still permits its last route', () => {
  const asked = {
    name: 'old',
    kind: 'Provider',
    dialect: 'OpenAI',
    baseUrl: 'https://llm.example.com/v1',
    servedModel: 'm',
  } as const;
  const shared = aSecret('provider', { token: 'sk' }, { 'cadre.dev/hosts': 'llm.example.com' });
  function objectionTo(backend: typeof asked & { apiKey?: string }, over: Parameters<typeof compile>[0] = {}) {
    const policy = flagshipOnly(compatible('https://engine.support.svc/v1'));
    const compilation = compile({ policy, secrets: { provider: shared }, ...over });
    if (compilation.outcome !== 'Refused') throw new TypeError(`not refused: ${compilation.outcome}`);
    return compilation.permitted?.objection(backend);
  }

  it('are providers whose key the policy still names and whose Secret is still shared', () => {
    expect(objectionTo(asked)).toBeUndefined();
    expect(objectionTo({ ...asked, apiKey: 'sk' })).toBeUndefined();
  });

  it('are none whose key is gone, replaced or no longer meant for them', () => {
    expect(objectionTo({ ...asked, apiKey: 'sk' }, { secrets: {} })).toBe('SecretNotFound');
    expect(objectionTo({ ...asked, apiKey: 'older' })).toBe('SecretNotFound');
    const unshared = { provider: aSecret('provider', { token: 'sk' }) };
    expect(objectionTo({ ...asked, apiKey: 'sk' }, { secrets: unshared })).toBe('SecretNotShared');
  });

  it('are none that the configuration no longer allows', () => {
    const listed = { ...config, providers: { allowedHosts: ['other.example.com'], allowedCIDRs: [] } };
    expect(objectionTo(asked, { config: listed })).toBe('HostNotAllowed');
  });
});

describe('a wrong policy', () => {
  it('is refused where the schema does not hold, with the field', () => {
    const policy = aPolicy({ spec: { split: [{ backend: 'specialist', weight: -1 }] } });
    const compilation = compile({ policy });
    expect(compilation).toMatchObject({ outcome: 'Refused', problems: [{ reason: 'InvalidSpec' }] });
    expect(compilation.problems[0]?.message).toContain('split');
  });

  it('is refused where its route would be larger than the contract allows', () => {
    const bytes = Buffer.byteLength(JSON.stringify(routeOf(compile())));
    expect(compile({}, bytes).outcome).toBe('Compiled');
    const compilation = compile({}, bytes - 1);
    expect(compilation.outcome).toBe('Refused');
    expect(reasons(compilation)).toEqual(['RouteTooLarge']);
  });
});
