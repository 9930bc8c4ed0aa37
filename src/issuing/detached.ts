// Bytes that stand alone in their memory, as what is handed to another thread has to.

/**
 * A copy with memory of its own: what goes to the registry is sent to another thread with all the memory that it is a
 * part of, and small buffers share theirs.
 */
export function detached(bytes: Buffer): Buffer {
  return Buffer.from(new Uint8Array(bytes).buffer);
}
