// Rooms as the application names them, as cursors of the protocol.
import { toBytes } from './encke.js';

const PACKAGE_BYTES = 2500; // of one Connect or Join: 4096 with the rest
const NUMBERS_BYTES = 24; // epoch, seq and what is around them

/** 'type://id' or { room, epoch, seq }. */
export function cursorOf(room) {
  return { epoch: 0, seq: 0, ...(typeof room === 'string' ? { room } : room) };
}

/** In lists that fit into one package each; at least one list. */
export function batchesOf(cursors) {
  const batches = [[]];
  let left = PACKAGE_BYTES;
  for (const cursor of cursors) {
    const bytes = toBytes(cursor.room).length + NUMBERS_BYTES;
    if (bytes > left) {
      batches.push([]);
      left = PACKAGE_BYTES;
    }
    batches.at(-1).push(cursor);
    left -= bytes;
  }
  return batches;
}
