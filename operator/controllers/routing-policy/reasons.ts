import type { Reason } from '../../conditions.ts';

/**
 * Why a RoutingPolicy is not ready, the worst first: of several, `Ready` names the first. The documentation
 * (docs/reference/conditions.md) is made from this table.
 */
export const policyReasons = {
  InvalidSpec: {
    refused: true,
    stalled: true,
    description: 'The spec breaks a rule of the schema.',
    cure: 'Correct the field that the message names.',
  },
  HostNotAllowed: {
    refused: true,
    stalled: true,
    description: "A provider's URL names a host that the operator's configuration does not allow.",
    cure: "Use another host, or have it added to providers.allowedHosts (or its addresses to providers.allowedCIDRs) of the operator's configuration.",
  },
  RouteTooLarge: {
    refused: true,
    stalled: true,
    description: 'The compiled route is larger than 512 KiB.',
    cure: 'Use fewer or shorter labels, keys or backends, or divide the policy into several.',
  },
  NameConflict: {
    refused: false,
    stalled: true,
    description:
      'An older policy answers to the same model name for the same key. This one is reached as NAMESPACE/NAME.',
    cure: 'Choose another spec.model, or give the two policies different keys.',
  },
  SecretNotFound: {
    refused: false,
    stalled: false,
    description: 'A Secret that the policy names does not exist. What it would open stays closed.',
    cure: 'Create it in the namespace of the policy; it is noticed within seconds.',
  },
  SecretKeyNotFound: {
    refused: false,
    stalled: false,
    description: 'A Secret that the policy names lacks the key that the policy names.',
    cure: 'Add the key to the Secret, or name another.',
  },
  SecretUnreadable: {
    refused: false,
    stalled: false,
    description: 'A Secret that the policy names could not be read. The last route stays in place.',
    cure: 'Allow the operator to get Secrets in this namespace; the message has the words of the API server.',
  },
  SecretNotShared: {
    refused: false,
    stalled: true,
    description: "The Secret with a provider's key does not say that it may be sent to the provider's host.",
    cure: 'Annotate the Secret with cadre.dev/hosts: HOST, or HOST:PORT for one port only; commas separate several.',
  },
  WeakKey: {
    refused: false,
    stalled: true,
    description: 'A client key is shorter than 32 characters. It opens nothing.',
    cure: 'Put a longer random key into the Secret.',
  },
  InvalidKey: {
    refused: false,
    stalled: true,
    description: 'A key has characters that an Authorization header cannot carry.',
    cure: 'Put a key of printable ASCII characters without blanks into the Secret.',
  },
  BackendNotFound: {
    refused: false,
    stalled: false,
    description: 'A SpecializedModel that the policy names does not exist. Its traffic goes by fallback.',
    cure: 'Create it in the namespace of the policy, or name another.',
  },
  BackendNotReady: {
    refused: false,
    stalled: false,
    description: 'A SpecializedModel that the policy names is not ready. Its traffic goes by fallback.',
    cure: "Look at the model's own conditions.",
  },
} as const satisfies Record<string, Reason>;

/** Reasons of conditions while nothing is wrong. */
export const normalReasons = {
  Accepted: 'The policy is compiled.',
  Ready: 'Every backend that the policy names is ready.',
  Paused: 'The annotation cadre.dev/paused is "true": the route stays as it is until it is gone.',
} as const;

export type PolicyReason = keyof typeof policyReasons;
export type NormalReason = keyof typeof normalReasons;

/** One thing that is wrong with a policy or with what it names. */
export interface Problem {
  reason: PolicyReason;
  /** What is wrong and what to do, with the field's path. */
  message: string;
}

const order = Object.keys(policyReasons) as PolicyReason[];

/** The worst first; among equals, in the order in which they were found. */
export function byGravity(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => order.indexOf(a.reason) - order.indexOf(b.reason));
}
