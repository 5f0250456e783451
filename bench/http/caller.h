#pragma once
// Caller: one HTTP/1.1 connection, kept alive, with several requests unanswered on it.
//
// Owner    Pusher.
// Thread   one.
// Limit    who calls keeps count of in_flight().

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include <netinet/in.h>

namespace encke::bench {

// A whole answer at the start of `in`: its size (0 = not all here yet), and whether it says that
// everything was accepted (status 200 and "code":0; of a batch "results" without an "error").
struct Answer {
  std::size_t size = 0;
  bool accepted = false;
  bool last = false;  // the server closes after it
};
Answer ReadAnswer(std::string_view in);

struct Sent {
  std::uint64_t first = 0;  // of this caller's pushes
  std::uint32_t count = 1;
  std::int64_t planned_us = 0;
  std::int64_t sent_us = 0;
};

class Caller {
 public:
  // settle(sent, accepted): told once for every request.
  using Settle = std::function<void(const Sent&, bool)>;

  Caller(int epoll, std::uint64_t tag, const sockaddr_in& to, Settle settle)
      : epoll_(epoll), tag_(tag), to_(to), settle_(std::move(settle)) {}
  ~Caller() { Hang(); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  bool Dial();  // true when connected, now or already
  // The request's bytes were appended to out().
  void Queue(const Sent& sent) { flight_.push_back(sent); }
  std::string& out() { return out_; }
  void Flush();
  void OnEvent(std::uint32_t events);
  // Closes; what is unanswered is settled as not accepted.
  void Hang();
  std::size_t in_flight() const { return flight_.size(); }
  std::int64_t oldest_us() const { return flight_.empty() ? 0 : flight_.front().sent_us; }

 private:
  void OnReadable();
  void WatchWritable(bool on);

  const int epoll_;
  const std::uint64_t tag_;
  const sockaddr_in to_;
  const Settle settle_;
  int fd_ = -1;
  bool watching_ = false;
  std::int64_t dialled_us_ = 0;
  std::string out_, in_;
  std::deque<Sent> flight_;
};

}  // namespace encke::bench
