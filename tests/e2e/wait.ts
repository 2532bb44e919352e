// Waiting for a condition, never for a time.
import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 100;

// Asks until `look` gives something (neither undefined, null nor false), and returns that. An error that `look` throws
// ends the wait at once. At the deadline the wait fails, saying what it waited for and what it saw last.
export async function waitFor<T>(
  what: string,
  seconds: number,
  look: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  seen: () => unknown = () => undefined,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (Date.now() >= deadline) {
      const last = seen();
      throw new Error(`${what} did not happen within ${seconds} s${last === undefined ? '' : `; last seen: ${JSON.stringify(last)}`}`);
    }
    await pause(POLL_MS);
  }
}
