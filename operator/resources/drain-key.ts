import { createHash } from 'node:crypto';

/**
 * What the engine's preStop hook shows to the sidecar: 32 hexadecimal digits that hold for the model's whole life, so that no
 * change of the model makes its pods start anew for their sake.
 */
export function drainKey(modelUid: string): string {
  return createHash('sha256').update(`cadre drain\n${modelUid}`).digest('hex').slice(0, 32);
}
