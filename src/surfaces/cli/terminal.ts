// The terminal as a verb that takes it over sees it. `screen.ts` is the process's own; tests have theirs.

/** The whole terminal, taken over. */
export interface Screen {
  /** Replaces what is shown; only lines that changed are written. */
  draw(lines: readonly string[]): void
  /** Gives the terminal back as it was. May be called twice. */
  close(): void
}

export interface ScreenHandlers {
  /** A printable character, or a name such as `up`, `enter`, `ctrl-c`. */
  onKey: (key: string) => void
  onResize: () => void
  /** The terminal is going away. */
  onEnd: () => void
}
