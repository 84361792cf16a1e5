// Reads fields of lines that an agent printed: plain looks at parsed JSON, since a schema costs more than the parsing itself.
// Invariant: nothing throws, and a field of the wrong shape is as good as absent.

export type JsonObject = Record<string, unknown>

/** The object a line holds, or null when it holds none. */
export function parseObject(line: string): JsonObject | null {
  try {
    return asObject(JSON.parse(line))
  } catch {
    return null
  }
}

export function asObject(value: unknown): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null
}

export function asObjects(value: unknown): JsonObject[] {
  if (!Array.isArray(value)) return []
  const objects: JsonObject[] = []
  for (const item of value) if (asObject(item)) objects.push(item as JsonObject)
  return objects
}

/** Text that is not empty, or null. */
export function asText(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

export function asNumber(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

/** A number of tokens or dollars: anything but one at or above zero counts as none. */
export function asAmount(value: unknown): number {
  const number = asNumber(value)
  return number !== null && number > 0 ? number : 0
}
