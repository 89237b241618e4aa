export * from '@micrograft/contracts'
export { AdminClient, adminNodes, type AdminAsk, type AdminNode } from './admin/admin-client.js'
export type { AdminAbout, AdminError, AdminEvent, AdminRequest, AdminSlots } from './admin/admin-protocol.js'
export type { Backoff } from './calls/backoff.js'
export type { Caller } from './calls/caller.js'
export type {
  CallStream,
  RequestOptions,
  ServiceCalls,
  ServiceChannels,
  ServiceStreams,
} from './calls/caller-types.js'
export { Catalogue } from './catalogue/catalogue.js'
export type { Plugins } from './catalogue/plugins.js'
export type { Choice } from './components/choice.js'
export type { SlotReport, SwapEvent, SwapOptions, SwapPhase, SwapReport } from './components/swap-options.js'
export type { TallyReport } from './components/tally.js'
export type { EventContext, ListenOptions, PublishOptions } from './events/events.js'
export { flagDefinitions, flagNames, type FlagDefinition, type FlagName } from './flags/definitions.js'
export type { EndpointGroup, EndpointLike } from './handle/endpoints.js'
export { createService, type Service } from './service/service.js'
export type { ServiceOptions } from './service/service-options.js'
export type { ServiceSwapOptions } from './service/swaps.js'
export { build, generate, type PackagedPlugin } from './catalogue/generate.js'
