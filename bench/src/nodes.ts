/** The Node releases that the project is tested on beside the one that runs this; `tools/nodes.mjs` knows them. */
interface Nodes {
  readonly otherVersions: readonly string[]
  readonly nodeBinary: (version: string) => string
}

export async function otherNodes(): Promise<Nodes> {
  return (await import(new URL('../../tools/nodes.mjs', import.meta.url).href)) as Nodes
}
