import { UserError } from '../../process/errors.ts';

/** The addresses of one cluster. */
export interface Network {
  /** Tells apart the clusters of one machine, in names of interfaces and cgroups. */
  index: number;
  services: string;
  apiServerService: string;
  dnsService: string;
  /** Of all nodes, and of the one that runs here. */
  pods: string;
  nodePods: string;
  /** The two ends of the link between the machine and its node. */
  link: string;
  hostAddress: string;
  nodeAddress: string;
}

/** How many address plans there are, and so how many clusters fit on one machine. */
export const networkPlans = 8;

/** Number `index` of the address plans; the first has the ranges that most clusters have. */
export function addressPlan(index: number): Network {
  return {
    index,
    services: `10.${96 + index}.0.0/16`,
    apiServerService: `10.${96 + index}.0.1`,
    dnsService: `10.${96 + index}.0.10`,
    pods: `10.${244 + index}.0.0/16`,
    nodePods: `10.${244 + index}.0.0/24`,
    link: `192.168.${244 + index}.0/30`,
    hostAddress: `192.168.${244 + index}.1`,
    nodeAddress: `192.168.${244 + index}.2`,
  };
}

/**
 * The first plan whose ranges the machine does not route already, be it another cluster, Docker or a VPN. `routes` are
 * the destinations of its routing table, e.g. `default`, `10.0.0.0/8`, `192.0.2.7`.
 */
export function chooseNetwork(routes: string[]): Network {
  const taken = routes.filter((route) => route !== 'default' && route !== '0.0.0.0/0').map(parseRange);
  for (let index = 0; index < networkPlans; index++) {
    const plan = addressPlan(index);
    const wanted = [plan.services, plan.pods, plan.link].map(parseRange);
    if (!wanted.some((range) => taken.some((other) => overlap(range, other)))) return plan;
  }
  const { services, pods, link } = addressPlan(0);
  throw new UserError(
    'NoFreeNetwork',
    `this machine routes all the address ranges that the cluster can use (${services}, ${pods}, ${link} and the next ${networkPlans - 1}): see "ip route" for what holds them`,
  );
}

interface Range {
  first: number;
  last: number;
}

function parseRange(cidr: string): Range {
  const [address = '', bits = '32'] = cidr.split('/');
  const value = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(value / size) * size;
  return { first, last: first + size - 1 };
}

function overlap(a: Range, b: Range): boolean {
  return a.first <= b.last && b.first <= a.last;
}
