import type { Log } from '../cache.ts';
import type { Cluster } from './cluster-handle.ts';
import { ensureCadreImage, ensureEngineSimImage, ensureLlamaServerImage } from './images.ts';
import { readImages, writeImages } from './state.ts';

/** Images of this checkout, and the engines that examples and tests run. */
const productImages = {
  'llama-server': ensureLlamaServerImage,
  cadre: ensureCadreImage,
  'engine-sim': ensureEngineSimImage,
};
export type ProductImage = keyof typeof productImages;

/** Builds what the cache does not have, and loads them into a cluster. */
export async function loadProductImages(cluster: Cluster, names: ProductImage[], log: Log): Promise<void> {
  const loaded = await readImages(cluster.dir);
  for (const name of names) {
    const image = await productImages[name](log);
    await cluster.loadImage(image);
    loaded[name] = image.name;
    await writeImages(cluster.dir, loaded);
  }
  log(`images loaded: ${names.map((name) => loaded[name]).join(', ')}`);
}
