import { join } from 'node:path';
import type { Network } from './network.ts';
import type { KeyPair, Pki } from './pki.ts';

/**
 * The command lines of the programs of the cluster, as pure functions. Flags that are absent have Kubernetes' defaults:
 * what is tested here is what users run.
 */

export interface EtcdOptions {
  dataDir: string;
  clientPort: number;
  peerPort: number;
}

export function etcdArguments({ dataDir, clientPort, peerPort }: EtcdOptions): string[] {
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return [
    `--data-dir=${dataDir}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // The data is thrown away with the cluster; a machine that loses power loses it.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

export interface ApiServerOptions {
  etcdPort: number;
  bindAddress: string;
  port: number;
  /** The address that pods reach it by; without one the Service `kubernetes` has no endpoints. */
  advertiseAddress?: string | undefined;
  network: Network;
  pki: Pki;
  serving: KeyPair;
  kubeletClient: KeyPair;
}

export function apiServerArguments(options: ApiServerOptions): string[] {
  const { pki, serving, kubeletClient, advertiseAddress } = options;
  return [
    `--etcd-servers=http://127.0.0.1:${options.etcdPort}`,
    `--bind-address=${options.bindAddress}`,
    `--secure-port=${options.port}`,
    ...(advertiseAddress
      ? [`--advertise-address=${advertiseAddress}`]
      : ['--advertise-address=127.0.0.1', '--endpoint-reconciler-type=none']),
    `--tls-cert-file=${serving.cert}`,
    `--tls-private-key-file=${serving.key}`,
    `--client-ca-file=${pki.ca.cert}`,
    `--service-account-key-file=${pki.serviceAccountKey}`,
    `--service-account-signing-key-file=${pki.serviceAccountKey}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-cluster-ip-range=${options.network.services}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    `--kubelet-client-certificate=${kubeletClient.cert}`,
    `--kubelet-client-key=${kubeletClient.key}`,
    `--kubelet-certificate-authority=${pki.ca.cert}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--allow-privileged=true',
  ];
}

/** Names and addresses that the API server's certificate must carry. */
export function apiServerNames(network: Network, addresses: string[]): string[] {
  const service = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ];
  const names = [...service, 'localhost'].map((name) => `DNS:${name}`);
  return [
    ...names,
    ...new Set(['127.0.0.1', network.apiServerService, ...addresses].map((address) => `IP:${address}`)),
  ];
}

export interface LoopOptions {
  kubeconfig: string;
  /** HTTPS port for health and metrics; 0 serves neither. */
  port: number;
}

export function controllerManagerArguments(options: LoopOptions & { pki: Pki; network: Network }): string[] {
  const { kubeconfig, port, pki, network } = options;
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    '--leader-elect=false',
    `--service-account-private-key-file=${pki.serviceAccountKey}`,
    `--root-ca-file=${pki.ca.cert}`,
    `--cluster-signing-cert-file=${pki.ca.cert}`,
    `--cluster-signing-key-file=${pki.ca.key}`,
    '--use-service-account-credentials',
    '--allocate-node-cidrs',
    `--cluster-cidr=${network.pods}`,
  ];
}

export function schedulerArguments({ kubeconfig, port }: LoopOptions): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    '--leader-elect=false',
  ];
}

/** The users that the control plane's own parts act as. */
export const identities = {
  admin: { subject: '/O=system:masters/CN=cadre-local-admin' },
  'kubelet-client': { subject: '/O=system:masters/CN=kube-apiserver-kubelet-client' },
  'kube-controller-manager': { subject: '/CN=system:kube-controller-manager' },
  'kube-scheduler': { subject: '/CN=system:kube-scheduler' },
  'kube-proxy': { subject: '/CN=system:kube-proxy' },
  'network-policies': { subject: '/CN=cadre-local-network-policies' },
} as const;

/** Where a program of the control plane writes what it says. */
export function logFile(dir: string, part: string): string {
  return join(dir, 'log', `${part}.log`);
}
