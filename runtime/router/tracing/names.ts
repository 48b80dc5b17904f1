/**
 * Names of attributes, all in this place: those of GenAI are in development still, and change.
 * @see https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ and …/http/http-spans/
 */
export const attribute = {
  httpMethod: 'http.request.method',
  httpRoute: 'http.route',
  httpStatus: 'http.response.status_code',
  urlPath: 'url.path',
  urlScheme: 'url.scheme',
  errorType: 'error.type',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  stream: 'gen_ai.request.stream',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  cachedTokens: 'gen_ai.usage.cache_read.input_tokens',
  reasoningTokens: 'gen_ai.usage.reasoning.output_tokens',
  requestId: 'cadre.request.id',
  policy: 'cadre.policy',
  backend: 'cadre.backend',
  key: 'cadre.key',
  confidence: 'cadre.confidence',
  escalated: 'cadre.escalated',
  notEscalated: 'cadre.not_escalated',
  attempts: 'cadre.attempts',
} as const;

const operations: Readonly<Record<string, string>> = {
  ChatCompletions: 'chat',
  Completions: 'text_completion',
  Embeddings: 'embeddings',
};

/** The conventions' name of an operation; for one that they lack, its own. */
export function operationName(name: string): string {
  return operations[name] ?? name.toLowerCase();
}
