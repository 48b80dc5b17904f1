import { pino } from 'pino';
import type { Logger } from '../../process/logger.ts';
import type { KubeObject } from '../types.ts';

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

export function configMap(name: string, resourceVersion: number | string, uid = `uid-${name}`): ConfigMap {
  const metadata = { name, namespace: 'default', uid, resourceVersion: String(resourceVersion) };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata };
}

export const silent: Logger = pino({ level: 'silent' });
