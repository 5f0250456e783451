// Swarm: what arrives.

#include <algorithm>
#include <cerrno>

#include <sys/epoll.h>
#include <sys/socket.h>

#include "client/codec.h"
#include "client/swarm.h"
#include "clock.h"
#include "tally/stamp.h"

namespace encke::bench {

void Swarm::OnEvent(std::size_t i, std::uint32_t events) {
  Client& client = clients_[i];
  if (client.stage == Stage::kIdle) return;
  if (client.stage == Stage::kConnecting) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Lose(i);
    if ((events & EPOLLOUT) != 0) Greet(i);
    if (client.stage == Stage::kIdle) return;
  }
  const bool over = (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0;
  if (over || (events & EPOLLIN) != 0) OnReadable(i, over);
}

// Edge-triggered: a read that does not fill the buffer has emptied the socket.
void Swarm::OnReadable(std::size_t i, bool until_end) {
  while (clients_[i].fd >= 0) {
    const ssize_t n = recv(clients_[i].fd, buffer_.data(), buffer_.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Lose(i);
    tally_.bytes += static_cast<std::uint64_t>(n);
    received_us_ = 0;
    if (!Digest(i, static_cast<std::size_t>(n))) return Lose(i);
    if (!until_end && static_cast<std::size_t>(n) < buffer_.size()) return;
  }
}

// `size` new bytes are in the buffer.  False when they are not the protocol.
bool Swarm::Digest(std::size_t i, std::size_t size) {
  Client& client = clients_[i];
  bool broken = false;
  if (client.pending == 0) {
    const std::size_t used = Decode(i, buffer_.data(), size, &broken);
    if (broken || client.fd < 0) return !broken;
    if (used == size) return true;
    client.pending = TakeSlot();
    pending_[client.pending].assign(buffer_.data() + used, size - used);
    return true;
  }
  std::string joined = std::move(pending_[client.pending]);
  joined.append(buffer_.data(), size);
  const std::size_t used = Decode(i, joined.data(), joined.size(), &broken);
  if (broken || client.fd < 0) return !broken;
  if (used == joined.size()) {
    FreeSlot(client);
    return true;
  }
  joined.erase(0, used);
  pending_[client.pending] = std::move(joined);
  return true;
}

std::size_t Swarm::Decode(std::size_t i, const char* in, std::size_t size, bool* broken) {
  Client& client = clients_[i];
  std::size_t used = 0;
  if (client.stage == Stage::kUpgrading) {
    const int answer = UpgradeAnswer({in, size});
    *broken = answer < 0;
    if (answer <= 0) return 0;
    used = static_cast<std::size_t>(answer);
    Login(i);
    if (client.fd < 0) return used;
  }
  const auto on_package = [this, i](std::int32_t op, const char* body, std::size_t n) {
    OnPackage(i, op, body, n);
  };
  const Decoded decoded = client.ws
                              ? DecodeFrames(&client.frame_left, in + used, size - used, on_package)
                              : DecodePackages(in + used, size - used, on_package);
  *broken = decoded.broken;
  return used + decoded.used;
}

void Swarm::OnPackage(std::size_t i, std::int32_t op, const char* body, std::size_t size) {
  Client& client = clients_[i];
  const Incoming in = Classify(options_.version, op, body, size);
  if (in.kind == Kind::kPush) {
    OnPush(i, in.body);
  } else if (in.kind == Kind::kHeartbeatReply) {
    ++tally_.heartbeat_replies;
  } else if (in.kind == Kind::kWelcome && client.stage == Stage::kAuth) {
    client.stage = Stage::kReady;
    client.attempts = 0;
    --under_way_;
    ++ready_;
    ++tally_.connects;
    tally_.connect_us.Add(static_cast<std::uint32_t>(NowUs()) - client.began_us);
  }
}

void Swarm::OnPush(std::size_t i, std::string_view body) {
  Stamp stamp;
  const bool ours = stamp.ReadFrom(body.data(), body.size()) && (run_ == 0 || stamp.run == run_);
  if (!ours || stamp.stream >= kStreamsMax || stamp.sequence >= kSequencesMax) {
    ++tally_.foreign;
    return;
  }
  const Arrival arrival = TrackOf(i, stamp.stream).Note(stamp.sequence);
  if (arrival == Arrival::kRepeat) {
    ++tally_.duplicates;
    return;
  }
  if (arrival == Arrival::kLate) ++tally_.out_of_order;
  tally_.CountPush(stamp.stream, stamp.sequence);
  if (received_us_ == 0) received_us_ = NowUs();
  tally_.latency_us.Add(
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, received_us_ - stamp.planned_us)));
}

Track& Swarm::TrackOf(std::size_t i, std::uint32_t stream) {
  Client& client = clients_[i];
  if (client.track.empty()) client.stream = stream;
  if (client.stream == stream) return client.track;
  return tracks_[std::uint64_t{i} << 32 | stream];
}

std::uint32_t Swarm::TakeSlot() {
  if (free_slots_.empty()) {
    pending_.emplace_back();
    return static_cast<std::uint32_t>(pending_.size() - 1);
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

void Swarm::FreeSlot(Client& client) {
  if (client.pending == 0) return;
  std::string().swap(pending_[client.pending]);
  free_slots_.push_back(client.pending);
  client.pending = 0;
}

}  // namespace encke::bench
