#pragma once
// Swarm: many clients on one epoll loop in one thread.
//
// Owner    a crowd.
// Thread   its own, from construction to destruction; the public functions are for one other
//          thread, and wait until the loop has done what they say.
// Limit    the process' open files; one receive buffer; a partial package per client at most.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client/addresses.h"
#include "client/client.h"
#include "options.h"
#include "tally/tally.h"

namespace encke::bench {

class Swarm {
 public:
  // Clients first ... first + count - 1 of the run.
  Swarm(const Options& options, int first, int count);
  ~Swarm();
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  // Everybody who is not connected; begun `rate` a second (0 = as fast as answered).
  void Connect(double rate);
  int Drop();  // answers how many were connected
  void Churn(double rate);
  void Heartbeat(double seconds);
  // Counters, histograms and sequences from zero; only pushes of `run` count (0 = of any).
  void Reset(std::uint32_t run);
  Tally Report();
  // Adds our ready clients of each group.
  void AddMembers(std::vector<std::uint32_t>* groups);

  // Progress, a loop's turn old.
  std::atomic<std::int64_t> ready{0}, failed{0}, delivered{0};
  std::atomic<std::int64_t> settled_us{
      0};  // since then no connect is waiting or under way; 0 = not

 private:
  // ---- the loop (swarm.cc)
  void Loop();
  void Call(std::function<void()> task);
  void Tell();  // publishes progress
  int Patience() const;
  void Beat();
  void ChurnSome();
  // ---- connecting (dial.cc)
  void Ramp();
  void Expire();
  void Dial(std::size_t i);
  void Greet(std::size_t i);
  void Login(std::size_t i);
  bool Send(Client& client, std::string_view bytes);
  void Leave(std::size_t i);  // on purpose
  void Lose(std::size_t i);   // not on purpose
  void Close(Client& client);
  // ---- receiving (receive.cc)
  void OnEvent(std::size_t i, std::uint32_t events);
  void OnReadable(std::size_t i, bool until_end);
  bool Digest(std::size_t i, std::size_t size);
  std::size_t Decode(std::size_t i, const char* in, std::size_t size, bool* broken);
  void OnPackage(std::size_t i, std::int32_t op, const char* body, std::size_t size);
  void OnPush(std::size_t i, std::string_view body);
  Track& TrackOf(std::size_t i, std::uint32_t stream);
  std::uint32_t TakeSlot();
  void FreeSlot(Client& client);

  const Options& options_;
  const int first_;
  std::vector<CometDoors> comets_;
  Sources sources_;
  const int epoll_;
  const int wake_;
  std::vector<Client> clients_;
  std::vector<char> buffer_;
  std::vector<std::string> pending_;  // partial packages; slot 0 is never used
  std::vector<std::uint32_t> free_slots_;
  std::unordered_map<std::uint64_t, Track> tracks_;  // of clients with several streams
  std::string out_;                                  // a package being built
  Tally tally_;
  std::uint32_t run_ = 0;
  std::int64_t now_us_ = 0;
  std::int64_t received_us_ = 0;  // when the bytes being decoded came; 0 = not asked yet
  std::int64_t ready_ = 0;

  std::deque<std::size_t> waiting_;                         // to connect
  std::deque<std::pair<std::int64_t, std::size_t>> again_;  // to connect, not before
  double ramp_rate_ = 0;
  std::int64_t ramp_from_us_ = 0;
  std::int64_t ramp_begun_ = 0;
  std::int64_t under_way_ = 0;
  std::int64_t expired_us_ = 0;  // last look for connects without an answer

  double beat_period_us_ = 0;
  std::int64_t beat_from_us_ = 0;
  std::int64_t beats_ = 0;  // places of the wheel passed since then
  double churn_rate_ = 0;
  std::int64_t churn_from_us_ = 0;
  std::int64_t churned_ = 0;

  std::mutex tasks_mutex_;
  std::vector<std::function<void()>> tasks_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace encke::bench
