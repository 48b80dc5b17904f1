import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { V1ConfigMap } from '@kubernetes/client-node';
import { isKubeError } from '../kube/errors.ts';
import { resources } from '../kube/resources.ts';
import type { Cluster } from '../kube/types.ts';
import { errorMessage } from '../process/errors.ts';
import type { Logger } from '../process/logger.ts';
import type { TemplateReader, TemplateView, Wire } from './context.ts';
import { createPolledReader, type Pace, type Reader } from './polled-reader.ts';

/** Longest template in bytes: it travels in the pod template, and in one variable of an environment, of which Linux takes 128 KiB. */
export const maxTemplateBytes = 65_536;

export interface TemplateReaderOptions extends Pace {
  cluster: Pick<Cluster, 'get'>;
  /** Called for each model that named a template when that changed. */
  changed: (reader: Reader) => void;
  log: Logger;
}

/**
 * Reads the prompt templates that models name, one value of a ConfigMap each, again and again: watching ConfigMaps would mean
 * to hold all that there are, and the right to see them. `clear` forgets all of them, when the work ends.
 */
export function createTemplateReader(options: TemplateReaderOptions): TemplateReader & { clear(): void } {
  const { cluster, log, presentMs = 30_000 } = options;
  const reader = createPolledReader<TemplateView>({
    ...options,
    presentMs,
    unread: { state: 'Unknown' },
    isThere: ({ state }) => state === 'Present' || state === 'Invalid',
    isSame: isDeepStrictEqual,
    read,
  });
  return {
    // Neither names nor keys have a slash.
    view: (namespace, { name, key }, named) => reader.view(namespace, `${name}/${key}`, named),
    forget: (named) => reader.forget(named),
    clear: () => reader.clear(),
  };

  async function read(namespace: string, path: string, last: TemplateView): Promise<TemplateView> {
    const [name = '', key = ''] = path.split('/');
    try {
      const { data, binaryData } = await cluster.get<Wire<V1ConfigMap>>(resources.configMaps, name, namespace);
      if (binaryData?.[key] !== undefined) return { state: 'Invalid', problem: 'is binary data, and no text' };
      const text = data?.[key];
      return text === undefined ? { state: 'Missing', what: 'Key' } : viewOf(text);
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return { state: 'Missing', what: 'ConfigMap' };
      log.warn({ namespace, name, err: error }, 'a ConfigMap could not be read; what was read last stays in use');
      return last.state === 'Unknown' ? { state: 'Unknown', problem: errorMessage(error) } : last;
    }
  }
}

function viewOf(text: string): TemplateView {
  const bytes = Buffer.byteLength(text);
  if (text.trim() === '') return { state: 'Invalid', problem: 'is empty' };
  if (bytes > maxTemplateBytes) {
    return { state: 'Invalid', problem: `has ${bytes} bytes, and may have ${maxTemplateBytes}` };
  }
  if (text.includes('\0')) return { state: 'Invalid', problem: 'has a zero byte' };
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  return { state: 'Present', template: { text, digest } };
}
