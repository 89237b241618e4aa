/** The name under which plugins import this package. */
export const packageName = '@micrograft/plugin'

/** This package's version, which plugin files are held against. A test keeps it that of package.json. */
export const packageVersion = '0.1.0'
