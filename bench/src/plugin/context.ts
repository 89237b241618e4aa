/** What every part of the suite measures with. */
export interface Context {
  /** A temporary folder for this run; it goes when the run ends. */
  readonly folder: string
  /** How often each variant is measured. */
  readonly rounds: number
  readonly quick: boolean
  readonly hasGo: boolean
  readonly say: (text: string) => void
}
