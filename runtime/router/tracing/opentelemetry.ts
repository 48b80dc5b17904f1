import {
  type Attributes,
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import pkg from '../../../package.json' with { type: 'json' };
import type { Logger } from '../../../process/logger.ts';
import type { TokenUsage } from '../answers/document.ts';
import type { RouterConfig } from '../config.ts';
import { type Attempt, type Exchange, set } from '../pipeline/exchange.ts';
import { isClassifier } from '../providers/classifier.ts';
import type { CallableBackend } from '../providers/dialect.ts';
import type { Failure } from '../providers/failure.ts';
import { attribute, operationName } from './names.ts';
import type { CallTrace, RequestTrace, Tracing } from './tracing.ts';

/** How long the collector may take for a batch, tries and all; and so the end of the process. */
const exportTimeoutMs = 3_000;
/** Characters of an attribute: names of models and providers are others' words. */
const longestValue = 256;

const propagator = new W3CTraceContextPropagator();

/** Traces, sent to a collector by OTLP over HTTP in batches. Prompts, answers and keys are in none of them. */
export function startTracing({ endpoint, sampleRatio, providers }: RouterConfig['tracing'], log: Logger): Tracing {
  const report = (message: string) => log.warn({ why: message }, 'OpenTelemetry');
  diag.setLogger(
    { error: report, warn: report, info: () => {}, debug: () => {}, verbose: () => {} },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const exporter = new OTLPTraceExporter({
    ...(endpoint !== '' && { url: `${endpoint.replace(/\/+$/, '')}/v1/traces` }),
    timeoutMillis: exportTimeoutMs,
  });
  const provider = new TracerProvider({
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
    spanLimits: { attributeValueLengthLimit: longestValue },
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'cadre-router', 'service.version': pkg.version }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor({ exporter, exportTimeoutMillis: exportTimeoutMs })],
  });
  const tracer = provider.getTracer('cadre', pkg.version);
  return {
    begin: (exchange) => new RequestSpan(tracer, exchange, providers),
    async shutdown() {
      try {
        await provider.shutdown();
      } catch (error) {
        log.warn({ err: error }, 'the last spans could not be sent');
      }
    },
  };
}

class RequestSpan implements RequestTrace {
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  readonly #tellsProviders: boolean;

  constructor(tracer: Tracer, { request, id }: Exchange, tellsProviders: boolean) {
    const parent = propagator.extract(ROOT_CONTEXT, request.headers, fromHeaders);
    // One of the few that are served: others come into no exchange.
    const [route = ''] = (request.url ?? '').split('?', 1);
    const attributes = {
      [attribute.httpMethod]: 'POST',
      [attribute.httpRoute]: route,
      [attribute.urlPath]: route,
      [attribute.urlScheme]: 'http',
      [attribute.requestId]: id,
    };
    this.#tracer = tracer;
    this.#tellsProviders = tellsProviders;
    this.#span = tracer.startSpan(`POST ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
    this.#context = trace.setSpan(parent, this.#span);
  }

  beginCall({ operation, stream }: Exchange, { backend: { name, speaking }, upstream }: Attempt): CallTrace {
    const { backend } = set(speaking, 'way to call the backend');
    // Whatever its client asked for, a model with a classification head does nothing else.
    const operationIs = isClassifier(backend) ? 'classify' : operationName(operation.name);
    const kind = SpanKind.CLIENT;
    const span = this.#tracer.startSpan(`${operationIs} ${backend.servedModel}`, { kind }, this.#context);
    if (span.isRecording()) {
      span.setAttributes({
        [attribute.operation]: operationIs,
        [attribute.provider]: providerName(backend),
        [attribute.requestModel]: backend.servedModel,
        [attribute.stream]: stream,
        [attribute.backend]: name,
        ...addressOf(set(upstream, 'upstream').origin),
      });
    }
    return new CallSpan(span, this.#headersFor(backend, trace.setSpan(this.#context, span)));
  }

  /** What a client has sent, `tracestate`, is for engines only: a provider learns at the most which trace it is part of. */
  #headersFor({ kind }: CallableBackend, context: Context): string[] {
    if (kind === 'Provider' && !this.#tellsProviders) return [];
    const headers: string[] = [];
    propagator.inject(context, headers, {
      set(carrier, name, value) {
        if (kind === 'Model' || name === 'traceparent') carrier.push(name, value);
      },
    });
    return headers;
  }

  end({ status, route, answer, attempts, principal, confidence, escalations, notEscalated }: Exchange): void {
    const span = this.#span;
    if (!span.isRecording()) return;
    const backend = answer ?? attempts.at(-1);
    const escalated = escalations.at(-1);
    const attributes: Attributes = { [attribute.httpStatus]: status, [attribute.attempts]: attempts.length };
    if (route) attributes[attribute.policy] = route.longName;
    if (backend) attributes[attribute.backend] = backend.backend.name;
    if (principal?.name !== undefined) attributes[attribute.key] = principal.name;
    if (typeof confidence === 'number') attributes[attribute.confidence] = confidence;
    if (escalated) attributes[attribute.escalated] = escalated.reason;
    if (notEscalated !== undefined) attributes[attribute.notEscalated] = notEscalated;
    if (status >= 500) {
      attributes[attribute.errorType] = String(status);
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.setAttributes(attributes);
    span.end();
  }
}

class CallSpan implements CallTrace {
  readonly headers: readonly string[];
  readonly #span: Span;

  constructor(span: Span, headers: readonly string[]) {
    this.#span = span;
    this.headers = headers;
  }

  /** Only the reason of a failure: the backend's own words may repeat a prompt. */
  end(failure: Failure | undefined, usage: TokenUsage | undefined): void {
    const span = this.#span;
    if (!span.isRecording()) return;
    if (usage) {
      span.setAttributes({
        [attribute.inputTokens]: usage.prompt,
        [attribute.outputTokens]: usage.completion,
        ...(usage.cached > 0 && { [attribute.cachedTokens]: usage.cached }),
        ...(usage.reasoning > 0 && { [attribute.reasoningTokens]: usage.reasoning }),
      });
    }
    if (failure) {
      span.setAttribute(attribute.errorType, failure.reason);
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
  }
}

const fromHeaders = {
  get: (headers: Exchange['request']['headers'], name: string) => headers[name],
  keys: (headers: Exchange['request']['headers']) => Object.keys(headers),
};

/** Of an engine, which is no provider of the conventions' list, the engine. */
function providerName(backend: CallableBackend): string {
  return backend.kind === 'Model' ? backend.engine.toLowerCase() : backend.dialect.toLowerCase();
}

function addressOf(origin: string): Attributes {
  const { hostname, port, protocol } = new URL(origin);
  const standard = protocol === 'https:' ? 443 : 80;
  return { [attribute.serverAddress]: hostname, [attribute.serverPort]: port === '' ? standard : Number(port) };
}
