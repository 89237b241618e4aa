import v8 from 'node:v8'

/** The part of a heap snapshot that is used here (v8/include/v8-profiler.h, HeapSnapshot::Serialize). */
interface Snapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: string[]
      readonly node_types: [string[], ...unknown[]]
      readonly edge_fields: string[]
      readonly edge_types: [string[], ...unknown[]]
    }
  }
  readonly nodes: number[]
  readonly edges: number[]
  readonly strings: string[]
}

/** How many paths are named. */
const maxPaths = 5

/**
 * The shortest paths from what V8 itself holds to functions of the script `url`.
 *
 * WeakRefs tell whether a thing is gone but not who holds it; a heap snapshot has every reference.
 */
export async function retainersOf(url: string): Promise<readonly string[]> {
  const chunks: Buffer[] = []
  for await (const chunk of v8.getHeapSnapshot()) chunks.push(chunk as Buffer)
  return new Heap(JSON.parse(Buffer.concat(chunks).toString('utf8')) as Snapshot).pathsTo(url)
}

class Heap {
  readonly #snapshot: Snapshot
  readonly #nodeSize: number
  readonly #edgeSize: number
  readonly #firstEdge: Uint32Array
  readonly #nodeTypes: string[]
  readonly #edgeTypes: string[]
  readonly #edgeCountAt: number

  constructor(snapshot: Snapshot) {
    const { meta } = snapshot.snapshot
    this.#snapshot = snapshot
    this.#nodeSize = meta.node_fields.length
    this.#edgeSize = meta.edge_fields.length
    this.#nodeTypes = meta.node_types[0]
    this.#edgeTypes = meta.edge_types[0]
    this.#edgeCountAt = meta.node_fields.indexOf('edge_count')
    const count = snapshot.nodes.length / this.#nodeSize
    this.#firstEdge = new Uint32Array(count + 1)
    for (let i = 0; i < count; i++) {
      this.#firstEdge[i + 1] =
        (this.#firstEdge[i] as number) + (snapshot.nodes[i * this.#nodeSize + this.#edgeCountAt] as number)
    }
  }

  pathsTo(url: string): string[] {
    const targets = this.#closuresOf(url)
    const { parent, via } = this.#walk(targets)
    const paths: string[] = []
    for (const target of targets) {
      if (parent[target] === -1) continue
      const path = this.#path(target, parent, via)
      if (!paths.includes(path)) paths.push(path)
    }
    return paths.sort((a, b) => a.length - b.length).slice(0, maxPaths)
  }

  /** Closures whose code comes from a script of that name. */
  #closuresOf(url: string): Set<number> {
    const found = new Set<number>()
    for (let node = 0; node < this.#firstEdge.length - 1; node++) {
      if (this.#type(node) !== 'closure') continue
      const shared = this.#follow(node, ['shared'])
      // Functions that a debugger has touched have their debug info in between.
      const script =
        shared === undefined ? undefined : this.#follow(shared, ['script', 'script_or_debug_info'])
      if (script === undefined) continue
      if (this.#name(script) === url || this.#name(this.#follow(script, ['script']) ?? script) === url)
        found.add(node)
    }
    return found
  }

  /** Breadth first from the root over references that hold; it does not go on behind a target, so each is reached from outside. */
  #walk(targets: ReadonlySet<number>): { parent: Int32Array; via: Int32Array } {
    const parent = new Int32Array(this.#firstEdge.length - 1).fill(-1)
    const via = new Int32Array(parent.length).fill(-1)
    const queue = [0]
    parent[0] = 0
    for (let at = 0; at < queue.length; at++) {
      const node = queue[at] as number
      if (targets.has(node)) continue
      for (let edge = this.#firstEdge[node] as number; edge < (this.#firstEdge[node + 1] as number); edge++) {
        const to = this.#to(edge)
        if (parent[to] !== -1 || !this.#holds(edge)) continue
        parent[to] = node
        via[to] = edge
        queue.push(to)
      }
    }
    return { parent, via }
  }

  #path(target: number, parent: Int32Array, via: Int32Array): string {
    const steps: string[] = []
    for (let node = target; node !== 0; node = parent[node] as number) {
      const type = this.#type(node)
      if (type === 'synthetic' || type === 'hidden' || type === 'code') continue
      const name = type === 'closure' ? `${this.#name(node) || 'function'}()` : this.#name(node)
      // Tables within maps and the like have none.
      if (name !== '') steps.unshift(`${this.#edgeName(via[node] as number)}${name}`)
    }
    return steps.slice(-8).join(' → ')
  }

  #edgeName(edge: number): string {
    const type = this.#edgeType(edge)
    const name = this.#snapshot.edges[edge * this.#edgeSize + 1] as number
    if (type === 'property' || type === 'context') return `${this.#snapshot.strings[name]}: `
    return type === 'element' ? `[${name}] ` : ''
  }

  #holds(edge: number): boolean {
    return this.#edgeType(edge) !== 'weak'
  }

  #follow(node: number, names: readonly string[]): number | undefined {
    for (let edge = this.#firstEdge[node] as number; edge < (this.#firstEdge[node + 1] as number); edge++) {
      if (this.#edgeType(edge) !== 'internal') continue
      if (
        names.includes(
          this.#snapshot.strings[this.#snapshot.edges[edge * this.#edgeSize + 1] as number] as string,
        )
      )
        return this.#to(edge)
    }
    return undefined
  }

  #type(node: number): string {
    return this.#nodeTypes[this.#snapshot.nodes[node * this.#nodeSize] as number] as string
  }

  #name(node: number): string {
    return this.#snapshot.strings[this.#snapshot.nodes[node * this.#nodeSize + 1] as number] as string
  }

  #edgeType(edge: number): string {
    return this.#edgeTypes[this.#snapshot.edges[edge * this.#edgeSize] as number] as string
  }

  #to(edge: number): number {
    return (this.#snapshot.edges[edge * this.#edgeSize + 2] as number) / this.#nodeSize
  }
}
