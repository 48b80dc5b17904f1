import { randomBytes } from 'node:crypto';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, inject } from 'vitest';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  startControlPlane,
} from '../../hack/local-cluster/control-plane.ts';
import { type ClientOptions, KubeClient } from '../../kube/client.ts';
import { connect } from '../../kube/connect.ts';
import { kubeconfigCredentials } from '../../kube/kubeconfig.ts';
import { resources } from '../../kube/resources.ts';
import type { KubeObject } from '../../kube/types.ts';
import { temporaryFolder } from '../../process/testing/temporary-folder.ts';

export interface ApiServerWorld {
  kube: KubeClient;
  /** A namespace of this file's own. */
  namespace: string;
}

/** Connects the tests of a file with the API server that all files share; their namespace goes with them. */
export function useApiServer(prefix: string): ApiServerWorld {
  const world = {} as ApiServerWorld;
  beforeAll(async () => {
    world.kube = await connect({ kubeconfig: { path: inject('kubeconfig') } });
    world.namespace = `${prefix}-${randomBytes(3).toString('hex')}`;
    await makeNamespace(world.kube, world.namespace);
  });
  afterAll(async () => {
    await world.kube?.delete(resources.namespaces, world.namespace, undefined);
    await world.kube?.close();
  });
  return world;
}

/** A control plane of this file's own, and the folder in which it and others may keep what goes with it. */
export interface OwnControlPlane {
  plane: ControlPlane;
  dir: string;
}

export function useControlPlane(options: Pick<ControlPlaneOptions, 'components'> = {}): OwnControlPlane {
  const own = {} as OwnControlPlane;
  // Two hooks: the folder goes even when the programs don't start.
  beforeAll(async () => {
    const folder = await temporaryFolder('control-plane');
    own.dir = folder.path;
    return folder.remove;
  });
  beforeAll(async () => {
    own.plane = await startControlPlane({ dir: own.dir, log: () => undefined, ...options });
    return () => own.plane.stop();
  });
  return own;
}

export interface OwnApiServer extends OwnControlPlane {
  /** A client of the relay's, so that its connections can be cut. */
  kube: KubeClient;
  /** A client of the server's own, for what the test itself does. */
  direct: KubeClient;
  relay: Relay;
  /** Another client through the relay. */
  connect(options?: ClientOptions): Promise<KubeClient>;
}

/** An API server of this file's own, which may be restarted, compacted and cut off. */
export function useOwnApiServer(options: ClientOptions = {}): OwnApiServer {
  const own = useControlPlane() as OwnApiServer;
  beforeAll(async () => {
    own.relay = await startRelay(Number(new URL(own.plane.url).port));
    own.connect = async (more = {}) => {
      const credentials = await kubeconfigCredentials({ path: own.plane.kubeconfig });
      const server = `https://127.0.0.1:${own.relay.port}`;
      return new KubeClient({ ...credentials, server }, { ...options, ...more });
    };
    own.kube = await own.connect();
    own.direct = await connect({ kubeconfig: { path: own.plane.kubeconfig } });
  });
  afterAll(async () => {
    await Promise.all([own.kube?.close(), own.direct?.close()]);
    await own.relay?.close();
  });
  return own;
}

/** A TCP relay in front of a server: what a load balancer does to connections, well and badly. */
export interface Relay {
  port: number;
  /** How many connections there have been. */
  readonly connections: number;
  /** Cuts every connection. */
  cut(): void;
  /** From now on the bytes of the connections that there are vanish both ways; new ones are fine. */
  freeze(): void;
  /** Cuts every connection and takes no new one. */
  close(): Promise<void>;
  /** Takes connections again, at the same port. */
  open(): Promise<void>;
}

async function startRelay(to: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((client) => {
    connections++;
    const upstream = connectTcp(to, '127.0.0.1');
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one
        .on('error', () => other.destroy())
        .on('close', () => {
          sockets.delete(one);
          other.destroy();
        });
      one.pipe(other);
    }
  });
  const listen = (port: number): Promise<void> => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    open: () => listen(port),
    get connections() {
      return connections;
    },
    cut,
    freeze() {
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export async function makeNamespace(kube: KubeClient, name: string): Promise<void> {
  await kube.create<KubeObject>(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}
