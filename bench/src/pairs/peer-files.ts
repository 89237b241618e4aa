/** A file of the peers' own package, which is no part of the workspace. */
export function peerFile(name: string): URL {
  return new URL(`../../peers/${name}`, import.meta.url)
}
