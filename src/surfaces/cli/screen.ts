// The process's terminal, taken over: alternate screen, keys one by one, lines drawn where they changed.
// Invariant: the terminal is given back at every end of the process that can be caught, before anything else is printed.

import { StringDecoder } from 'node:string_decoder'
import type { Screen, ScreenHandlers } from './terminal.ts'

// DEC private modes (xterm's ctlseqs): 1049 alternate screen, 25 cursor, 7 wrapping, 2026 an update shown at once.
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J'
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l'
const BEGIN_UPDATE = '\u001b[?2026h'
const END_UPDATE = '\u001b[?2026l'
/** Ends that a terminal brings itself; Ctrl-C and SIGTERM are the caller's. */
const SIGNALS = ['SIGHUP', 'SIGQUIT'] as const

/** Takes the terminal over. Standard input and output must be one. */
export function openScreen(handlers: ScreenHandlers): Screen {
  const { stdin, stdout } = process
  const decode = makeKeyDecoder()
  let shown: readonly string[] = []
  let taken = false

  const take = (): void => {
    taken = true
    stdin.setRawMode(true)
    stdout.write(ENTER)
    shown = []
  }
  const giveBack = (): void => {
    if (!taken) return
    taken = false
    stdout.write(LEAVE)
    // A terminal that is gone can't be set.
    if (!stdin.destroyed) stdin.setRawMode(false)
  }
  const onResize = (): void => {
    if (taken) stdout.write('\u001b[2J')
    shown = []
    handlers.onResize()
  }
  const onContinue = (): void => {
    take()
    handlers.onResize()
  }
  const onData = (bytes: Buffer): void => {
    for (const key of decode(bytes)) {
      if (key !== 'ctrl-z') handlers.onKey(key)
      else {
        giveBack()
        process.kill(process.pid, 'SIGTSTP')
      }
    }
  }

  // Emitted at a crash too, and before its error is printed.
  process.on('exit', giveBack)
  process.on('SIGCONT', onContinue)
  for (const signal of SIGNALS) process.on(signal, handlers.onEnd)
  stdin.on('data', onData)
  stdin.on('end', handlers.onEnd)
  stdout.on('resize', onResize)
  take()

  return {
    draw(lines) {
      if (!taken) return
      const height = Math.max(lines.length, shown.length)
      let out = ''
      for (let row = 0; row < height; row++) {
        // Erased first: at the end of a full line the cursor stands on the last character.
        if (lines[row] !== shown[row]) out += `\u001b[${row + 1};1H\u001b[2K${lines[row] ?? ''}`
      }
      shown = [...lines]
      if (out !== '') stdout.write(`${BEGIN_UPDATE}${out}${END_UPDATE}`)
    },
    close() {
      giveBack()
      process.off('exit', giveBack)
      process.off('SIGCONT', onContinue)
      for (const signal of SIGNALS) process.off(signal, handlers.onEnd)
      stdin.off('data', onData)
      stdin.off('end', handlers.onEnd)
      stdout.off('resize', onResize)
      stdin.pause()
    },
  }
}

/** What terminals send for keys without a character (ECMA-48, xterm; `O` in application mode). */
const SEQUENCES: Record<string, string> = {
  A: 'up',
  B: 'down',
  C: 'right',
  D: 'left',
  H: 'home',
  F: 'end',
  '1~': 'home',
  '4~': 'end',
  '7~': 'home',
  '8~': 'end',
  '5~': 'page-up',
  '6~': 'page-down',
}

const CONTROLS: Record<string, string> = {
  '\r': 'enter',
  '\n': 'enter',
  '\u007f': 'backspace',
  '\u0008': 'backspace',
  '\u0003': 'ctrl-c',
  '\u0004': 'ctrl-c',
  '\u001a': 'ctrl-z',
  '\u001b': 'escape',
  '\t': ' ',
}

/** Bytes of a terminal as keys: printable characters and names. What has no name is left out. */
export function makeKeyDecoder(): (bytes: Buffer) => string[] {
  const decoder = new StringDecoder('utf8')
  // An escape sequence, or one character (which may be two UTF-16 units).
  const token = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|O[A-Za-z])|[^]/gu
  return (bytes) =>
    (decoder.write(bytes).match(token) ?? []).flatMap((text) => {
      if (text.length > 2 && text.startsWith('\u001b')) return SEQUENCES[text.slice(2)] ?? []
      const control = CONTROLS[text]
      if (control !== undefined) return control
      return /\p{Cc}/u.test(text) ? [] : text
    })
}
