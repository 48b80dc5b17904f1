import { describe, expect, it } from 'vitest';
import { linkerFlags } from './build.ts';
import { apiServerArguments, apiServerNames } from './components.ts';
import { coreDNS, hostVolume } from './manifests.ts';
import { addressPlan } from './network.ts';
import { containerdConfig, gpuLabels, kubeletArguments, kubeletConfig, podNetwork } from './node-config.ts';
import { checkMachine } from './preflight.ts';

const network = addressPlan(1);
const pair = { cert: '/pki/a.crt', key: '/pki/a.key' };
const pki = { ca: pair, serviceAccountKey: '/pki/sa.key', issue: () => Promise.resolve(pair) };

describe('kube-apiserver', () => {
  const options = {
    etcdPort: 2379,
    bindAddress: '127.0.0.1',
    port: 6443,
    network,
    pki,
    serving: pair,
    kubeletClient: pair,
  };

  it('is told to nobody without an address to advertise', () => {
    expect(apiServerArguments(options)).toContain('--endpoint-reconciler-type=none');
    const advertised = apiServerArguments({ ...options, advertiseAddress: '192.0.2.7' });
    expect(advertised).toContain('--advertise-address=192.0.2.7');
    expect(advertised).not.toContain('--endpoint-reconciler-type=none');
  });

  it('has a certificate for its Service and its own address, each once', () => {
    const names = apiServerNames(network, ['127.0.0.1', '192.0.2.7']);
    expect(names).toEqual(expect.arrayContaining(['DNS:kubernetes.default.svc', 'IP:10.97.0.1', 'IP:192.0.2.7']));
    expect(names.filter((name) => name === 'IP:127.0.0.1')).toHaveLength(1);
  });
});

describe('the node', () => {
  const options = {
    kubeconfig: '/kubeconfig',
    caFile: '/pki/ca.crt',
    serving: pair,
    network,
    cgroupRoot: '/cadre-local-1',
    podLogs: '/pod-logs',
    volumePlugins: '/plugins',
  };

  it('has labels of GPU feature discovery when it has GPUs, and none without', () => {
    expect(kubeletArguments(options, '/kubelet.json', 8)).toEqual(
      expect.arrayContaining([expect.stringContaining('nvidia.com/gpu.product=NVIDIA-L4')]),
    );
    expect(gpuLabels(3)['nvidia.com/gpu.count']).toBe('3');
    expect(kubeletArguments(options, '/kubelet.json', 0).join(' ')).not.toContain('nvidia.com');
  });

  it('never throws an image away, for no registry could give it back', () => {
    expect(JSON.parse(kubeletConfig(options))).toMatchObject({
      imageGCHighThresholdPercent: 100,
      clusterDNS: ['10.97.0.10'],
    });
  });

  it('routes between pods, so that no packet passes by its filters, and does not hide their addresses', () => {
    const { plugins } = JSON.parse(podNetwork(network)) as { plugins: Record<string, unknown>[] };
    expect(plugins[0]).toMatchObject({ type: 'ptp', ipMasq: false, ipam: { ranges: [[{ subnet: '10.245.0.0/24' }]] } });
  });

  it('starts sandboxes from the pause image of this build', () => {
    const config = containerdConfig({
      root: '/c',
      cniConfig: '/n',
      pauseImage: 'localhost/pause:1',
      snapshotter: 'native',
    });
    expect(config).toContain("sandbox = 'localhost/pause:1'");
    expect(config).toContain("snapshotter = 'native'");
  });
});

describe('manifests', () => {
  it('offer a folder of the node through a volume that only one claim can take', () => {
    const [volume, claim] = hostVolume({ namespace: 'a', claim: 'models', path: '/m', accessMode: 'ReadOnlyMany' });
    expect(volume).toMatchObject({ spec: { hostPath: { path: '/m' }, claimRef: { namespace: 'a', name: 'models' } } });
    expect(claim).toMatchObject({ metadata: { namespace: 'a' }, spec: { volumeName: volume?.metadata.name } });
  });

  it('give CoreDNS the address that the kubelet tells pods', () => {
    const service = coreDNS('localhost/coredns:1', network).find(({ kind }) => kind === 'Service');
    expect(service).toMatchObject({ spec: { clusterIP: '10.97.0.10' } });
  });
});

describe('versions', () => {
  it('come from go.mod', () => {
    const goMod = `require (
	github.com/containerd/containerd/v2 v2.4.2 // indirect
	helm.sh/helm/v4 v4.3.1 // indirect
	k8s.io/kubernetes v1.37.2
)`;
    const flags = linkerFlags(goMod);
    expect(flags).toContain('version.gitVersion=v1.37.2 ');
    expect(flags).toContain('version.gitMinor=37 ');
    expect(flags).toContain('containerd/v2/version.Version=v2.4.2 ');
    expect(() => linkerFlags('module x')).toThrow('k8s.io/kubernetes');
  });
});

describe('a machine that cannot carry the cluster', () => {
  it('is told in one line what to do instead', () => {
    for (const machine of [
      { platform: 'darwin', uid: 0 },
      { platform: 'linux', uid: 1000 },
      { platform: 'win32', uid: undefined },
    ]) {
      expect(() => checkMachine(machine)).toThrow(/^[^\n]*kind create cluster[^\n]*$/);
    }
    expect(() => checkMachine({ platform: 'linux', uid: 0 })).not.toThrow();
  });
});
