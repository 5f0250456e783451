#pragma once
// The two ends of the floor: a process that sends and nothing else, a process that receives and
// throws away. Neither knows rooms, keys or packages.
//
// Owner    main of encke-floor forks one process for each.
// Thread   one per process.
// Limit    connections: the open files of a process.

#include <cstdint>

#include "board.h"

namespace encke::floor {

// Accepts `connections` on `listener`, says so on `control`, then obeys the Commands that come
// there, each answered by an Outcome. Ends when `control` closes.
void Send(int listener, int control, int connections, Cell* cell);

// Connects `connections` to 127.0.0.1:`port` from addresses 127.1.`pair`.*, then reads.
// Ends when the sender has closed them all.
void Receive(std::uint16_t port, std::uint32_t pair, int connections, Cell* cell);

}  // namespace encke::floor
