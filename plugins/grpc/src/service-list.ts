import type { DescService } from '@bufbuild/protobuf'
import type { ComponentContext, ServiceRecord } from '@micrograft/contracts'

/** The gRPC services that a server answers for, as far as they are known. */
export class ServiceList {
  readonly descriptors: readonly DescService[]
  /** Where the server listens. */
  address: string | undefined
  readonly #context: ComponentContext
  #asking: Promise<readonly string[]> | undefined

  constructor(context: ComponentContext, descriptors: readonly DescService[]) {
    this.#context = context
    this.descriptors = descriptors
  }

  /** Their full names: those of the descriptors, and `<service>.<Type>` for endpoints of others. */
  async names(): Promise<readonly string[]> {
    const described = this.descriptors.map(({ typeName }) => typeName)
    const types = new Set((await this.#endpoints()).map((name) => name.replace(/\.[^.]*$/, '')))
    for (const { name } of this.descriptors) types.delete(name)
    return [...described, ...[...types].map((type) => `${this.#context.service}.${type}`)].sort()
  }

  /** The endpoints of a service, as `Method`; `undefined` where there is no such service. */
  async methods(service: string): Promise<readonly string[] | undefined> {
    const described = this.descriptors.find(({ typeName }) => typeName === service)
    if (described) return described.methods.map(({ name }) => name)
    const prefix = `${this.#context.service}.`
    if (!service.startsWith(prefix)) return undefined
    const type = `${service.slice(prefix.length)}.`
    const methods = (await this.#endpoints()).filter((name) => name.startsWith(type))
    return methods.length === 0 ? undefined : methods.map((name) => name.slice(type.length))
  }

  /** Whether the server answers for it: the empty name is the server itself. */
  async has(service: string): Promise<boolean> {
    if (service === '' || service === this.#context.service) return true
    return (await this.methods(service)) !== undefined
  }

  /** Many ask at a time: they get one answer. */
  #endpoints(): Promise<readonly string[]> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  /** As the registry has them: a server is told of no endpoint before it is called. */
  async #ask(): Promise<readonly string[]> {
    let records: readonly ServiceRecord[]
    try {
      records = await this.#context.use('registry').get(this.#context.service)
    } catch {
      return []
    }
    const own = records.filter(({ nodes }) => nodes.some(({ address }) => address === this.address))
    const endpoints = (own.length > 0 ? own : records).flatMap((record) => record.endpoints)
    return [...new Set(endpoints.map(({ name }) => name))]
  }
}
