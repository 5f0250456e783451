#pragma once
// Timeline: the client's side of one room with numbers: exactly once and in order (api/client.md,
// section 4).  Knows no socket: say what came, deliver what it hands out, send the Sync it wants.
//
// Owner    Client, or whoever brings a network of his own.
// Thread   one.
// Limit    kHeldMax pushes held back; what is beyond is fetched again.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "api/client.pb.h"

namespace encke::client {

class Timeline {
 public:
  static constexpr std::size_t kHeldMax = 256;

  struct Events {
    std::function<void(const Push&)> push;
    std::function<void()> reload;  // a hole that must be filled by other means
  };
  // epoch and seq: where an earlier life stopped; 0 = begin with what comes.
  Timeline(std::string room, std::uint64_t epoch, std::uint64_t seq, Events events);

  void OnJoined(const Joined& joined);                  // of ConnectReply or JoinReply
  void OnHead(std::uint64_t epoch, std::uint64_t seq);  // of BeatReply
  void OnPush(const Push& push);
  void OnGap(const Gap& gap);
  void OnSync(const SyncReply& reply);
  void OnDown();  // the connection ended
  void Retry();   // the last Sync was refused, and some time has passed

  // A Sync to be sent now, at most one at a time.
  std::optional<Sync> TakeSync();
  Cursor cursor() const;
  bool live() const { return state_ == State::kLive; }

 private:
  enum class State : std::uint8_t { kDown, kLive, kSyncing };
  struct Held {
    std::optional<Push> push;  // none: a number that is not for us
  };

  void Take(std::uint64_t epoch, std::uint64_t seq, const Push* push);
  void Hold(std::uint64_t seq, const Push* push);
  void Deliver(std::uint64_t seq, const std::optional<Push>& push);
  void DeliverHeld();
  void StartSync();
  bool Behind() const;  // something is known that is not done

  const std::string room_;
  const Events events_;
  State state_ = State::kDown;
  bool placed_;  // epoch_ and seq_ mean something
  std::uint64_t epoch_, seq_;
  std::uint64_t head_epoch_ = 0, head_seq_ = 0;
  std::uint64_t held_epoch_ = 0;
  std::map<std::uint64_t, Held> held_;
  bool want_ = false;        // a Sync is to be sent
  bool failed_ = false;      // the last one was refused
  bool again_ = false;       // something was lost while one was under way
  std::uint64_t began_ = 0;  // seq_ when this sync began
};

}  // namespace encke::client
