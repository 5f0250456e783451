#pragma once
// Shard: one thread with its loop and its clients; Shards: all of them, and the post between them.
//
// Owner    main of comet.
// Thread   Tell, Post and the atomics: any.  hub and FlushSoon: the shard's loop.
// Limit    Post: the loop's mailbox.  Tell never refuses: it carries answers to what a shard asked,
//          so its length is bounded by the connections that wait.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/threads.h"
#include "comet/stats.h"
#include "downlink/shard_port.h"
#include "net/loop.h"
#include "session/sessions.h"

namespace encke::comet {

class Shard final : public downlink::ShardPort {
 public:
  static Result<std::unique_ptr<Shard>> Make(const session::ShardOptions& options,
                                             const session::SessionParts& parts);
  ~Shard() override;
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  void Start();
  void Stop();  // ends the thread; sockets close without a goodbye
  void Tell(std::function<void(session::Sessions&)> task);
  // Runs `beat` in the loop on every tick from here on.  Before Start.
  void EveryTick(std::function<void(std::int64_t now_ms)> beat) { beat_ = std::move(beat); }

  bool Post(std::function<void()> task) override;
  hub::Hub& hub() override { return sessions_->hub(); }
  void FlushSoon() override;
  void AfterFlush(std::function<void()> task) override { loop_->Again(std::move(task)); }
  void Kick(hub::Slot slot, const std::string& reason) override { sessions_->Kick(slot, reason); }
  void Join(hub::Slot slot, const std::string& room) override { sessions_->Enter(slot, room); }
  void Leave(hub::Slot slot, const std::string& room) override { sessions_->Exit(slot, room); }

  session::Sessions& sessions() { return *sessions_; }  // before Start, or in loop
  ShardView view() const;

 private:
  Shard(std::unique_ptr<net::Loop> loop,
        const session::ShardOptions& options,
        const session::SessionParts& parts);
  void Tick();
  void ReadNotes();
  void FlushSlice();

  const std::uint32_t index_;
  const std::int64_t slice_us_;
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<session::Sessions> sessions_;
  Guarded<std::vector<std::function<void(session::Sessions&)>>> notes_;
  std::function<void(std::int64_t)> beat_;
  std::atomic<bool> stopped_{false};
  bool flushing_ = false;
  std::int64_t pace_at_ms_ = 0;  // when a timer flushes what was held back; 0 = none is set
  std::thread thread_;
};

// Where clients come in: one listener per shard on each.
struct Door {
  session::Transport transport;
  std::string address;
  net::Tls* tls = nullptr;
};

class Shards final : public session::Mail {
 public:
  Shards() = default;
  ~Shards() override;

  // options: for all; index and count are filled in, connections_max is divided.
  Status Make(int count, session::ShardOptions options, session::SessionParts parts);
  Status Open(const std::vector<Door>& doors);  // listens; answers the first failure
  void Start();
  void Announce();
  // Closes every client, paced; what is left after `patience` at once.  Blocks.
  void Drain(Duration patience);
  void Stop();

  void Tell(std::uint32_t shard, std::function<void(session::Sessions&)> task) override;

  std::size_t size() const { return shards_.size(); }
  Shard& operator[](std::size_t i) { return *shards_[i]; }
  std::vector<downlink::ShardPort*> ports();
  std::vector<ShardView> views() const;
  std::int64_t channels() const;
  // Every shard ran a posted task within `patience`.  Blocks.
  bool Ping(Duration patience);
  const std::vector<std::uint16_t>& open_ports() const { return open_ports_; }  // as Open's doors

 private:
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::uint16_t> open_ports_;
};

}  // namespace encke::comet
