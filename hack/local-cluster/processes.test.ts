import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { childrenOf, identify, isAlive, parseStat, processesWithVariable } from './processes.ts';

describe('/proc/PID/stat', () => {
  it('is read right when the name of the program holds blanks and parentheses', () => {
    const fields = Array.from({ length: 50 }, (_, index) => String(index + 3));
    fields[0] = 'S';
    expect(parseStat(`42 (a) b (c) ${fields.join(' ')}`)).toEqual({ state: 'S', startTime: '22' });
  });
});

describe.runIf(process.platform === 'linux')('a process', () => {
  it('is found by its variable, is alive until it ends, and is not mistaken for another one', async () => {
    const value = `test-${process.pid}`;
    const child = spawn('sleep', ['600'], { env: { ...process.env, CADRE_TEST_MARK: value } });
    await once(child, 'spawn');
    const pid = child.pid ?? 0;
    expect(await processesWithVariable('CADRE_TEST_MARK', value)).toEqual([pid]);
    expect(await childrenOf(process.pid)).toContain(pid);
    const identity = await identify(pid);
    expect(identity).toBeDefined();
    expect(await isAlive({ pid, startTime: identity?.startTime ?? '' })).toBe(true);
    expect(await isAlive({ pid, startTime: '1' })).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await identify(pid)).toBeUndefined();
  });
});
