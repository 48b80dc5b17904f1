import { join } from 'node:path';
import { readJson, writeJson } from './json-file.ts';
import type { Settings } from './parts.ts';

/** What is decided of the cluster whose state folder this is; undefined when there is none. */
export function readSettings(dir: string): Promise<Settings | undefined> {
  return readJson(settingsFile(dir));
}

export function writeSettings(dir: string, settings: Settings): Promise<void> {
  return writeJson(settingsFile(dir), settings);
}

/** Full names of the images of this checkout that the cluster has, by what they are. */
export async function readImages(dir: string): Promise<Record<string, string>> {
  return (await readJson(imagesFile(dir))) ?? {};
}

export function writeImages(dir: string, images: Record<string, string>): Promise<void> {
  return writeJson(imagesFile(dir), images);
}

const settingsFile = (dir: string): string => join(dir, 'cluster.json');
const imagesFile = (dir: string): string => join(dir, 'images.json');
