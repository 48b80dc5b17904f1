import type { KindDefinition } from '../../../hack/generate/kinds.ts';
import type { Changes } from './change.ts';

/** One rule of a kind, by the field that it blames and its message, with objects that keep it and that break it. */
export interface RuleCases {
  /** List indices are left out: `spec.backends[].name`. */
  field: string;
  message: string;
  keeps: readonly Changes[];
  breaks: readonly Changes[];
}

/** What the API server refuses by type and bounds, without a rule. */
export interface BoundCases {
  /** A fact: "a model needs replicas". */
  what: string;
  changes: Changes;
  /** The field and the message as the API server gives them. */
  field: string;
  message: string;
}

/** The cases of one kind. */
export interface KindCases {
  kind: KindDefinition['kind'];
  /** An object that breaks nothing, to which each case's changes are made. */
  base: object & { metadata: { name: string } };
  rules: readonly RuleCases[];
  bounds: readonly BoundCases[];
  /** Fields that do not exist, with what sets them. */
  unknown: Readonly<Record<string, Changes>>;
}
