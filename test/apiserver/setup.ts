import type { TestProject } from 'vitest/node';
import { startControlPlane } from '../../hack/local-cluster/control-plane.ts';
import { temporaryFolder } from '../../process/testing/temporary-folder.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Kubeconfig of the API server that all files share. Who stops or restarts one starts one of their own. */
    kubeconfig: string;
  }
}

/** One etcd and kube-apiserver for all files. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await temporaryFolder('apiserver');
  const plane = await startControlPlane({ dir: folder.path, log: console.log });
  project.provide('kubeconfig', plane.kubeconfig);
  return async () => {
    await plane.stop();
    await folder.remove();
  };
}
