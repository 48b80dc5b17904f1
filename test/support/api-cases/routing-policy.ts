import type { Changes } from './change.ts';
import type { KindCases } from './rule-cases.ts';

const label = 'must be lower-case letters, digits and "-", with a letter or digit at either end';
const objectName =
  'must be the name of an object: lower-case letters, digits, "-" and ".", with a letter or digit at either end';
const secretKey = 'must be a key of a Secret: letters, digits, "-", "_" and "."';
const duration = 'must be a duration of more than zero and at most 1h, in whole numbers with units: 300ms, 10s, 1m30s';

const openAI = { type: 'OpenAI', model: 'flagship', apiKey: { name: 'openai', key: 'token' } };
const anthropic = { type: 'Anthropic', model: 'claude', apiKey: { name: 'anthropic', key: 'token' } };
const compatible = { type: 'OpenAICompatible', model: 'flagship', url: 'https://api.example.com/v1' };
const provider = (value: object): Changes => ({ 'spec.backends[1]': { name: 'flagship', provider: value } });
const url = (value: string): Changes => provider({ ...compatible, url: value });
const key = (value: object): Changes => ({
  'spec.access.keys[0]': { name: 'web', secretRef: { name: 'web', key: 'token' }, ...value },
});
const token = (...tokens: string[]): Changes => ({
  'spec.output.labels': [...tokens.map((one, at) => ({ name: `label ${at}`, token: one })), { name: 'other' }],
});
const groups = (...all: string[][]): Changes => ({
  'spec.output.labels': ['card_arrival', 'card_linking', 'top_up'].map((name) => ({ name })),
  'spec.output.groups': all.map((own, at) => ({ name: `group ${at}`, labels: own })),
});
const manyLabels = (count: number): Changes => ({
  'spec.output.labels': Array.from({ length: count }, (_, at) => ({ name: `label_number_${at}`, token: ` word${at}` })),
  'spec.output.groups': Array.from({ length: 50 }, (_, group) => ({
    name: `group ${group}`,
    labels: Array.from({ length: count / 50 }, (_all, at) => `label_number_${(group * count) / 50 + at}`),
  })),
});
const labels = (...names: string[]): Changes => ({ 'spec.output.labels': names.map((name) => ({ name })) });
const withLabels = (change: Changes): Changes => ({ ...labels('a', 'b'), ...change });
const atTemperature = (temperature: string): Changes => withLabels({ 'spec.output.temperature': temperature });

const priced = (price: object): Changes => ({
  'spec.backends[1]': {
    name: 'flagship',
    provider: openAI,
    price: { inputPerMillion: '2.00', outputPerMillion: '10', ...price },
  },
});
const dollarsFor = (field: string) => ({
  field: `spec.backends[].price.${field}`,
  message: `${field} must be dollars for a million tokens in quotes, with at most four decimals, such as "2.00"`,
  keeps: ['0', '0.0001', '2.00', '9999'].map((dollars) => priced({ [field]: dollars })),
  breaks: ['-1', '2,00', '$2', '0.00001', '10000', '1e3', ''].map((dollars) => priced({ [field]: dollars })),
});
const ruled = (when: object, over: object = {}): Changes => ({
  'spec.rules': [{ name: 'tools', when, split: [{ backend: 'flagship', weight: 1 }], ...over }],
});
const byHeader = (name: string): Changes => ruled({ headers: [{ name }] });
const header = 'must be the name of a header in lower case: letters, digits, "-" and "_", with a letter or digit first';
const steps = (...all: object[]): Changes => ({ 'spec.escalation': { steps: all } });
const toFlagship = (change: Changes = {}): Changes => ({ ...steps({ to: 'flagship' }), ...change });
const streaming = (mode: string): Changes => toFlagship({ 'spec.escalation.streaming': mode });
const jsonSchema = (schema: object = {}): Changes => ({ 'spec.output.jsonSchema': schema });
const hedge = (over: object): Changes => ({ 'spec.hedge': { after: '1s', ...over } });
const atThreshold = (threshold: string): Changes => steps({ to: 'flagship', confidence: { threshold } });
const maxRate = (rate: string): Changes => toFlagship({ 'spec.escalation.budget': { maxRate: rate } });

