/** This package's version, and so that of every built-in. A test keeps it that of package.json. */
export const packageVersion = '0.1.0'
