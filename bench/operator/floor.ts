import { inParallel } from '../../hack/in-parallel.ts';
import { type Access, type ApiAnswer, openApi } from './api.ts';
import { floorCalls, uidPlaceholder } from './fleet.ts';

/** What the bare script took. */
export interface Floor {
  wallSeconds: number;
  cpuSeconds: number;
}

/**
 * The least that the work can cost: a bare script that only sends what has to be sent for each model, 16 at a time. Run as a
 * process of its own (`node bench/operator/floor.ts ACCESS NAMESPACE MODELS`), so that its CPU time is its own.
 */
async function main(): Promise<void> {
  const [access = '', namespace = '', models = ''] = process.argv.slice(2);
  const api = await openApi(JSON.parse(access) as Access, 16);
  const cpu = process.cpuUsage();
  const began = performance.now();
  await inParallel(Number(models), 16, async (index) => {
    const [create, ...applies] = floorCalls(namespace, index);
    if (!create) return;
    const made = await api.text(create.method, create.path, create.body, create.contentType);
    const { uid } = (JSON.parse(made) as ApiAnswer).metadata;
    for (const { method, path, body, contentType } of applies) {
      await api.text(method, path, body.replaceAll(uidPlaceholder, uid), contentType);
    }
  });
  const wallSeconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await api.close();
  process.stdout.write(JSON.stringify({ wallSeconds, cpuSeconds: (user + system) / 1e6 } satisfies Floor));
}

await main();
