import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { temporaryFolder } from '../../process/testing/temporary-folder.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { makeNamespace, useOwnApiServer } from '../support/api-server.ts';
import { installCrds, type Operator, startOperator } from '../support/operator.ts';
import { operatorConfiguration } from '../support/operator-configuration.ts';

let dir: string;
let operator: Operator | undefined;

beforeEach(async () => {
  const made = await temporaryFolder('start');
  dir = made.path;
  return made.remove;
});

afterEach(() => operator?.end('SIGKILL'));

async function start(kubeconfig: string): Promise<{ running: Operator; log: () => Promise<string> }> {
  const config = join(dir, 'operator.yaml');
  const log = join(dir, 'operator.log');
  await writeFile(config, stringify(operatorConfiguration));
  operator = await startOperator(config, kubeconfig, log);
  return { running: operator, log: () => readFile(log, 'utf8') };
}

describe('an operator that starts before its CRDs', () => {
  const own = useOwnApiServer();

  it('says which are missing, and works once they are there', async () => {
    await makeNamespace(own.direct, operatorConfiguration.namespace);
    const { running, log } = await start(own.plane.kubeconfig);
    await eventually('it to say what it waits for', async () => {
      const { status, text } = await running.ask('/readyz');
      expect(status).toBe(503);
      expect(text).toContain('not listed yet');
      expect(text).toContain('specializedmodels');
      expect(text).toContain('routingpolicies');
      expect(text).not.toContain('deployments');
    });
    expect((await running.ask('/healthz')).status).toBe(200);
    await eventually('the hint', async () =>
      expect(await log()).toContain('are the CRDs of cadre.dev/v1alpha1 installed'),
    );
    await installCrds(own.direct);
    await running.leads();
    expect((await running.ask('/readyz')).status).toBe(200);
  });
});

describe('an operator that starts before the API server', () => {
  const own = useOwnApiServer();

  it('waits for it, and ends in order when it is told to', async () => {
    await makeNamespace(own.direct, operatorConfiguration.namespace);
    await installCrds(own.direct);
    await own.plane.stopApiServer();
    const { running, log } = await start(own.plane.kubeconfig);
    await eventually('it to listen', async () => expect((await running.ask('/readyz')).status).toBe(503));
    await eventually('it to say why', async () => expect(await log()).toContain('cannot connect'));
    expect((await running.ask('/healthz')).status).toBe(200);
    await own.plane.startApiServer();
    await running.leads();
    await running.end('SIGTERM');
    expect(running.process.exitCode).toBe(0);
    expect((await log()).trim().split('\n').at(-1)).toContain('stopped');
  });
});
