import { beforeAll, describe, expect, it } from 'vitest';
import { resources } from '../../kube/resources.ts';
import type { KubeObject } from '../../kube/types.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { openaiClient } from '../support/traffic.ts';
import { applyModel, applyPolicy, condition, create, settled, useWorld } from '../support/world.ts';

interface Pod extends KubeObject {
  spec: { containers: { name: string; resources?: { limits?: Record<string, string> } }[]; volumes: object[] };
  status: {
    podIP?: string;
    containerStatuses?: { state: { terminated?: { exitCode: number; message?: string } } }[];
  };
}

describe('a model on GPUs, served by vLLM (its simulator)', () => {
  const world = useWorld('isolation');

  beforeAll(async () => {
    await applyModel(world, 'extractor', {
      task: 'Extraction',
      model: { uri: 'pvc://models/vllm' },
      engine: { type: 'VLLM', image: world.cluster.images['engine-sim'], maxModelLength: 4096 },
      gpu: { profile: 'nvidia-l4', count: 2 },
      resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } },
      replicas: 1,
    });
    await applyPolicy(world, 'extract', {
      backends: [{ name: 'gpu', modelRef: { name: 'extractor' } }],
      split: [{ backend: 'gpu', weight: 1 }],
    });
    await settled(world, 'extractor', 1);
    await condition(world, 'policies', 'extract', { type: 'Ready', status: 'True' });
  });

  async function enginePod(): Promise<Pod> {
    const selection = { namespace: world.namespace, labelSelector: 'cadre.dev/model=extractor' };
    const { items } = await world.kube.list<Pod>(resources.pods, selection, { limit: 0 });
    return items[0] as Pod;
  }

  it('is given its GPUs by the scheduler, and answers through the router', async () => {
    const pod = await enginePod();
    const engine = pod.spec.containers.find(({ name }) => name === 'engine');
    expect(engine?.resources?.limits?.['nvidia.com/gpu']).toBe('2');
    const answer = await openaiClient(world.routerUrl, world.key).chat.completions.create({
      model: 'extract',
      messages: [{ role: 'user', content: 'Order 4711 has not arrived.' }],
    });
    expect(answer.choices[0]?.finish_reason).toMatch(/stop|length/);
  });

  it('mounts nothing of the node and no token', async () => {
    const { volumes } = (await enginePod()).spec;
    const kinds = volumes.flatMap((volume) => Object.keys(volume)).filter((key) => key !== 'name');
    expect(new Set(kinds)).toEqual(new Set(['emptyDir', 'persistentVolumeClaim']));
  });

  it('is closed to every other pod', async (context) => {
    // hack/local-cluster/README.md: a kernel that can't queue packets enforces nothing.
    if (!world.cluster.enforcesPolicies) context.skip('this kernel does not enforce NetworkPolicies');
    const ip = (await enginePod()).status.podIP;
    expect(await connects('to-engine', ip as string, 8000)).toMatch(/timeout/);
    expect(await connects('to-sidecar', ip as string, 8010)).toMatch(/timeout/);
    expect(await connects('to-router', world.routerUrl.replace('http://', ''), 80)).toBe('connected');
  });

  /** Tries a connection from a pod of its own: `connected`, or why not. */
  async function connects(name: string, host: string, port: number): Promise<string> {
    const program = `
      const socket = require('node:net').connect({ host: '${host}', port: ${port}, timeout: 5000 });
      const say = (text) => { require('node:fs').writeFileSync('/dev/termination-log', text); process.exit(); };
      socket.on('connect', () => say('connected')).on('timeout', () => say('timeout')).on('error', (e) => say(e.message));`;
    const container = {
      name: 'client',
      image: world.cluster.images['cadre'],
      command: ['/nodejs/bin/node', '-e', program],
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    };
    await create(world.kube, resources.pods, {
      metadata: { name, namespace: world.namespace },
      spec: {
        restartPolicy: 'Never',
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [container],
      },
    });
    return eventually(`what pod ${name} saw`, async () => {
      const { status } = await world.kube.get<Pod>(resources.pods, name, world.namespace);
      const ended = status.containerStatuses?.[0]?.state.terminated;
      if (!ended?.message) throw new Error(JSON.stringify(status));
      return ended.message;
    });
  }
});

describe("a policy's author does not reach the cluster's inside through the router", () => {
  const world = useWorld('inside');
  const policy = (url: string) => ({
    backends: [{ name: 'outside', provider: { type: 'OpenAICompatible', url, model: 'm' } }],
    split: [{ backend: 'outside', weight: 1 }],
  });

  it('by the name of a Service', async () => {
    await applyPolicy(world, 'service', policy('https://kubernetes.default.svc.cluster.local/v1'));
    const refused = { type: 'Accepted', status: 'False', reason: 'HostNotAllowed' };
    const { message } = await condition(world, 'policies', 'service', refused);
    expect(message).toContain('spec.backends[outside].provider.url');
  });

  it("by a name outside that is answered with the API server's address", async () => {
    const { apiServerService } = world.cluster.network;
    const hosts = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'coredns-hosts', namespace: 'kube-system' },
      data: { hosts: `${apiServerService} innocent.test\n` },
    };
    await world.cluster.apply([hosts]);
    await applyPolicy(world, 'innocent', policy('https://innocent.test/v1'));
    await condition(world, 'policies', 'innocent', { type: 'Ready', status: 'True' });
    await eventually('the router to refuse the address', async () => {
      const response = await fetch(`${world.routerUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${world.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'innocent', messages: [{ role: 'user', content: 'hello' }] }),
      });
      const text = await response.text();
      expect([response.status, text]).toEqual([502, expect.stringContaining('may not be called at its address')]);
    });
  });
});
