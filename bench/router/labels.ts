/** Ten queues of a support team, each with a first token of its own. */
export const labels: readonly string[] =
  'billing cards transfers loans identity security app fees branches other'.split(' ');
