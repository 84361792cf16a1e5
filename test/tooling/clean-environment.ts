// What the caller's shell or a git hook set must not decide a test: GIT_DIR would send every git command to another
// repository, ORCH_HOME to somebody's tasks. ORCH_SANDBOX stays: CI runs the suites with and without the sandbox. So does
// ORCH_TEST_ALLOW_HOSTS, which whoever starts the tests sets to let them speak to a host that is not this machine.

const KEPT = ['ORCH_SANDBOX', 'ORCH_TEST_ALLOW_HOSTS']

for (const name of Object.keys(process.env)) {
  if (name.startsWith('GIT_') || (name.startsWith('ORCH_') && !KEPT.includes(name))) delete process.env[name]
}
