// Stands before the scripted model server and gives an error the body a vendor gives it: the library knows one form only.
// Everything else passes through as it comes, a connection that breaks in the middle too.

import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An error's message that begins so is the whole body, as JSON. */
const BODY = 'body of its own: '

/** The message by which the front is told a body. */
export function messageOf(body: unknown): string {
  return `${BODY}${JSON.stringify(body)}`
}

export interface ErrorFront {
  url: string
  stop(): void
}

/** Starts it on a free port of the loopback, before the server at `target`. */
export async function startErrorFront(target: string): Promise<ErrorFront> {
  const server = createServer((asked, answer) => {
    const { method, headers, url = '/' } = asked
    const onward = request(new URL(url, target), { method, headers }, (given) => pass(given, answer))
    onward.on('error', () => answer.destroy())
    asked.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      server.closeAllConnections()
      server.close()
    },
  }
}

function pass(given: IncomingMessage, answer: ServerResponse): void {
  const { statusCode = 500, headers } = given
  given.on('error', () => answer.destroy())
  if (statusCode < 400) {
    answer.writeHead(statusCode, headers)
    answer.flushHeaders()
    given.pipe(answer)
    return
  }
  let text = ''
  given.setEncoding('utf8').on('data', (part: string) => (text += part))
  given.on('end', () => {
    const { 'content-length': _, 'transfer-encoding': __, ...rest } = headers
    answer.writeHead(statusCode, rest).end(bodyIn(text) ?? text)
  })
}

/** Undefined when the error is as it should be. */
function bodyIn(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } }
    const message = error?.message
    return typeof message === 'string' && message.startsWith(BODY) ? message.slice(BODY.length) : undefined
  } catch {
    return undefined
  }
}
