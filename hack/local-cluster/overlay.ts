import { statfs } from 'node:fs/promises';

/** `OVERLAYFS_SUPER_MAGIC` of statfs(2). */
const overlayMagic = 0x794c7630;

/** Whether overlays can be mounted on this folder: not on another overlay, as the root of a container often is. */
export async function carriesOverlays(folder: string): Promise<boolean> {
  return (await statfs(folder)).type !== overlayMagic;
}
