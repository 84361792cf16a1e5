// What a run says, as lines for people; shared by everything that shows a run.

import type { RunEvent } from '../../flow/app.ts'
import type { Paint } from './print.ts'
import { sanitizeBlock, sanitizeLine } from './sanitize.ts'

/** A line that is safe to print, and its colour. */
export interface ShownLine {
  text: string
  paint: Paint | null
}

/** One event as people read it; a message may have several lines. */
export function runEventLines(event: RunEvent): ShownLine[] {
  switch (event.type) {
    case 'started':
      return [{ text: `started${event.model ? ` (${sanitizeLine(event.model)})` : ''}`, paint: 'dim' }]
    case 'message':
      return block(event.text, null)
    case 'tool': {
      const mark = event.state === 'started' ? '→' : event.state === 'ok' ? '✓' : '✗'
      const text = sanitizeLine(`${mark} ${event.name}${event.detail ? ` ${event.detail}` : ''}`)
      return [{ text, paint: event.state === 'failed' ? 'red' : 'dim' }]
    }
    case 'usage': {
      const cost = event.costUsd === null ? '' : `, $${event.costUsd.toFixed(4)}`
      return [{ text: `${event.usage.input} tokens in, ${event.usage.output} out${cost}`, paint: 'dim' }]
    }
    case 'limit':
      return [{ text: `limit: ${sanitizeLine(event.text)}`, paint: 'yellow' }]
    case 'error':
      return block(`${event.code}: ${event.text}`, 'red')
    default:
      return event satisfies never
  }
}

function block(text: string, paint: Paint | null): ShownLine[] {
  return sanitizeBlock(text.trimEnd())
    .split('\n')
    .map((line) => ({ text: line, paint }))
}
