// With which sandboxes a scenario is run: what the machine has, and none at all.

const forced = process.env['ORCH_SANDBOX']

/** Name for the test and environment of each mode; one alone when the caller chose (CI runs the suite both ways). */
export const MODES: [string, Record<string, string>][] = forced
  ? [[`ORCH_SANDBOX=${forced}`, { ORCH_SANDBOX: forced }]]
  : [
      ['the sandbox of this machine', {}],
      ['no sandbox', { ORCH_SANDBOX: 'none' }],
    ]
