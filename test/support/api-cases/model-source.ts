import { modelUriMessages } from '../../../crds/model-uri.ts';
import type { SourceField } from '../../../crds/v1alpha1/model-source.ts';
import type { Changes } from './change.ts';
import type { RuleCases } from './rule-cases.ts';

const commit = '3f2c9e1b7a60d4e8c5f1029384756abcdef01234';
const sha256 = 'a'.repeat(64);

/** The message of every name that must be that of an object. */
export const objectName =
  'must be the name of an object: lower-case letters, digits, "-" and ".", with a letter or digit at either end';

/** Changes that give a model, or its adapter, a source of each kind, with what that kind needs. */
export function sourceChanges(field: SourceField) {
  const at = `spec.${field}`;
  const uri = (value: string): Changes => ({ [`${at}.uri`]: value });
  const changes =
    (first: Changes) =>
    (more: Changes = {}): Changes => ({ ...first, ...more });
  return {
    uri,
    claim: changes(uri('pvc://models/m.gguf')),
    hub: changes({ ...uri('hf://acme/tickets/m.gguf'), [`${at}.revision`]: commit }),
    web: changes({ ...uri('https://models.example.com/m.gguf'), [`${at}.sha256`]: sha256 }),
    vllm: changes({
      'spec.engine.type': 'VLLM',
      'spec.model.uri': 'pvc://models/tickets',
      ...uri('pvc://models/tickets'),
    }),
  };
}

