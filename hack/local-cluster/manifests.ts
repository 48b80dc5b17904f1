import { createHash } from 'node:crypto';
import type { Network } from './network.ts';

/** Any Kubernetes object, for `kubectl apply`. */
export type Manifest = { apiVersion: string; kind: string; metadata: { name: string; namespace?: string } } & Record<
  string,
  unknown
>;

const namespace = 'kube-system';
const labels = { 'k8s-app': 'kube-dns' };

/** CoreDNS as clusters run it, with the few plugins that are built in; names outside the cluster do not exist. */
export function coreDNS(image: string, network: Network): Manifest[] {
  const corefile = `.:1053 {
  health :8080
  ready :8181
  errors
  cache 5
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 5
  }
  hosts /etc/coredns/hosts {
    ttl 1
    reload 1s
    fallthrough
  }
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`;
  const metadata = { name: 'coredns', namespace };
  const checksum = createHash('sha256').update(corefile).digest('hex').slice(0, 16);
  const clusterMetadata = { name: 'system:coredns' };
  const port = (name: string, number: number, protocol: string) => ({ name, port: number, targetPort: 1053, protocol });
  const probe = (path: string, number: number) => ({
    httpGet: { path, port: number },
    periodSeconds: 1,
    timeoutSeconds: 5,
  });
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: clusterMetadata,
      rules: [
        { apiGroups: [''], resources: ['endpoints', 'services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: clusterMetadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:coredns' },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { Corefile: corefile } },
    // Names that tests make up: lines as in /etc/hosts, seen within 20 s of a change here (the kubelet's syncFrequency, and the cache above).
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'coredns-hosts', namespace } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace, labels } as Manifest['metadata'],
      spec: {
        clusterIP: network.dnsService,
        selector: labels,
        ports: [port('dns', 53, 'UDP'), port('dns-tcp', 53, 'TCP')],
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels, annotations: { 'cadre.dev/corefile': checksum } },
          spec: {
            serviceAccountName: 'coredns',
            priorityClassName: 'system-cluster-critical',
            dnsPolicy: 'Default',
            securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
            containers: [
              {
                name: 'coredns',
                image,
                imagePullPolicy: 'IfNotPresent',
                args: ['-conf', '/etc/coredns/Corefile'],
                readinessProbe: probe('/ready', 8181),
                livenessProbe: { ...probe('/health', 8080), periodSeconds: 10, failureThreshold: 5 },
                resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '170Mi' } },
                securityContext: {
                  allowPrivilegeEscalation: false,
                  readOnlyRootFilesystem: true,
                  capabilities: { drop: ['ALL'] },
                },
                volumeMounts: [{ name: 'config', mountPath: '/etc/coredns', readOnly: true }],
              },
            ],
            volumes: [
              {
                name: 'config',
                projected: {
                  sources: [
                    { configMap: { name: 'coredns', items: [{ key: 'Corefile', path: 'Corefile' }] } },
                    { configMap: { name: 'coredns-hosts', items: [{ key: 'hosts', path: 'hosts' }], optional: true } },
                  ],
                },
              },
            ],
          },
        },
      },
    },
  ];
}

/** What the judge of network policies may read. */
export function networkPolicyAccess(user: string): Manifest[] {
  const metadata = { name: user };
  const verbs = ['list', 'watch'];
  return [
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata,
      rules: [
        { apiGroups: [''], resources: ['pods', 'namespaces'], verbs },
        { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs },
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: user },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    },
  ];
}

export interface HostVolume {
  namespace: string;
  /** Name of the claim. */
  claim: string;
  /** Absolute path of the folder on the node. */
  path: string;
  accessMode: 'ReadOnlyMany' | 'ReadWriteMany';
}

/**
 * A folder of the node as a claim that pods of `namespace` can mount. The path stands in the volume only, which users of a
 * namespace can't write, so the profile `restricted` allows it.
 */
export function hostVolume({ namespace: owner, claim, path, accessMode }: HostVolume): Manifest[] {
  const name = `cadre-local-${owner}-${claim}`;
  const resources = { storage: '10Gi' };
  const shared = { accessModes: [accessMode], storageClassName: '' };
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        ...shared,
        capacity: resources,
        persistentVolumeReclaimPolicy: 'Retain',
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: claim, namespace: owner },
        hostPath: { path, type: 'Directory' },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: claim, namespace: owner },
      spec: { ...shared, volumeName: name, resources: { requests: resources } },
    },
  ];
}
