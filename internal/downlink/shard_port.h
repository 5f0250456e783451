#pragma once
// ShardPort: what PushDoor sees of a shard: its mailbox, its hub, and a word that there is work.
//
// Owner    comet's Shard implements it.
// Thread   Post: any.  All others: the shard's loop only (from inside a posted task).
// Limit    the mailbox of the shard; Post says when it is full.

#include <functional>
#include <string>

#include "hub/hub.h"

namespace encke::downlink {

class ShardPort {
 public:
  virtual ~ShardPort() = default;
  // False: the mailbox is full (try again) or the shard has stopped; the task was not taken.
  virtual bool Post(std::function<void()> task) = 0;
  virtual hub::Hub& hub() = 0;
  // There is something to Flush.  The shard calls hub().Flush until that says false, and again
  // after hub().NextPaceMs() while a paced broadcast waits.
  virtual void FlushSoon() = 0;
  // Runs when that has had its first turn: for what the sockets need not wait for.
  virtual void AfterFlush(std::function<void()> task) = 0;
  // Commands of backends for one client.
  virtual void Kick(hub::Slot slot, const std::string& reason) = 0;
  virtual void Join(hub::Slot slot, const std::string& room) = 0;
  virtual void Leave(hub::Slot slot, const std::string& room) = 0;
};

}  // namespace encke::downlink