/** The rules that weights and adapters share. */
export function sourceCases(field: SourceField): RuleCases[] {
  const at = `spec.${field}`;
  const messages = modelUriMessages(`${field}.uri`);
  const { uri, claim, hub, web, vllm } = sourceChanges(field);
  const folder = field === 'model' ? 'a folder or repository with safetensors' : 'a PEFT folder or repository';
  return [
    {
      field: `${at}.uri`,
      message: messages.scheme,
      keeps: [uri('pvc://models/m.gguf'), hub(), web()],
      breaks: [
        uri('s3://bucket/m.gguf'),
        uri('http://example.com/m.gguf'),
        uri('file:///etc/passwd.gguf'),
        uri('/models/m.gguf'),
        uri('PVC://models/m.gguf'),
        uri(' pvc://models/m.gguf'),
      ],
    },
    {
      field: `${at}.uri`,
      message: messages.pvc,
      keeps: [
        uri('pvc://models/a/b/m.gguf'),
        uri('pvc://my.claim/.cache/..data/...m.gguf'),
        uri(`pvc://c/a_b+c@1=2${field === 'model' ? ',' : ''}~.gguf`),
      ],
      breaks: [
        uri('pvc://models'),
        uri('pvc:///m.gguf'),
        uri('pvc://models/../secret.gguf'),
        uri('pvc://models/a/../../m.gguf'),
        uri('pvc://models/./m.gguf'),
        uri('pvc://models//m.gguf'),
        uri('pvc://models/m.gguf/'),
        uri('pvc://../m.gguf'),
        uri('pvc://models/%2e%2e/m.gguf'),
        uri('pvc://models/m.gguf?x=.gguf'),
        uri('pvc://models/m.gguf#.gguf'),
        uri('pvc://models/a b.gguf'),
        uri('pvc://models/a\\..\\m.gguf'),
        uri('pvc://models/a\n.gguf'),
        uri('pvc://Models/m.gguf'),
      ],
    },
    {
      field: `${at}.uri`,
      message: messages.claim,
      keeps: [uri(`pvc://${'a'.repeat(253)}/m.gguf`), web(uri(`https://example.com/${'a'.repeat(254)}/m.gguf`))],
      breaks: [uri(`pvc://${'a'.repeat(254)}/m.gguf`)],
    },
    {
      field: `${at}.uri`,
      message: messages.hf,
      keeps: [hub(), hub(uri('hf://acme/Qwen2.5_GGUF/q4/m.gguf'))],
      breaks: [
        hub(uri('hf://acme/../m.gguf')),
        hub(uri('hf://acme/tickets/../m.gguf')),
        hub(uri('hf://acme/tickets//m.gguf')),
        hub(uri('hf://acme/tickets/m.gguf?x.gguf')),
        hub(uri('hf://acme.gguf')),
        hub(uri('hf://acme/tickets@main/m.gguf')),
        hub(uri(`hf://acme/${'a'.repeat(97)}/m.gguf`)),
      ],
    },
    {
      field: `${at}.uri`,
      message: messages.https,
      keeps: [web(), web(uri('https://models.example.com:8443/a/m.gguf')), web(uri('https://10.0.0.1:65535/m.gguf'))],
      breaks: [
        web(uri('https://user:secret@example.com/m.gguf')),
        web(uri('https://example.com/m.gguf?token=x.gguf')),
        web(uri('https://example.com/m.gguf#.gguf')),
        web(uri('https://example.com/a/../m.gguf')),
        web(uri('https://example.com/%2e%2e/m.gguf')),
        web(uri('https://example.com//m.gguf')),
        web(uri('https:///m.gguf')),
        web(uri('https://EXAMPLE.com/m.gguf')),
        web(uri('https://example.com:0/m.gguf')),
        web(uri('https://[::1]/m.gguf')),
        web(uri('https://example.com:65536/m.gguf')),
        web(uri('https://0x7f.1/m.gguf')),
        web(uri('https://2130706433/m.gguf')),
        web(uri('https://example.com\\@evil.example/m.gguf')),
      ],
    },
    {
      field: `${at}.uri`,
      message: `${field}.uri must name one file that ends in .gguf, as engine.type is LlamaCpp; with hf: hf://OWNER/REPO/FILE.gguf`,
      keeps: [uri('pvc://models/m.gguf'), hub(), web(), vllm()],
      breaks: [
        uri('pvc://models/tickets'),
        uri('pvc://models/m.gguf.bak'),
        hub(uri('hf://acme/tickets')),
        hub(uri('hf://acme/tickets.gguf')),
        web(uri('https://models.example.com/model.safetensors')),
      ],
    },
    {
      field: `${at}.uri`,
      message: `${field}.uri must be hf:// or pvc://, as engine.type is VLLM, which loads a folder; https:// is one file`,
      keeps: [vllm(), vllm({ [`${at}.uri`]: 'hf://acme/tickets', [`${at}.revision`]: commit }), web()],
      breaks: [vllm(web(uri('https://models.example.com/tickets')))],
    },
    {
      field: `${at}.uri`,
      message: `${field}.uri must be ${folder}, as engine.type is VLLM; for a .gguf file set engine.type: LlamaCpp`,
      keeps: [vllm(), uri('pvc://models/m.gguf')],
      breaks: [vllm(uri('pvc://models/m.gguf')), vllm(hub())],
    },
    {
      field: `${at}.uri`,
      message: `${field}.uri must be the whole repository, hf://OWNER/REPO, as engine.type is VLLM`,
      keeps: [vllm(hub(uri('hf://acme/tickets'))), vllm(uri('pvc://models/a/b/c')), hub()],
      breaks: [vllm(hub(uri('hf://acme/tickets/model.safetensors'))), vllm(hub(uri('hf://acme/tickets/folder')))],
    },
    {
      field: `${at}.revision`,
      message: `${field}.revision must be a commit, branch or tag: letters, digits, "-", "_", and single "." and "/" between them`,
      keeps: ['main', 'v1.0.2', 'refs/pr/1', 'feature/a-b_c', commit].map((revision) =>
        hub({ [`${at}.revision`]: revision, [`${at}.allowMutable`]: true }),
      ),
      breaks: ['../main', 'a/../b', 'a//b', 'a/', '-a', 'a b', 'a..b', 'a%2fb', 'a?b', '.a'].map((revision) =>
        hub({ [`${at}.revision`]: revision, [`${at}.allowMutable`]: true }),
      ),
    },
    {
      field: `${at}.revision`,
      message: `${field}.revision is for hf:// only; remove it`,
      keeps: [hub(), uri('pvc://models/m.gguf')],
      breaks: [claim({ [`${at}.revision`]: commit }), web({ [`${at}.revision`]: commit })],
    },
    {
      field: `${at}.revision`,
      message: `${field}.revision must be a commit of 40 lower-case hexadecimal digits, so that every replica runs the same weights; for a branch or tag set ${field}.allowMutable: true`,
      keeps: [
        hub(),
        hub({ [`${at}.revision`]: 'main', [`${at}.allowMutable`]: true }),
        hub({ [`${at}.revision`]: undefined, [`${at}.allowMutable`]: true }),
      ],
      breaks: [
        hub({ [`${at}.revision`]: undefined }),
        hub({ [`${at}.revision`]: 'main' }),
        hub({ [`${at}.revision`]: 'main', [`${at}.allowMutable`]: false }),
        hub({ [`${at}.revision`]: undefined, [`${at}.allowMutable`]: false }),
        hub({ [`${at}.revision`]: commit.slice(1) }),
        hub({ [`${at}.revision`]: commit.toUpperCase() }),
      ],
    },
    {
      field: `${at}.allowMutable`,
      message: `${field}.allowMutable is for hf:// only; remove it`,
      keeps: [hub({ [`${at}.allowMutable`]: false })],
      breaks: [claim({ [`${at}.allowMutable`]: true }), web({ [`${at}.allowMutable`]: false })],
    },
    {
      field: `${at}.sha256`,
      message: `${field}.sha256 must be 64 lower-case hexadecimal digits, as sha256sum prints them`,
      keeps: [web(), hub({ [`${at}.sha256`]: sha256 }), claim({ [`${at}.sha256`]: sha256 })],
      breaks: [
        web({ [`${at}.sha256`]: 'a'.repeat(63) }),
        web({ [`${at}.sha256`]: 'A'.repeat(64) }),
        web({ [`${at}.sha256`]: 'g'.repeat(64) }),
      ],
    },
    {
      field: `${at}.sha256`,
      message: `${field}.sha256 is required with https://: the SHA-256 of the file, as sha256sum prints it`,
      keeps: [web(), hub()],
      breaks: [web({ [`${at}.sha256`]: undefined })],
    },
    {
      field: `${at}.sha256`,
      message: `${field}.sha256 is of one file, and engine.type VLLM loads many; remove it: ${field}.revision pins them all`,
      keeps: [vllm(), hub({ [`${at}.sha256`]: sha256 })],
      breaks: [
        vllm({ [`${at}.sha256`]: sha256 }),
        vllm(hub({ ...uri('hf://acme/tickets'), [`${at}.sha256`]: sha256 })),
      ],
    },
    {
      field: `${at}.credentials`,
      message: `${field}.credentials are for downloads, hf:// and https://; remove them`,
      keeps: [hub({ [`${at}.credentials`]: { name: 'hub' } }), web({ [`${at}.credentials`]: { name: 'web' } })],
      breaks: [claim({ [`${at}.credentials`]: { name: 'hub' } })],
    },
    {
      field: `${at}.credentials.name`,
      message: objectName,
      keeps: [hub({ [`${at}.credentials.name`]: 'my.token-1' })],
      breaks: ['../token', 'My-Token', 'a b', '-a'].map((name) => hub({ [`${at}.credentials.name`]: name })),
    },
    {
      field: `${at}.credentials.key`,
      message: 'must be a key of a Secret: letters, digits, "-", "_" and "."',
      keeps: [hub({ [`${at}.credentials`]: { name: 'hub', key: 'HF_TOKEN' } })],
      breaks: [hub({ [`${at}.credentials`]: { name: 'hub', key: 'a/b' } })],
    },
  ];
}
