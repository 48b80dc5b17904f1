import { describe, expect, it } from 'vitest';
import { checkMachine, type Machine } from './machine.ts';

const enough: Machine = { disk: 50e9, memory: 8e9, python: '3.13.1' };
const lacking =
  (machine: Partial<Machine>): (() => void) =>
  () =>
    checkMachine({ ...enough, ...machine }, '/somewhere');

describe('the machine for a training', () => {
  it('is taken when disk, memory and Python suffice', () => {
    expect(lacking({})).not.toThrow();
    expect(lacking({ python: '4.0.0' })).not.toThrow();
  });

  it('is taken where the system does not tell its free memory', () => {
    expect(lacking({ memory: undefined })).not.toThrow();
  });

  it('is refused with a cure for each thing that it lacks', () => {
    expect(lacking({ disk: 1.2e9 })).toThrow('/somewhere has 1.2 GB free and needs 3');
    expect(lacking({ memory: 9e8 })).toThrow('0.9 GB of memory are free, 3 are needed');
    expect(lacking({ python: '3.9.2' })).toThrow('python3 is 3.9.2, 3.11 or newer is needed');
  });

  it('is told everything that it lacks at once', () => {
    expect(lacking({ disk: 0, memory: 0 })).toThrow(/GB free[^\n]*\n[^\n]*of memory/);
  });
});
