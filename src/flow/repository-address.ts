// Addresses of repositories as git and browsers know them. Pure: nobody is asked whether anything is there.

export interface RepositoryAddress {
  protocol: 'http' | 'https' | 'ssh' | 'git' | 'file'
  /** In lower case, with its port where that is not the protocol's own; empty for a file. */
  host: string
  /** Parts of the path, without `.git`. */
  path: string[]
}

/** `git@host:path`: no slash before the colon, and more than a drive's letter. */
const SCP = /^(?:[^@/:\s]+@)?([A-Za-z0-9][\w.-]+):(?!\/\/)(\S+)$/

/** Null for what is no address, such as a path or `owner/name`. */
export function parseAddress(text: string): RepositoryAddress | null {
  const scp = SCP.exec(text)
  if (scp?.[1] !== undefined && scp[2] !== undefined)
    return { protocol: 'ssh', host: scp[1].toLowerCase(), path: parts(scp[2]) }
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || !URL.canParse(text)) return null
  const { protocol, host, hostname, pathname } = new URL(text)
  switch (protocol) {
    case 'http:':
    case 'https:':
      return { protocol: protocol === 'http:' ? 'http' : 'https', host: host.toLowerCase(), path: parts(pathname) }
    case 'ssh:':
    case 'git+ssh:':
      return { protocol: 'ssh', host: hostname.toLowerCase(), path: parts(pathname) }
    case 'git:':
      return { protocol: 'git', host: hostname.toLowerCase(), path: parts(pathname) }
    case 'file:':
      return { protocol: 'file', host: '', path: parts(pathname) }
    default:
      return null
  }
}

/**
 * `owner/name` where the address is below the server whose pages are at `web`; null where it leads elsewhere. What follows
 * in a browser's address (`/issues/3`) is left out.
 */
export function repositoryBelow(address: RepositoryAddress, web: string): string | null {
  if (!URL.canParse(web)) return null
  const base = new URL(web)
  const isWeb = address.protocol === 'http' || address.protocol === 'https'
  if (address.host !== (isWeb ? base.host : base.hostname).toLowerCase()) return null
  // Over ssh a server that lives under a path has none.
  const below = isWeb ? parts(base.pathname) : []
  if (!below.every((part, index) => part === address.path[index])) return null
  const [owner, name] = address.path.slice(below.length)
  return isName(owner) && isName(name) ? `${owner}/${name.replace(/\.git$/, '')}` : null
}

export function isName(part: string | undefined): part is string {
  return part !== undefined && /^[\w.-]+$/.test(part) && !/^\.{1,2}$/.test(part)
}

function parts(path: string): string[] {
  const found = path.split('/').filter((part) => part !== '')
  return found.map((part, index) => (index === found.length - 1 ? part.replace(/\.git$/, '') : part))
}
