import type { ComponentType, PluginConfig } from '@micrograft/contracts'
import { packageVersion } from '../package-version.js'

type Module = Readonly<Record<string, unknown>>

/** A built-in is loaded when it is first made: a service pays for what it uses. */
function builtIn(
  type: ComponentType,
  name: string,
  load: () => Promise<Module>,
  factory: string,
): PluginConfig {
  return {
    name,
    type,
    version: packageVersion,
    newFunc: async (options, context) => {
      const make = (await load())[factory] as (options: unknown, context: unknown) => never
      return make(options, context)
    },
  }
}

/** Every component in the box. */
export const builtIns: readonly PluginConfig[] = [
  builtIn('auth', 'jwt', () => import('../auth/jwt-auth.js'), 'jwtAuth'),
  builtIn('auth', 'noop', () => import('../auth/noop-auth.js'), 'noopAuth'),
  builtIn('broker', 'http', () => import('../broker/http-broker.js'), 'httpBroker'),
  builtIn('broker', 'memory', () => import('../broker/memory-broker.js'), 'memoryBroker'),
  builtIn('client', 'mucp', () => import('../mucp/mucp-client.js'), 'mucpClient'),
  builtIn('client', 'rpc', () => import('../rpc/rpc-client.js'), 'rpcClient'),
  builtIn('codec', 'bytes', () => import('../codec/bytes-codec.js'), 'bytesCodec'),
  builtIn('codec', 'json', () => import('../codec/json-codec.js'), 'jsonCodec'),
  builtIn('codec', 'json-rpc', () => import('../codec/json-rpc-codec.js'), 'jsonRpcCodec'),
  builtIn('codec', 'msgpack', () => import('../codec/msgpack-codec.js'), 'msgpackCodec'),
  builtIn('codec', 'proto-rpc', () => import('../codec/proto-rpc-codec.js'), 'protoRpcCodec'),
  builtIn('codec', 'protobuf', () => import('../codec/protobuf-codec.js'), 'protobufCodec'),
  builtIn('codec', 'text', () => import('../codec/text-codec.js'), 'textCodec'),
  builtIn('config', 'env', () => import('../config/env-config.js'), 'envConfig'),
  builtIn('config', 'file', () => import('../config/file-config.js'), 'fileConfig'),
  builtIn('config', 'memory', () => import('../config/memory-config.js'), 'memoryConfig'),
  builtIn('logger', 'console', () => import('../logger/console-logger.js'), 'consoleLogger'),
  builtIn('logger', 'noop', () => import('../logger/noop-logger.js'), 'noopLogger'),
  builtIn('registry', 'local', () => import('../registry/local-registry.js'), 'localRegistry'),
  builtIn('registry', 'mdns', () => import('../registry/mdns-registry.js'), 'mdnsRegistry'),
  builtIn('registry', 'memory', () => import('../registry/memory-registry.js'), 'memoryRegistry'),
  builtIn('selector', 'dns', () => import('../selector/dns-selector.js'), 'dnsSelector'),
  builtIn('selector', 'registry', () => import('../selector/registry-selector.js'), 'registrySelector'),
  builtIn('selector', 'static', () => import('../selector/static-selector.js'), 'staticSelector'),
  builtIn('server', 'mucp', () => import('../mucp/mucp-server.js'), 'mucpServer'),
  builtIn('server', 'rpc', () => import('../rpc/rpc-server.js'), 'rpcServer'),
  builtIn('store', 'file', () => import('../store/file-store.js'), 'fileStore'),
  builtIn('store', 'memory', () => import('../store/memory-store.js'), 'memoryStore'),
  builtIn('tracer', 'memory', () => import('../tracer/memory-tracer.js'), 'memoryTracer'),
  builtIn('tracer', 'noop', () => import('../tracer/noop-tracer.js'), 'noopTracer'),
  builtIn('transport', 'http', () => import('../transport/http-transport.js'), 'httpTransport'),
  builtIn('transport', 'memory', () => import('../transport/memory-transport.js'), 'memoryTransport'),
  builtIn('transport', 'tcp', () => import('../transport/tcp-transport.js'), 'tcpTransport'),
  builtIn('transport', 'unix', () => import('../transport/unix-transport.js'), 'unixTransport'),
]
