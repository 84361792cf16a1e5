// One after the other: what is done for one thing (a task) at once would be done twice, since whoever looks whether something
// is there and then makes it is two steps. Between processes the service's lock and leases see to that.

/** Begins the work when all that was begun before it under the same key has ended, however it ended. */
export type InLine = <T>(key: string, work: () => Promise<T>) => Promise<T>

export function makeInLine(): InLine {
  const last = new Map<string, Promise<unknown>>()
  return async (key, work) => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work)
    const ended = mine.catch(() => undefined)
    last.set(key, ended)
    try {
      return await mine
    } finally {
      if (last.get(key) === ended) last.delete(key)
    }
  }
}
