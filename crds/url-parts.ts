// Patterns in the syntax that RE2 (CEL) and JavaScript share, for the parts of an https URL that users write.

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const byte = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';

/** A DNS subdomain (RFC 1123), which also names objects of Kubernetes. */
export const dnsNamePattern = `${label}(\\.${label})*`;

/**
 * A host in lower case: a DNS name whose last label begins with a letter, or four bytes in decimal. URL parsers take other
 * names that end in a number (`0x7f.1`, `2130706433`) for IPv4 addresses, so one host would have two spellings.
 */
export const hostPattern = `((${label}\\.)*[a-z]([-a-z0-9]*[a-z0-9])?|${byte}(\\.${byte}){3})`;

/** `:PORT` or nothing. The port of https is left out, as URL parsers do. */
export const portPattern = '(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?';
