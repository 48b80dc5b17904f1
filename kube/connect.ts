import { type ClientOptions, KubeClient } from './client.ts';
import { inClusterCredentials, runsInCluster } from './credentials.ts';
import { type KubeconfigOptions, kubeconfigCredentials } from './kubeconfig.ts';

export interface ConnectOptions extends ClientOptions {
  /** Where it is set, or no service account is there, a kubeconfig is used. */
  kubeconfig?: KubeconfigOptions | undefined;
  /** Default: where kubelet mounts it. */
  serviceAccountDir?: string | undefined;
}

/**
 * A client of the cluster that this process runs in, or of the kubeconfig's. Nothing is sent yet. Throws a `UserError` when
 * there are no usable credentials.
 */
export async function connect({ kubeconfig, serviceAccountDir, ...options }: ConnectOptions = {}): Promise<KubeClient> {
  const asked = kubeconfig?.path !== undefined || kubeconfig?.context !== undefined;
  const credentials =
    runsInCluster() && !asked ? inClusterCredentials(serviceAccountDir) : await kubeconfigCredentials(kubeconfig);
  return new KubeClient(credentials, options);
}