const queue = (value: object): Changes => ({ 'spec.backends[0].maxConcurrency': 8, 'spec.queue': value });

export const routingPolicyCases: KindCases = {
  kind: 'RoutingPolicy',
  base: {
    apiVersion: 'cadre.dev/v1alpha1',
    kind: 'RoutingPolicy',
    metadata: { name: 'triage' },
    spec: {
      access: { keys: [{ name: 'web', secretRef: { name: 'web', key: 'token' } }] },
      backends: [
        { name: 'specialist', modelRef: { name: 'tickets' } },
        { name: 'flagship', provider: openAI },
      ],
      split: [
        { backend: 'specialist', weight: 90 },
        { backend: 'flagship', weight: 10 },
      ],
    },
  } as KindCases['base'],
  rules: [
    {
      field: 'metadata.name',
      message:
        'metadata.name must be at most 45 characters: lower-case letters, digits and "-", with a letter or digit at either end',
      keeps: [{ 'metadata.name': 'a'.repeat(45) }, { 'metadata.name': '7b-triage' }],
      breaks: [{ 'metadata.name': 'a'.repeat(46) }, { 'metadata.name': 'triage.v2' }],
    },
    {
      field: 'spec.rules',
      message: 'each backend in the split of a rule must be the name of one in backends',
      keeps: [ruled({ tools: true })],
      breaks: [ruled({ tools: true }, { split: [{ backend: 'judge', weight: 1 }] })],
    },
    {
      field: 'spec.rules[].name',
      message: label,
      keeps: [ruled({ tools: true }, { name: 'with-tools' })],
      breaks: [ruled({ tools: true }, { name: 'With tools' })],
    },
    {
      field: 'spec.rules[].split',
      message: 'split needs at least one weight above 0',
      keeps: [ruled({ tools: false })],
      breaks: [ruled({ tools: true }, { split: [{ backend: 'flagship', weight: 0 }] })],
    },
    {
      field: 'spec.rules[].when',
      message: 'when needs at least one condition',
      keeps: [
        ruled({ images: false }),
        ruled({ responseFormat: 'JSONSchema' }),
        ruled({ metadata: [{ key: 'a', value: '' }] }),
      ],
      breaks: [ruled({})],
    },
    {
      field: 'spec.rules[].when.promptTokens',
      message: 'promptTokens needs min or max, and min must not be above max',
      keeps: [ruled({ promptTokens: { min: 1000 } }), ruled({ promptTokens: { min: 0, max: 0 } })],
      breaks: [ruled({ promptTokens: {} }), ruled({ promptTokens: { min: 2, max: 1 } })],
    },
    {
      field: 'spec.rules[].when.headers[].name',
      message: header,
      keeps: ['x-tier', 'x_tier', 'tier'].map(byHeader),
      breaks: ['X-Tier', 'x tier', '-x', 'x:'].map(byHeader),
    },
    {
      field: 'spec.sticky.header',
      message: header,
      keeps: [{ 'spec.sticky': { by: 'Header', header: 'x-session-id' } }],
      breaks: [{ 'spec.sticky': { by: 'Header', header: 'X-Session-Id' } }],
    },
    {
      field: 'spec.sticky.header',
      message: 'sticky.header is required with by: Header, and for it only',
      keeps: [{ 'spec.sticky': { by: 'User' } }],
      breaks: [{ 'spec.sticky': { by: 'Header' } }, { 'spec.sticky': { by: 'User', header: 'x-session-id' } }],
    },
    ...['inputPerMillion', 'outputPerMillion', 'cachedInputPerMillion', 'cacheWritePerMillion'].map(dollarsFor),
    {
      field: 'spec.backends[].price.effective',
      message: 'effective must be a date such as "2026-10-07"',
      keeps: [priced({ effective: '2026-10-07' })],
      breaks: ['7.10.2026', '2026-13-01', '2026-10'].map((effective) => priced({ effective })),
    },
    {
      field: 'spec.escalation.steps[].to',
      message: label,
      keeps: [toFlagship()],
      breaks: [steps({ to: 'Flagship' })],
    },
    {
      field: 'spec.escalation',
      message: 'each escalation.steps[].to must be the name of one in backends',
      keeps: [toFlagship()],
      breaks: [steps({ to: 'flagship' }, { to: 'judge' })],
    },
    {
      field: 'spec.escalation.steps[].confidence.threshold',
      message: 'threshold must be a decimal number above 0 and at most 1 in quotes, such as "0.85"',
      keeps: ['0.85', '1', '1.0', '0.000001'].map(atThreshold),
      breaks: ['0', '0.0', '1.1', '-0.5', '.5', '85%', '0.1234567'].map(atThreshold),
    },
    {
      field: 'spec.escalation.budget.maxRate',
      message: 'maxRate must be a decimal number above 0 and at most 1 in quotes, such as "0.85"',
      keeps: ['0.2', '1'].map(maxRate),
      breaks: ['0', '20%', '2'].map(maxRate),
    },
    {
      field: 'spec.escalation',
      message:
        'escalation.streaming must be Auto or Buffer with output.labels or output.jsonSchema, as only a whole answer can be judged by them',
      keeps: [
        streaming('Prefix'),
        streaming('PassThrough'),
        withLabels(streaming('Buffer')),
        { ...streaming('Auto'), ...jsonSchema() },
      ],
      breaks: [withLabels(streaming('Prefix')), { ...streaming('PassThrough'), ...jsonSchema() }],
    },
    {
      field: 'spec.output.jsonSchema',
      message: 'output needs one of labels and jsonSchema: an answer is a label or a JSON document',
      keeps: [jsonSchema(), jsonSchema({ type: 'object', properties: { order: { type: 'string' } } })],
      breaks: [withLabels(jsonSchema())],
    },
    {
      field: 'spec.hedge.after',
      message: duration,
      keeps: [hedge({ after: '300ms' })],
      breaks: [hedge({ after: '0s' }), hedge({ after: '1.5s' }), hedge({ after: '2h' })],
    },
    {
      field: 'spec.hedge.maxRate',
      message: 'maxRate must be a decimal number above 0 and at most 1 in quotes, such as "0.85"',
      keeps: [hedge({ maxRate: '0.2' })],
      breaks: [hedge({ maxRate: '0' }), hedge({ maxRate: '5%' })],
    },
    {
      field: 'spec.escalation.when',
      message: 'escalation.when must name each reason at most once',
      keeps: [toFlagship({ 'spec.escalation.when': ['Error', 'Timeout'] })],
      breaks: [toFlagship({ 'spec.escalation.when': ['Error', 'Error'] })],
    },
    {
      field: 'spec.escalation.when',
      message: 'escalation.when must have LowConfidence where a step has a confidence.threshold',
      keeps: [
        { ...atThreshold('0.5'), 'spec.escalation.when': ['LowConfidence'] },
        toFlagship({ 'spec.escalation.when': ['Error'] }),
      ],
      breaks: [{ ...atThreshold('0.5'), 'spec.escalation.when': ['Error'] }],
    },
    {
      field: 'spec.limits',
      message: 'limits needs requestsPerMinute, tokensPerMinute, or both',
      keeps: [
        { 'spec.limits': { requestsPerMinute: 60 } },
        { 'spec.limits': { tokensPerMinute: 20_000_000 } },
        { 'spec.limits': { requestsPerMinute: 1, tokensPerMinute: 1, per: 'Key' } },
      ],
      breaks: [{ 'spec.limits': {} }, { 'spec.limits': { per: 'Policy' } }],
    },
    {
      field: 'spec.limits',
      message: 'limits.per: Key needs access.keys, for without keys nobody tells callers apart; use per: Policy',
      keeps: [
        { 'spec.limits': { requestsPerMinute: 60, per: 'Key' } },
        { 'spec.limits': { requestsPerMinute: 60 }, 'spec.access': { mode: 'Open' } },
      ],
      breaks: [{ 'spec.limits': { requestsPerMinute: 60, per: 'Key' }, 'spec.access': { mode: 'Open' } }],
    },
    {
      field: 'spec.model',
      message: 'model must be letters, digits, "-", ".", "_" and ":", with a letter or digit first',
      keeps: [{ 'spec.model': 'Triage_1.5:latest' }, { 'spec.model': '7b' }],
      breaks: ['support/triage', '-a', 'a b', 'ä', '.a'].map((model) => ({ 'spec.model': model })),
    },
    {
      field: 'spec.access',
      message: 'access needs exactly one of keys (who may call) and mode: Open (anyone may)',
      keeps: [{ 'spec.access': { mode: 'Open' } }, {}],
      breaks: [{ 'spec.access': {} }, { 'spec.access.mode': 'Open' }],
    },
    {
      field: 'spec.access.keys[].name',
      message: label,
      keeps: [key({ name: 'web-1' })],
      breaks: [key({ name: 'Web' }), key({ name: 'a b' })],
    },
    {
      field: 'spec.access.keys[].secretRef.name',
      message: objectName,
      keeps: [key({ secretRef: { name: 'web.key-1', key: 'token' } })],
      breaks: [key({ secretRef: { name: '../web', key: 'token' } }), key({ secretRef: { name: 'Web', key: 'token' } })],
    },
    {
      field: 'spec.access.keys[].secretRef.key',
      message: secretKey,
      keeps: [key({ secretRef: { name: 'web', key: 'API_KEY.txt' } })],
      breaks: [key({ secretRef: { name: 'web', key: 'a/b' } })],
    },
    {
      field: 'spec.backends[].name',
      message: label,
      keeps: [{ 'spec.backends[2]': { name: 'b-2', modelRef: { name: 'tickets' } } }],
      breaks: [{ 'spec.backends[2]': { name: 'B2', modelRef: { name: 'tickets' } } }],
    },
    {
      field: 'spec.backends[]',
      message: 'a backend needs exactly one of modelRef and provider',
      keeps: [{}],
      breaks: [
        { 'spec.backends[1]': { name: 'flagship' } },
        { 'spec.backends[1]': { name: 'flagship', modelRef: { name: 'tickets' }, provider: openAI } },
      ],
    },
    {
      field: 'spec.backends[].modelRef.name',
      message: label,
      keeps: [{ 'spec.backends[0].modelRef.name': 'qwen3-8b' }],
      breaks: [{ 'spec.backends[0].modelRef.name': 'support/tickets' }],
    },
    {
      field: 'spec.backends[].provider.url',
      message:
        'provider.url must be https://HOST[:PORT][/PATH] in lower-case host, without user name, query, fragment, "%", ".." or a "/" at its end',
      keeps: [
        url('https://api.example.com'),
        url('https://api.example.com:8443/v1'),
        url('https://gateway.example.com/v1/account/a_b~c/openai:v1@x'),
        url('https://203.0.113.7/v1'),
        url('https://api.example.com/.well-known/v1'),
      ],
      breaks: [
        url('http://api.example.com/v1'),
        url('https://user:secret@api.example.com/v1'),
        url('https://user@api.example.com/v1'),
        url('https://api.example.com/v1?key=1'),
        url('https://api.example.com/v1#a'),
        url('https://api.example.com/v1/'),
        url('https://api.example.com//v1'),
        url('https://api.example.com/../v1'),
        url('https://api.example.com/a/..'),
        url('https://api.example.com/%76'),
        url('https://API.example.com/v1'),
        url('https:///v1'),
        url('https://api.example.com:0/v1'),
        url('https://api.example.com:65536/v1'),
        url('https://0x7f.1/v1'),
        url('https://2130706433/v1'),
        url('https://api.example.com\\@evil.example/v1'),
        url('file:///etc/passwd'),
        url('api.example.com/v1'),
        url('https://api.example.com/v 1'),
      ],
    },
    {
      field: 'spec.backends[].provider.url',
      message: 'provider.url is for provider.type OpenAICompatible only; remove it, or change the type',
      keeps: [provider(openAI), provider(compatible)],
      breaks: [openAI, anthropic].map((one) => provider({ ...one, url: 'https://api.example.com/v1' })),
    },
    {
      field: 'spec.backends[].provider.url',
      message: 'provider.url is required with provider.type OpenAICompatible, e.g. https://api.example.com/v1',
      keeps: [provider(compatible), provider(openAI)],
      breaks: [provider({ ...compatible, url: undefined })],
    },
    {
      field: 'spec.backends[].provider.apiKey',
      message: 'provider.apiKey is required with provider.type OpenAI and Anthropic: the Secret with the API key',
      keeps: [provider(openAI), provider(anthropic), provider(compatible)],
      breaks: [openAI, anthropic].map((one) => provider({ ...one, apiKey: undefined })),
    },
    {
      field: 'spec.backends[].provider.maxTokens',
      message:
        'provider.maxTokens is for provider.type Anthropic only, which demands a limit; remove it, or change the type',
      keeps: [provider(anthropic), provider({ ...anthropic, maxTokens: 16000 })],
      breaks: [openAI, compatible].map((one) => provider({ ...one, maxTokens: 16000 })),
    },
    {
      field: 'spec.backends[].provider.apiKey.name',
      message: objectName,
      keeps: [provider({ ...compatible, apiKey: { name: 'a.b-c', key: 'token' } })],
      breaks: [provider({ ...openAI, apiKey: { name: 'a/b', key: 'token' } })],
    },
    {
      field: 'spec.backends[].provider.apiKey.key',
      message: secretKey,
      keeps: [provider({ ...openAI, apiKey: { name: 'openai', key: 'OPENAI_API_KEY' } })],
      breaks: [provider({ ...openAI, apiKey: { name: 'openai', key: 'a b' } })],
    },
    {
      field: 'spec.split',
      message: 'split needs at least one weight above 0',
      keeps: [{ 'spec.split[1].weight': 0 }],
      breaks: [{ 'spec.split[0].weight': 0, 'spec.split[1].weight': 0 }],
    },
    {
      field: 'spec.split',
      message: 'each backend in split must be the name of one in backends',
      keeps: [{ 'spec.split': [{ backend: 'flagship', weight: 1 }] }],
      breaks: [{ 'spec.split[1].backend': 'flagsihp' }],
    },
    {
      field: 'spec.queue',
      message: 'queue has nothing to wait for: set maxConcurrency of a backend, or remove queue',
      keeps: [queue({}), { 'spec.backends[0].maxConcurrency': 8 }],
      breaks: [{ 'spec.queue': {} }],
    },
    {
      field: 'spec.queue.maxWait',
      message: duration,
      keeps: ['1ms', '30s', '1h'].map((maxWait) => queue({ maxWait })),
      breaks: ['', '0s', '2h', '10'].map((maxWait) => queue({ maxWait })),
    },
    {
      field: 'spec.queue.maxBytes',
      message: 'must be a quantity that is not negative, such as 2, 500m or 16Gi; with a fraction in quotes, as "1.5"',
      keeps: [1000, '64Mi', '1G'].map((maxBytes) => queue({ maxBytes })),
      breaks: ['', '-1', '64MiB'].map((maxBytes) => queue({ maxBytes })),
    },
    {
      field: 'spec.fallback',
      message: 'each name in fallback must be the name of one in backends',
      keeps: [{ 'spec.fallback': ['flagship', 'specialist'] }, { 'spec.fallback': [] }],
      breaks: [{ 'spec.fallback': ['flagship', 'other'] }],
    },
    {
      field: 'spec.fallback',
      message: 'fallback must name each backend at most once',
      keeps: [{ 'spec.fallback': ['specialist', 'flagship'] }],
      breaks: [{ 'spec.fallback': ['flagship', 'specialist', 'flagship'] }],
    },
    {
      field: 'spec.output.labels[].name',
      message: 'a label must have no control characters or line breaks, and no space at either end',
      keeps: [labels('billing', 'lost or stolen card'), labels('退款', 'Überweisung', '🙂'), labels('a', '"\\{}[]|*')],
      breaks: [
        labels('billing', ' refund'),
        labels('billing', 'refund '),
        labels('billing', 're\nfund'),
        labels('billing', 're\tfund'),
        labels('billing', 'refund\u0000'),
        labels('billing', 'refund\u00a0'),
        labels('billing', 're\u2028fund'),
        labels('billing', 're\u0085fund'),
        labels('billing', ' '),
      ],
    },
    {
      field: 'spec.output.labels[].token',
      message: 'token must be one token as the model says it: no white space but for one space at its beginning',
      keeps: [token(' card', 'card'), token('退款'), token(' .', '"')],
      breaks: [
        token(' '),
        token('  card'),
        token('card '),
        token('a card'),
        token('card\n'),
        token('\u2581\u00a0'),
      ].map(withLabels),
    },
    {
      field: 'spec.output.labels',
      message: 'output.labels must each have a token of its own',
      keeps: [token(' card'), token(' card', 'card'), manyLabels(500)],
      breaks: [token(' card', ' fee', ' card'), token('a', 'a')],
    },
    {
      field: 'spec.output.groups[].name',
      message: 'the name of a group must have no control characters or line breaks, and no space at either end',
      keeps: [{ ...groups(['card_arrival', 'card_linking'], ['top_up']), 'spec.output.groups[0].name': 'Karten 💳' }],
      breaks: [
        { ...groups(['card_arrival', 'card_linking'], ['top_up']), 'spec.output.groups[0].name': 'card\n' },
        { ...groups(['card_arrival', 'card_linking'], ['top_up']), 'spec.output.groups[0].name': ' card' },
      ],
    },
    {
      field: 'spec.output.groups',
      message: 'output.groups needs output.labels, which it divides into groups',
      keeps: [groups(['card_arrival', 'card_linking'], ['top_up'])],
      breaks: [{ ...groups(['card_arrival', 'card_linking'], ['top_up']), 'spec.output.labels': undefined }],
    },
    {
      field: 'spec.output.groups',
      message: 'output.groups must name each of output.labels exactly once, and nothing else',
      keeps: [groups(['card_arrival', 'card_linking'], ['top_up']), manyLabels(500)],
      breaks: [
        groups(['card_arrival'], ['top_up']),
        groups(['card_arrival', 'card_linking'], ['card_linking', 'top_up']),
        groups(['card_arrival', 'card_linking'], ['top_up', 'top-up']),
        groups(['card_arrival', 'card-linking'], ['top_up']),
      ],
    },
    {
      field: 'spec.output.temperature',
      message: 'temperature must be a decimal number from 0.1 to 10 in quotes, such as "1.4"',
      keeps: ['1', '0.1', '1.4237', '10', '10.0', '01.5'].map(atTemperature),
      breaks: ['', '0', '0.09', '10.1', '-1', '1,4', '1e1', '.5', '1.', 'NaN', ' 1', '1\n'].map(atTemperature),
    },
    {
      field: 'spec.output.temperature',
      message: 'output.temperature needs output.labels, whose probabilities it calibrates',
      keeps: [atTemperature('1.4')],
      breaks: [{ 'spec.output.temperature': '1.4' }],
    },
    ...['firstByte', 'idle', 'total'].map((name) => ({
      field: `spec.timeouts.${name}`,
      message: duration,
      keeps: ['1ms', '5s', '1m30s', '1h', '60m'].map((value) => ({
        'spec.timeouts': { firstByte: '1ms', total: '1h', [name]: value },
      })),
      breaks: ['', '0s', '0h0ms', '61m', '1h1ms', '10', '1.5s', '-1s', '1d', ' 1s', '999999h999999h'].map((value) => ({
        'spec.timeouts': { firstByte: '1ms', total: '1h', [name]: value },
      })),
    })),
    {
      field: 'spec.timeouts.total',
      message: 'timeouts.total must be at least timeouts.firstByte, which is 10s unless it is set',
      keeps: [{ 'spec.timeouts.total': '10s' }, { 'spec.timeouts': { firstByte: '1m', total: '60s' } }],
      breaks: [{ 'spec.timeouts.total': '9s' }, { 'spec.timeouts.firstByte': '2m' }],
    },
  ],
  bounds: [
    {
      what: 'a policy says who may call',
      changes: { 'spec.access': undefined },
      field: 'spec.access',
      message: 'Required value',
    },
    {
      what: 'access by keys needs a key',
      changes: { 'spec.access.keys': [] },
      field: 'spec.access.keys',
      message: 'should have at least 1 items',
    },
    {
      what: 'a policy has backends',
      changes: { 'spec.backends': undefined },
      field: 'spec.backends',
      message: 'Required value',
    },
    {
      what: 'a policy has a split',
      changes: { 'spec.split': [] },
      field: 'spec.split',
      message: 'should have at least 1 items',
    },
    {
      what: 'two backends have two names',
      changes: { 'spec.backends[1].name': 'specialist' },
      field: 'spec.backends[1]',
      message: 'Duplicate value: {"name":"specialist"}',
    },
    {
      what: 'a backend has one weight',
      changes: { 'spec.split[1].backend': 'specialist' },
      field: 'spec.split[1]',
      message: 'Duplicate value: {"backend":"specialist"}',
    },
    {
      what: 'a limit that lets nothing through is none',
      changes: { 'spec.limits': { requestsPerMinute: 0 } },
      field: 'spec.limits.requestsPerMinute',
      message: 'should be greater than or equal to 1',
    },
    {
      what: 'labels differ',
      changes: labels('billing', 'billing'),
      field: 'spec.output.labels[1]',
      message: 'Duplicate value: {"name":"billing"}',
    },
    {
      what: 'one label is no choice',
      changes: labels('billing'),
      field: 'spec.output.labels',
      message: 'should have at least 2 items',
    },
    {
      what: 'groups differ',
      changes: {
        ...groups(['card_arrival', 'card_linking'], ['top_up']),
        'spec.output.groups[1].name': 'group 0',
      },
      field: 'spec.output.groups[1]',
      message: 'Duplicate value: {"name":"group 0"}',
    },
    {
      what: 'one group is no choice',
      changes: groups(['card_arrival', 'card_linking', 'top_up']),
      field: 'spec.output.groups',
      message: 'should have at least 2 items',
    },
    {
      what: 'a group has labels',
      changes: groups(['card_arrival', 'card_linking', 'top_up'], []),
      field: 'spec.output.groups[1].labels',
      message: 'should have at least 1 items',
    },
    {
      what: 'there are at most 500 labels',
      changes: { 'spec.output.labels': Array.from({ length: 501 }, (_, at) => ({ name: `label ${at}` })) },
      field: 'spec.output.labels',
      message: 'must have at most 500 items',
    },
    {
      what: 'keys have names of their own',
      changes: { 'spec.access.keys[1]': { name: 'web', secretRef: { name: 'other', key: 'token' } } },
      field: 'spec.access.keys[1]',
      message: 'Duplicate value: {"name":"web"}',
    },
    {
      what: 'weights are not negative',
      changes: { 'spec.split[0].weight': -1 },
      field: 'spec.split[0].weight',
      message: 'should be greater than or equal to 0',
    },
    {
      what: 'weights are at most a million',
      changes: { 'spec.split[0].weight': 1_000_001 },
      field: 'spec.split[0].weight',
      message: 'should be less than or equal to 1000000',
    },
    {
      what: 'providers that do not exist are refused',
      changes: { 'spec.backends[1].provider.type': 'Mistral' },
      field: 'spec.backends[1].provider.type',
      message: 'supported values: "OpenAI", "Anthropic", "OpenAICompatible"',
    },
    {
      what: 'a reference to a model has at most 45 characters',
      changes: { 'spec.backends[0].modelRef.name': 'a'.repeat(46) },
      field: 'spec.backends[0].modelRef.name',
      message: 'may not be more than 45 bytes',
    },
    {
      what: 'access that is open is said in one word',
      changes: { 'spec.access': { mode: 'open' } },
      field: 'spec.access.mode',
      message: 'supported values: "Open"',
    },
  ],
  unknown: {
    'spec.output.labels[0].tokens': { ...labels('a', 'b'), 'spec.output.labels[0].tokens': [' a'] },
    'spec.timeouts.first': { 'spec.timeouts.first': '1s' },
    'spec.split[0].percent': { 'spec.split[0].percent': 90 },
    'spec.rollout': { 'spec.rollout': { steps: [] } },
    'spec.backends[0].weight': { 'spec.backends[0].weight': 90 },
    'spec.access.keys[0].value': { 'spec.access.keys[0].value': 'secret' },
  },
};
