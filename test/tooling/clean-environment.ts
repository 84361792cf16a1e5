// What the caller's shell or a git hook set must not decide a test: GIT_DIR would send every git command to another
// repository, ORCH_HOME to somebody's tasks. ORCH_SANDBOX stays: CI runs the suites with and without the sandbox.

for (const name of Object.keys(process.env)) {
  if (name.startsWith('GIT_') || (name.startsWith('ORCH_') && name !== 'ORCH_SANDBOX')) delete process.env[name]
}
