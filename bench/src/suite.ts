/** What one run of a suite is asked for. */
export interface RunOptions {
  /** Few rounds: shows that the suite works, and measures nothing worth keeping. */
  readonly quick: boolean
  /** Parts of the suite to run; all of them where it is empty. */
  readonly only: readonly string[]
  /** The folder that results are written to; nothing is written where it is `undefined`. */
  readonly out: string | undefined
  /** What was typed to start the run, for the report. */
  readonly command: string
}

/** Something that is measured as a whole and has one file of results. */
export interface Suite {
  readonly about: string
  /** Names that `only` may have. */
  readonly parts: readonly string[]
  readonly run: (options: RunOptions) => Promise<void>
}
