import type { V1PodSecurityContext, V1SecurityContext } from '@kubernetes/client-node';
import type { Json } from '../../kube/types.ts';

/** A user that no image has a name for, as in Google's distroless images. */
const user = 65532;

/** What the Pod Security Standard `restricted` asks of a pod; volumes are readable by the group. */
export const restrictedPod: Json<V1PodSecurityContext> = {
  runAsNonRoot: true,
  runAsUser: user,
  runAsGroup: user,
  fsGroup: user,
  // Not file by file at every start: weights are many and large.
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
};

/** What `restricted` asks of a container, and a file system that nobody writes to. */
export const restricted: Json<V1SecurityContext> = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
};
