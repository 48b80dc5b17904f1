import { json, startEngine } from './engine.ts';

/** A span as a collector got it. */
export interface CollectedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  name: string;
  kind: 'Server' | 'Client';
  attributes: Record<string, unknown>;
  isError: boolean;
}

export interface Collector extends AsyncDisposable {
  origin: string;
  /** All requests as they came. */
  text(): string;
  paths(): string[];
  spans(): CollectedSpan[];
  /** Attributes of the process that sent. */
  resource(): Record<string, unknown>;
}

/** Attributes as OTLP's JSON writes them. */
type Written = { key: string; value: Record<string, unknown> }[];

interface WrittenSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes: Written;
  status: { code?: number };
}

interface Export {
  resourceSpans: { resource: { attributes: Written }; scopeSpans: { spans: WrittenSpan[] }[] }[];
}

/** An OpenTelemetry collector on loopback that takes OTLP over HTTP, in JSON. */
export async function startCollector(): Promise<Collector> {
  const server = await startEngine(json({}));
  const exported = () => server.received.flatMap(({ body }) => (body as unknown as Export).resourceSpans);
  return {
    origin: server.origin,
    text: () => server.received.map(({ raw }) => raw).join('\n'),
    paths: () => server.received.map(({ path }) => path),
    spans: () => exported().flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(readSpan))),
    resource: () => readAttributes(exported()[0]?.resource.attributes ?? []),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function readSpan({ traceId, spanId, parentSpanId, name, kind, attributes, status }: WrittenSpan): CollectedSpan {
  return {
    traceId,
    spanId,
    parentSpanId,
    name,
    kind: kind === 2 ? 'Server' : 'Client',
    attributes: readAttributes(attributes),
    isError: status.code === 2,
  };
}

function readAttributes(written: Written): Record<string, unknown> {
  return Object.fromEntries(written.map(({ key, value }) => [key, Object.values(value)[0]]));
}
