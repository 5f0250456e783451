#pragma once
// Repair: a Sequencer's reads, from the timelines in Redis.
//
// Owner    main of job; borrows store::Timelines.
// Thread   any; the caller waits for the answer, at most Redis' timeout.
// Limit    a page of store::Timelines an answer.

#include "sequence/sequencer.h"
#include "store/timelines.h"

namespace encke::sequence {

Sequencer::Ports RepairFrom(store::Timelines& timelines);

}  // namespace encke::sequence
