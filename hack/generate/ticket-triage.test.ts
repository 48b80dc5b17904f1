import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseRoutingPolicy, parseSpecializedModel } from '../../crds/parse.ts';
import { readTicketTriage, splitOf } from '../proof/ticket-triage.ts';
import { ticketTriageManifests } from './ticket-triage.ts';

const root = resolve(import.meta.dirname, '../..');

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string };
}

const objectsOf = <T extends Manifest>(text: string): T[] =>
  parseAllDocuments(text).map((document) => document.toJS() as T);

describe('the manifests of the examples', () => {
  const objects = globSync('examples/**/*.yaml', { cwd: root }).flatMap((path) =>
    objectsOf(readFileSync(join(root, path), 'utf8')),
  );
  const parsers: Partial<Record<string, typeof parseRoutingPolicy | typeof parseSpecializedModel>> = {
    RoutingPolicy: parseRoutingPolicy,
    SpecializedModel: parseSpecializedModel,
  };

  it('are models and policies that the operator accepts', () => {
    const ours = objects.filter(({ kind }) => kind in parsers);
    expect(ours.length).toBeGreaterThanOrEqual(7);
    expect(ours.map((object) => parsers[object.kind]?.(object)).filter((result) => !result?.ok)).toEqual([]);
  });

  it('are all in the namespace that is one of them', () => {
    const namespace = objects.find(({ kind }) => kind === 'Namespace');
    const others = objects.filter(({ kind }) => kind !== 'Namespace');
    expect(new Set(others.map(({ metadata }) => metadata.namespace))).toEqual(new Set([namespace?.metadata.name]));
  });
});

describe('the prompts of ticket triage', async () => {
  const manifests = new Map(await ticketTriageManifests(root));
  const text = manifests.get('examples/ticket-triage/manifests/model-prompts.yaml') ?? '';
  const [prompts] = objectsOf<Manifest & { data: Record<string, string> }>(text);
  const { intents, queues, messages } = await readTicketTriage();

  it('have for the specialist the line that it was trained on, which ends where it is to say the token', () => {
    expect(prompts?.data['ticket-specialist']).toBe('Message: {{ messages[-1].content }}\nLabel:');
  });

  it('show the general model every queue, and two messages of each, none of them held out', () => {
    const general = prompts?.data['general'] ?? '';
    for (const { name, description } of queues) expect(general).toContain(`\n${name}: ${description}\n`);
    const shown = [...general.matchAll(/^Message: (.+)\nQueue: (\w+)$/gm)];
    for (const { name } of queues) expect(shown.filter(([, , queue]) => queue === name)).toHaveLength(2);
    expect(shown.filter(([, message = '']) => splitOf(message) !== 'train')).toEqual([]);
    const queueOf = new Map(intents.map(({ name, queue }) => [name, queue]));
    const known = new Map(messages.train.map(({ text: message, label }) => [message, queueOf.get(label)]));
    expect(shown.filter(([, message = '', queue]) => known.get(message) !== queue)).toEqual([]);
  });

  it('hold nothing that a template would take for its own, but the place of the message', () => {
    for (const prompt of Object.values(prompts?.data ?? {})) {
      expect(prompt.match(/\{[{%#]|[}%#]\}/g)).toEqual(['{{', '}}']);
    }
  });
});
