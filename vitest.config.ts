import { defineConfig } from 'vitest/config';

const beside = [
  'crds',
  'kube',
  'process',
  'quality',
  'operator',
  'runtime',
  'cli',
  'hack',
  'bench',
  'test/support',
].map((folder) => `${folder}/**/*.test.ts`);

/**
 * unit: needs nothing but Node. apiserver: etcd and kube-apiserver, started once for all files. e2e: the local cluster,
 * shared by all files, a namespace each.
 */
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: beside, testTimeout: 20_000 } },
      {
        test: {
          name: 'apiserver',
          include: ['test/apiserver/**/*.test.ts'],
          globalSetup: ['test/apiserver/setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
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
