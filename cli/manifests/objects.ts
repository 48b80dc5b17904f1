import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { apiVersion, group } from '../../crds/names.ts';
import { parseRoutingPolicy, parseSpecializedModel } from '../../crds/parse.ts';
import type { RoutingPolicy, SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import { errorMessage } from '../../process/errors.ts';
import type { ManifestFile } from './files.ts';
import { unknownFields } from './unknown-fields.ts';

/** The namespace of objects that name none, as kubectl has it. */
export const defaultNamespace = 'default';

/** A core/v1 Secret, its values in the clear. */
export interface ManifestSecret {
  namespace: string;
  name: string;
  annotations: Record<string, string>;
  values: ReadonlyMap<string, string>;
}

/** Cadre's objects in some files, by `namespace/name`, with the place where each stands. Other kinds are left out. */
export interface Manifests {
  policies: Map<string, RoutingPolicy>;
  models: Map<string, SpecializedModel>;
  secrets: Map<string, ManifestSecret>;
  /** `Kind namespace/name` → `file, document 2`. */
  places: Map<string, string>;
  /** What is wrong, one sentence each: file, document, object and field. */
  problems: string[];
}

const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string().min(1), namespace: z.string().min(1).optional() }),
});
type ManifestObject = z.infer<typeof objectSchema>;

const secretSchema = z.looseObject({
  data: z.record(z.string(), z.base64()).nullish(),
  stringData: z.record(z.string(), z.string()).nullish(),
  metadata: z.looseObject({ annotations: z.record(z.string(), z.string()).nullish() }),
});

/** Reads the documents of manifests. Never throws: what is wrong is told in `problems`, and never with a Secret's words. */
export function readObjects(files: readonly ManifestFile[]): Manifests {
  const read: Manifests = {
    policies: new Map(),
    models: new Map(),
    secrets: new Map(),
    places: new Map(),
    problems: [],
  };
  for (const { path, text } of files) {
    const documents = parseAllDocuments(text);
    for (const [index, document] of documents.entries()) {
      const place = documents.length > 1 ? `${path}, document ${index + 1}` : path;
      try {
        const [error] = document.errors;
        if (error) throw error;
        addDocument(document.toJS() as unknown, place, read);
      } catch (error) {
        // The first line says what and where; the others show the text, which may be a key.
        read.problems.push(`${place}: ${errorMessage(error).split('\n', 1)[0]?.replace(/:$/, '')}`);
      }
    }
  }
  return read;
}

function addDocument(document: unknown, place: string, read: Manifests): void {
  if (document === null || document === undefined) return;
  const items = (document as { kind?: unknown; items?: unknown } | null)?.items;
  if ((document as { kind?: unknown }).kind === 'List' && Array.isArray(items)) {
    for (const [index, item] of items.entries()) addDocument(item, `${place}, items[${index}]`, read);
    return;
  }
  const parsed = objectSchema.safeParse(document);
  if (parsed.success) addObject(parsed.data, place, read);
  else {
    const issue = parsed.error.issues[0];
    read.problems.push(
      `${place}: not an object of Kubernetes: ${issue?.path.join('.') || '(document)'}: ${issue?.message}`,
    );
  }
}

function addObject(object: ManifestObject, place: string, read: Manifests): void {
  const { kind, metadata } = object;
  const ours = object.apiVersion.startsWith(`${group}/`);
  if (!ours && !(kind === 'Secret' && object.apiVersion === 'v1')) return;
  const namespace = metadata.namespace ?? defaultNamespace;
  const key = `${namespace}/${metadata.name}`;
  const id = `${kind} ${key}`;
  const wrong = (problem: string): void => {
    read.problems.push(`${place}: ${id}: ${problem}`);
  };
  const before = read.places.get(id);
  if (before !== undefined) return wrong(`it is in ${before} as well; remove one`);
  read.places.set(id, place);
  if (!ours) return addSecret(object, { namespace, key, wrong }, read);
  if (object.apiVersion !== apiVersion) return wrong(`apiVersion: ${object.apiVersion} is unknown; use ${apiVersion}`);
  if (kind !== 'RoutingPolicy' && kind !== 'SpecializedModel') {
    return wrong('kind: it must be RoutingPolicy or SpecializedModel');
  }
  // What the API server adds to an object; each policy has the same UID every time it is read.
  const whole = {
    ...object,
    metadata: { generation: 1, resourceVersion: '1', uid: key, ...metadata, namespace },
  };
  const parsed = kind === 'RoutingPolicy' ? parseRoutingPolicy(whole) : parseSpecializedModel(whole);
  if (!parsed.ok) {
    for (const problem of parsed.problems) wrong(problem);
    return;
  }
  for (const field of unknownFields(object['spec'], parsed.value.spec, 'spec')) {
    wrong(`${field}: there is no such field; remove it, or see docs/reference/api.md for its name`);
  }
  if (kind === 'RoutingPolicy') read.policies.set(key, parsed.value as RoutingPolicy);
  else read.models.set(key, parsed.value as SpecializedModel);
}

interface At {
  namespace: string;
  key: string;
  wrong: (problem: string) => void;
}

function addSecret(object: ManifestObject, { namespace, key, wrong }: At, read: Manifests): void {
  const parsed = secretSchema.safeParse(object);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return wrong(`${issue?.path.join('.')}: ${issue?.message}; base64 belongs to data, plain text to stringData`);
  }
  const { data, stringData, metadata } = parsed.data;
  const decoded = Object.entries(data ?? {}).map(
    ([name, value]) => [name, Buffer.from(value, 'base64').toString()] as const,
  );
  // stringData wins, as at the API server.
  const values = new Map([...decoded, ...Object.entries(stringData ?? {})]);
  read.secrets.set(key, { namespace, name: object.metadata.name, annotations: metadata.annotations ?? {}, values });
}
