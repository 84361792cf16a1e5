import { lateCommentsContract } from '../late-comments.contract.ts'
import { onboardingContract, trackerContract } from '../remote.contract.ts'
import { onboardingWorld, openPlane, trackerOf, trackerWorld } from './fake-plane-world.ts'

const openTracker = async () => {
  const opened = await openPlane()
  return { tracker: trackerOf(opened), world: trackerWorld(opened), close: opened.close }
}

trackerContract('plane', openTracker)
lateCommentsContract('plane', openTracker)

onboardingContract('plane', async () => {
  const opened = await openPlane()
  return { onboarding: opened.driver.onboarding(opened.ref), world: onboardingWorld(opened), close: opened.close }
})
