import type { Network } from './network.ts';
import type { KeyPair } from './pki.ts';

/** Configuration files of what runs on the node, as pure functions. Paths are those that the node's processes see. */

export const nodeName = 'node-1';
export const containerdSocket = '/run/containerd/containerd.sock';

/** Where Debian's containernetworking-plugins puts its programs. */
export const cniPlugins = '/usr/lib/cni';

export interface ContainerdConfig {
  root: string;
  cniConfig: string;
  /** The image of pods' sandboxes. */
  pauseImage: string;
  /** `overlayfs`, or `native` where the file system below can't carry overlays. */
  snapshotter: string;
}

export function containerdConfig({ root, cniConfig, pauseImage, snapshotter }: ContainerdConfig): string {
  return `version = 3
root = '${root}'
state = '/run/containerd'
# It would make /opt/containerd.
disabled_plugins = ['io.containerd.internal.v1.opt']
[grpc]
  address = '${containerdSocket}'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = '${snapshotter}'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '${pauseImage}'
[plugins.'io.containerd.cri.v1.runtime']
  # Lowering the score needs CAP_SYS_RESOURCE, which root lacks on some machines: no sandbox would start there.
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['${cniPlugins}']
  conf_dir = '${cniConfig}'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
# Tells the judge of network policies the addresses of pods before their first packet.
[plugins.'io.containerd.nri.v1.nri']
  plugin_path = '${root}/nri/plugins'
  plugin_config_path = '${root}/nri/conf.d'
`;
}

/**
 * Pods' links to the node, which routes between them: on a bridge, packets from pod to pod would pass by its filters.
 * Nothing is masqueraded: pods reach the cluster and this machine, nothing else.
 */
export function podNetwork(network: Network): string {
  const ipam = { type: 'host-local', ranges: [[{ subnet: network.nodePods }]], routes: [{ dst: '0.0.0.0/0' }] };
  return JSON.stringify({
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      { type: 'ptp', ipMasq: false, ipam },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  });
}

/** The queue of the kernel in which the first packet of a connection waits for its judgement. */
const policyQueue = 100;

/**
 * Shell lines that hand the first packet of every connection from or to a pod to the judge of network policies, the
 * node's own apart (probes, logs). sigs.k8s.io/kube-network-policies would do so by nftables, for which kernels need
 * CONFIG_NFT_QUEUE; xtables' NFQUEUE is in more of them.
 */
export function policyRules(network: Network): string {
  const rules = [
    '-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN',
    '-m owner --uid-owner 0 -j RETURN',
    `-s ${network.pods} -j NFQUEUE --queue-num ${policyQueue}`,
    `-d ${network.pods} -j NFQUEUE --queue-num ${policyQueue}`,
  ];
  return [
    'iptables -t mangle -N POLICIES 2>/dev/null || iptables -t mangle -F POLICIES',
    ...rules.map((rule) => `iptables -t mangle -A POLICIES ${rule}`),
    'iptables -t mangle -C POSTROUTING -j POLICIES 2>/dev/null || iptables -t mangle -A POSTROUTING -j POLICIES',
  ].join('\n');
}

export function networkPoliciesArguments(kubeconfig: string): string[] {
  return [`--kubeconfig=${kubeconfig}`, `--hostname-override=${nodeName}`, `--nfqueue-id=${policyQueue}`];
}

export interface KubeletOptions {
  kubeconfig: string;
  caFile: string;
  serving: KeyPair;
  network: Network;
  cgroupRoot: string;
  podLogs: string;
  volumePlugins: string;
}

export function kubeletConfig(options: KubeletOptions): string {
  const { caFile, serving, network } = options;
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: network.nodeAddress,
    authentication: { anonymous: { enabled: false }, x509: { clientCAFile: caFile }, webhook: { enabled: true } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: serving.cert,
    tlsPrivateKeyFile: serving.key,
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    clusterDNS: [network.dnsService],
    clusterDomain: 'cluster.local',
    // An empty path: pods with the policy Default have no name server, for the machine's is out of their reach.
    resolvConf: '',
    failSwapOn: false,
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: options.cgroupRoot,
    enforceNodeAllocatable: [],
    maxPods: 200,
    // A changed ConfigMap reaches its pods within 15 s (the kubelet adds up to half), not within 90.
    syncFrequency: '10s',
    // GPUs are seen a second after their plugin registers; what did not change is not written.
    nodeStatusUpdateFrequency: '1s',
    nodeStatusReportFrequency: '1m',
    podLogsDir: options.podLogs,
    volumePluginDir: options.volumePlugins,
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    // No registry could give an image back.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
  });
}

/** Labels as NVIDIA's GPU feature discovery writes them, for GPUs that are only numbers. */
export function gpuLabels(count: number): Record<string, string> {
  if (count === 0) return {};
  return {
    'nvidia.com/gpu.present': 'true',
    'nvidia.com/gpu.count': String(count),
    'nvidia.com/gpu.replicas': '1',
    'nvidia.com/gpu.product': 'NVIDIA-L4',
    'nvidia.com/gpu.family': 'ada-lovelace',
    'nvidia.com/gpu.compute.major': '8',
    'nvidia.com/gpu.compute.minor': '9',
    'nvidia.com/gpu.memory': '23034',
    'nvidia.com/mig.capable': 'false',
  };
}

export function kubeletArguments(options: KubeletOptions, configFile: string, gpus: number): string[] {
  const labels = Object.entries(gpuLabels(gpus)).map(([name, value]) => `${name}=${value}`);
  return [
    `--kubeconfig=${options.kubeconfig}`,
    `--config=${configFile}`,
    `--node-ip=${options.network.nodeAddress}`,
    `--hostname-override=${nodeName}`,
    ...(labels.length ? [`--node-labels=${labels.join(',')}`] : []),
  ];
}

export function kubeProxyArguments(kubeconfig: string, network: Network): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    '--proxy-mode=nftables',
    `--cluster-cidr=${network.pods}`,
    `--hostname-override=${nodeName}`,
    '--bind-address=127.0.0.1',
    // The limits of connection tracking belong to the whole machine.
    '--conntrack-max-per-core=0',
    '--conntrack-tcp-timeout-established=0s',
    '--conntrack-tcp-timeout-close-wait=0s',
  ];
}
