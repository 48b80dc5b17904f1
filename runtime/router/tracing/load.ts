import type { Logger } from '../../../process/logger.ts';
import type { RouterConfig } from '../config.ts';
import type { Tracing } from './tracing.ts';

/** The variables by which OpenTelemetry's own exporters are told where to send. */
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Tracing, if the configuration names a collector or else OpenTelemetry's environment variables do; undefined otherwise,
 * and then nothing of OpenTelemetry is loaded.
 */
export async function loadTracing(
  { tracing }: Pick<RouterConfig, 'tracing'>,
  environment: Environment,
  log: Logger,
): Promise<Tracing | undefined> {
  const isNamed =
    tracing.endpoint !== '' ||
    Boolean(environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? environment['OTEL_EXPORTER_OTLP_ENDPOINT']);
  if (!isNamed || environment['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined;
  const { startTracing } = await import('./opentelemetry.ts');
  return startTracing(tracing, log);
}
