import type { Route } from '../../../crds/route-table.ts';
import type { Resolve } from '../../../runtime/router/providers/guarded-connect.ts';
import { vllmChat, vllmStream } from '../../../runtime/router/testing/answers.ts';
import { json, startEngine, stream } from '../../../runtime/router/testing/engine.ts';
import { answering, certificate, providerHost } from '../../../runtime/router/testing/provider.ts';
import { aModel, aProvider, aRoute, type Reply, startRouter } from '../../../runtime/router/testing/router.ts';
import { type Fault, FaultServer, type FaultServerOptions } from './fault-server.ts';
import type { Kind } from './kinds.ts';
import { untilIdle } from './raw-client.ts';

/** What a backend does, and what must come of it. */
export interface Row {
  fault(kind: Kind): Fault;
  /** How a client's request ends when nobody else can answer: see `endingOf`. */
  ends: string | ((kind: Kind) => string);
  /** The same where another backend may be asked; `spare`, which is that one's answer, when absent. */
  endsWithSpare?: string | ((kind: Kind) => string);
  /** Kinds that can do this at all; all when absent. */
  of?: (kind: Kind) => boolean;
  /** How often the backend is asked; once when absent. */
  asked?: number;
  /** The connection stays, to be used again. */
  kept?: boolean;
  timeouts?: Route['timeouts'];
  server?: FaultServerOptions;
  /** Speaks no TLS, where a provider has to. */
  plain?: boolean;
  /** How the provider's name is resolved; to loopback when absent. */
  resolve?: Resolve;
  /** Nobody listens at the backend's address. */
  refuses?: boolean;
  /** The router does not know the authority of the provider's certificate. */
  unknownAuthority?: boolean;
  /** The provider's host, where it is not the one of its certificate. */
  host?: string;
}

const escalation: Route['escalation'] = {
  steps: [{ to: 'spare' }],
  when: ['LowConfidence', 'InvalidOutput', 'Error', 'Overloaded', 'Timeout'],
  unknownConfidence: 'Escalate',
};
const patient = { firstByteMs: 60_000, idleMs: 60_000, totalMs: 120_000 };

/** Runs one row against one kind of backend: with nobody else there, then with a spare. An answer is judged where there is one. */
export async function run(row: Row, kind: Kind): Promise<{ alone?: string; withSpare: string }> {
  if (kind.judged) return { withSpare: await runOnce(row, kind, true) };
  const [alone, withSpare] = await Promise.all([runOnce(row, kind, false), runOnce(row, kind, true)]);
  return { alone, withSpare };
}

async function runOnce(row: Row, kind: Kind, withSpare: boolean): Promise<string> {
  const isProvider = kind.model === undefined;
  const { key, cert } = certificate();
  const tls = isProvider && !row.plain ? (row.server?.tls ?? { key, cert }) : row.server?.tls;
  await using server = await new FaultServer(row.fault(kind), { ...row.server, tls }).start();
  await using spare = await startEngine((got) =>
    got.body['stream'] === true ? stream(vllmStream(['spare']))(got) : json(spareAnswer(kind))(got),
  );
  const baseUrl = `https://${row.host ?? providerHost}:${server.port}/v1`;
  const backend = isProvider ? aProvider('faulty', baseUrl, kind.provider) : aModel('faulty', kind.model);
  const other = aModel('spare', kind.model && { ...kind.model, engine: 'VLLM' });
  await using router = await startRouter({
    routes: [
      aRoute(withSpare ? [backend, other] : [backend], {
        output: kind.output,
        timeouts: row.timeouts ?? patient,
        ...(kind.judged && { fallback: [], escalation }),
      }),
    ],
    endpoints: { faulty: [server.origin], spare: [spare.origin] },
    config: { providers: { allowedCIDRs: ['127.0.0.0/8'] } },
    resolve: row.resolve ?? answering(['127.0.0.1']),
    ...(!row.unknownAuthority && { ca: [cert] }),
  });
  if (row.refuses) await server.stop();
  const reply = await router.post(kind.path, { model: 'triage', ...kind.request });
  const problems: string[] = [];
  await untilIdle(router, isProvider ? ['spare'] : ['faulty', 'spare']);
  if (router.context.upstreams.provider(new URL(baseUrl).origin).inFlight > 0) problems.push('in flight');
  if (!row.kept) await server.untilLeft();
  if (server.requests.length > (row.asked ?? 1)) problems.push(`asked ${server.requests.length} times`);
  if (/failed outside|nobody thought of/.test(router.logged())) problems.push('an error that nobody thought of');
  if (reply.status === 500) problems.push('an internal error');
  const ending = endingOf(reply, kind);
  return [spare.received.length > 0 ? ending.replace(/^answer$/, 'spare') : ending, ...problems].join(', ');
}

function spareAnswer(kind: Kind): unknown {
  if (kind.type === 'application/json' && kind.model !== undefined) return JSON.parse(kind.answer) as unknown;
  return vllmChat(kind.content);
}

/**
 * How a request ended: `answer`; an error's status and code with its `retry-after`; or `broken` and the code of the event
 * that ends a stream that had begun.
 */
export function endingOf({ status, text, headers }: Reply, kind: Kind): string {
  if (status !== 200) {
    const { error } = JSON.parse(text) as { error: { code: string; type: string; message: string } };
    const later = headers['retry-after'] === undefined ? '' : ` after ${String(headers['retry-after'])}`;
    return `${status} ${error.code}${later}`;
  }
  if (!('stream' in kind.request))
    return text.includes(kind.content) || text.includes('spare') ? 'answer' : `other answer: ${text}`;
  if (text.endsWith('data: [DONE]\n\n')) return text.includes('error') ? `error and [DONE]: ${text}` : 'answer';
  const last = text.trimEnd().split('\n\n').at(-1) ?? '';
  return `broken ${/^data: \{"error":.*"code":"([a-z_]+)"\}\}$/.exec(last)?.[1] ?? last}`;
}
