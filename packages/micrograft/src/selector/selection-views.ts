import type { SelectOptions } from '@micrograft/contracts'
import type { Choice } from './choice-options.js'
import { SelectionView, type Filter } from './selection-view.js'

/** Filters whose nodes are remembered; labels may come from callers, who could think of any number. */
const maxViews = 256

/** A view for each filter that calls come with, made when it first comes. */
export class SelectionViews {
  /** Without a filter. */
  readonly all: SelectionView
  readonly #choice: Choice
  readonly #byEndpoint = new Map<string, SelectionView>()
  readonly #filtered = new Map<string, SelectionView>()

  constructor(choice: Choice) {
    this.#choice = choice
    this.all = this.#newView({})
  }

  of({ version, labels, endpoint }: SelectOptions): SelectionView {
    if (version === undefined && labels === undefined) {
      if (endpoint === undefined) return this.all
      return this.#byEndpoint.get(endpoint) ?? this.#remember(this.#byEndpoint, endpoint, { endpoint })
    }
    const sorted = Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
    const key = JSON.stringify([version, endpoint, sorted])
    const filter = { version, labels: Object.fromEntries(sorted), endpoint }
    return this.#filtered.get(key) ?? this.#remember(this.#filtered, key, filter)
  }

  #remember(views: Map<string, SelectionView>, key: string, filter: Filter): SelectionView {
    if (views.size >= maxViews) views.delete(views.keys().next().value as string)
    const view = this.#newView(filter)
    views.set(key, view)
    return view
  }

  #newView(filter: Filter): SelectionView {
    return new SelectionView(filter, this.#choice.strategy, this.#choice.random)
  }
}
