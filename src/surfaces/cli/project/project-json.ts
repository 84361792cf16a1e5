import type { Project } from '../../../flow/app.ts'
import { isoTime } from '../time.ts'

/** A project as scripts get it: times as ISO 8601, no password in the address. */
export function projectJson(project: Project): Record<string, unknown> {
  return { ...project, remote: remoteText(project.remote), createdAt: isoTime(project.createdAt) }
}

/** A remote's address without the user and password or token that may stand in it. */
export function remoteText(remote: string): string {
  return remote.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@\s]*@/i, '$1')
}
