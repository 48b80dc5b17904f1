import { defineConfig } from 'vitest/config';
import { cacheDir } from './hack/cache.ts';
import { isLong } from './test/support/measured.ts';

const beside = [
  'crds',
  'kube',
  'process',
  'economics',
  'quality',
  'operator',
  'runtime',
  'cli',
  'hack',
  'bench',
  'test/router',
  'test/support',
].map((folder) => `${folder}/**/*.test.ts`);

// Tests start our programs many times: Node keeps what it compiled, see https://nodejs.org/api/module.html#module-compile-cache.
process.env['NODE_COMPILE_CACHE'] ||= cacheDir('node');

/** Vitest leaves one core idle, which on two is half of them. */
const maxWorkers = '100%';

/**
 * unit: needs nothing but Node. apiserver: etcd and kube-apiserver, started once for all files. sdk: clients that people use;
 * that for Python comes from PyPI. e2e: the local cluster, shared by all files, a namespace each.
 */
export default defineConfig({
  test: {
    projects: [
      // They leave no trace in their process, so that files may share what they import.
      { test: { name: 'unit', include: beside, testTimeout: 60_000, maxWorkers, isolate: false } },
      {
        test: {
          name: 'apiserver',
          include: ['test/apiserver/**/*.test.ts'],
          globalSetup: ['test/apiserver/setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers,
          // What is measured at full length has the machine to itself.
          fileParallelism: !isLong,
        },
      },
      { test: { name: 'sdk', include: ['test/sdk/**/*.test.ts'], testTimeout: 60_000, maxWorkers } },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
