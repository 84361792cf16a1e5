// A block of lines redrawn in place on a terminal.

import type { CliContext } from './context.ts'

export interface Live {
  /** Replaces what was drawn before, between BEGIN_LIVE and END_LIVE; what is taller than the screen is cut from below. */
  draw(lines: readonly string[]): void
}

// CSI sequences: A cursor up, J erase below (ECMA-48); ?25 cursor shown, ?7 long lines wrapped (DEC private modes).
// Wrapped lines would take more rows than were counted, and the next draw would begin too low.
export const BEGIN_LIVE = '\u001b[?25l\u001b[?7l'
export const END_LIVE = '\u001b[?7h\u001b[?25h'

export function makeLive(context: Pick<CliContext, 'stdout' | 'rows'>): Live {
  let height = 0
  return {
    draw(lines) {
      // The last row stays free: writing into it would scroll what the next draw has to find.
      const shown = lines.slice(0, Math.max(1, context.rows - 1))
      context.stdout.write(`${height > 0 ? `\r\u001b[${height}A` : ''}\u001b[J${shown.join('\n')}\n`)
      height = shown.length
    },
  }
}
