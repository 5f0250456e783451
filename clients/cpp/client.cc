#include "clients/cpp/client.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "wire/op.h"
#include "wire/package.h"

namespace encke::client {
namespace {

constexpr std::size_t kRoomsBytes = 2'500;  // of one Connect or Join: a package holds 4096
constexpr std::int64_t kAgainMs = 100;      // the server said "later" without saying when
constexpr std::int64_t kSteadyMs = 60'000;  // a connection that lasted so long resets the back-off

std::optional<sockaddr_in> AddressOf(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  sockaddr_in address{};
  if (colon == std::string::npos) return std::nullopt;
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
  if (inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1)
    return std::nullopt;
  return address;
}

bool MayPass(const Error& error) {
  return error.code() == Error::UNAVAILABLE || error.code() == Error::RATE;
}

template <class Message>
Message Read(std::string_view body) {
  Message message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) message.Clear();
  return message;
}

}  // namespace

Client::Client(ClientOptions options, Events events)
    : options_(std::move(options)), events_(std::move(events)), random_(options_.seed) {}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

// ---- what the caller wants ----------------------------------------------------------------------

Timeline& Client::Make(const std::string& room, std::uint64_t epoch, std::uint64_t seq) {
  return timelines_
      .try_emplace(room, room, epoch, seq,
                   Timeline::Events{.push = events_.push,
                                    .reload =
                                        [this, room] {
                                          if (events_.reload) events_.reload(room);
                                        }})
      .first->second;
}

void Client::Join(const std::string& room, std::uint64_t epoch, std::uint64_t seq) {
  const Timeline& timeline = Make(room, epoch, seq);
  if (up_) SendJoins({timeline.cursor()});
}

void Client::SendJoins(const std::vector<Cursor>& cursors) {
  client::Join join;
  for (const Cursor& cursor : cursors) {
    *join.add_rooms() = cursor;
    if (join.ByteSizeLong() < kRoomsBytes) continue;
    Send(wire::kOpJoin, join);
    join.Clear();
  }
  if (join.rooms_size() > 0) Send(wire::kOpJoin, join);
}

void Client::Leave(const std::string& room) {
  timelines_.erase(room);
  join_again_.erase(room);
  if (!up_) return;
  client::Leave leave;
  leave.add_rooms(room);
  Send(wire::kOpLeave, leave);
}

bool Client::Say(Publish publish) {
  if (unanswered_.size() >= options_.publishes_max) return false;
  if (publish.client_id().empty()) {
    publish.set_client_id(std::to_string(random_()) + "." + std::to_string(random_()) + "." +
                          std::to_string(now_ms_));
  }
  if (up_) Send(wire::kOpPublish, publish);
  unanswered_[publish.client_id()] = std::move(publish);
  return true;
}

void Client::Acknowledge() {
  const auto inbox = timelines_.find(inbox_);
  if (!up_ || inbox == timelines_.end() || inbox->second.cursor().seq() == 0) return;
  Ack ack;
  ack.set_epoch(inbox->second.cursor().epoch());
  ack.set_seq(inbox->second.cursor().seq());
  Send(wire::kOpAck, ack);
}

Cursor Client::cursor(const std::string& room) const {
  const auto at = timelines_.find(room);
  return at == timelines_.end() ? Cursor() : at->second.cursor();
}

bool Client::live(const std::string& room) const {
  const auto at = timelines_.find(room);
  return up_ && at != timelines_.end() && at->second.live();
}

// ---- the connection -----------------------------------------------------------------------------

void Client::Dial() {
  const std::string& text = options_.addresses[next_address_++ % options_.addresses.size()];
  const auto address = AddressOf(text);
  dialled_ms_ = now_ms_;
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0 || !address) return Drop("cannot dial " + text);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  connecting_ = true;
  const auto* to = reinterpret_cast<const sockaddr*>(&*address);
  if (::connect(fd_, to, sizeof *address) == 0) return Greet();
  if (errno != EINPROGRESS) Drop(std::strerror(errno));
}

void Client::Greet() {
  connecting_ = false;
  Connect connect;
  connect.set_token(options_.token);
  connect.set_device(options_.device);
  connect.set_platform(options_.platform);
  for (const std::int32_t op : options_.accepts)
    connect.add_accepts(op);
  for (const auto& [room, timeline] : timelines_) {
    if (room == inbox_) {
      *connect.mutable_inbox() = timeline.cursor();
    } else if (connect.ByteSizeLong() < kRoomsBytes) {
      *connect.add_rooms() = timeline.cursor();
    } else {
      join_again_.insert(room);  // when we are up
    }
  }
  Send(wire::kOpConnect, connect);
}

void Client::Drop(const std::string& why) {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  connecting_ = false;
  in_.clear();
  out_.clear();
  join_again_.clear();
  ask_again_ms_ = 0;
  for (auto& [room, timeline] : timelines_)
    timeline.OnDown();
  if (up_ && now_ms_ - up_ms_ >= kSteadyMs) backoff_ms_ = 0;
  backoff_ms_ = std::clamp(backoff_ms_ * 2, options_.backoff_first_ms, options_.backoff_max_ms);
  const std::int64_t advised = std::exchange(advised_ms_, 0);
  const std::int64_t bound = advised > 0 ? advised : backoff_ms_;
  dial_at_ms_ =
      now_ms_ + advised +
      std::uniform_int_distribution<std::int64_t>(0, std::max<std::int64_t>(bound, 1))(random_);
  up_ = false;
  if (events_.down) events_.down(why);
}

short Client::events() const {
  const bool write = connecting_ || !out_.empty();
  return static_cast<short>(POLLIN | (write ? POLLOUT : 0));
}

void Client::OnReady() {
  if (fd_ < 0) return;
  if (connecting_) {
    pollfd one{fd_, POLLOUT, 0};
    if (::poll(&one, 1, 0) == 0) return;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return Drop(std::strerror(error));
    Greet();
  }
  Flush();
  Read();
}

void Client::Tick(std::int64_t now_ms) {
  now_ms_ = now_ms;
  if (over_ || options_.addresses.empty()) return;
  if (fd_ < 0) {
    if (now_ms >= dial_at_ms_) Dial();
    return;
  }
  if (!up_ && now_ms - dialled_ms_ > options_.answer_ms) return Drop("no answer in time");
  if (up_ && say_again_ms_ > 0 && now_ms >= say_again_ms_) SayAgain();
  if (up_ && ask_again_ms_ > 0 && now_ms >= ask_again_ms_) AskAgain();
  if (up_ && now_ms >= beat_at_ms_) {
    beat_at_ms_ = now_ms + heartbeat_ms_ / 2;
    Send(wire::kOpBeat, Beat());
  }
}

void Client::Send(std::int32_t op, const google::protobuf::MessageLite& body) {
  const std::string bytes = body.SerializeAsString();
  seq_ = seq_ == 0x7fffffff ? 1 : seq_ + 1;
  wire::AppendHeader(&out_, 2, op, seq_, bytes.size());
  out_ += bytes;
  Flush();
}

void Client::Flush() {
  while (fd_ >= 0 && !connecting_ && !out_.empty()) {
    const ssize_t n = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n > 0) {
      out_.erase(0, static_cast<std::size_t>(n));
    } else {
      return;  // what is wrong shows when it is read
    }
  }
}

void Client::Read() {
  char buffer[65536];
  while (fd_ >= 0) {
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return Drop(n == 0 ? "closed" : std::strerror(errno));
    in_.append(buffer, static_cast<std::size_t>(n));
    while (fd_ >= 0 && TakePackage()) {
    }
  }
}

bool Client::TakePackage() {
  if (in_.size() < wire::kHeaderBytes) return false;
  const std::size_t size = GetU32(in_.data());
  if (size < wire::kHeaderBytes || size > options_.package_bytes_max) {
    Drop("a package that makes no sense");
    return false;
  }
  if (in_.size() < size) return false;
  const auto op = static_cast<std::int32_t>(GetU32(in_.data() + 8));
  const std::string body = in_.substr(wire::kHeaderBytes, size - wire::kHeaderBytes);
  in_.erase(0, size);
  OnPackage(op, body);
  return true;
}

// ---- what the server says -----------------------------------------------------------------------

void Client::OnPackage(std::int32_t op, std::string_view body) {
  switch (op) {
    case wire::kOpConnectReply:
      OnConnected(body);
      break;
    case wire::kOpJoinReply: {
      const auto reply = client::Read<JoinReply>(body);
      for (const Joined& joined : reply.rooms())
        OnJoined(joined);
      break;
    }
    case wire::kOpLeaveReply: {
      const auto reply = client::Read<LeaveReply>(body);
      for (const std::string& room : reply.rooms())
        timelines_.erase(room);
      break;
    }
    case wire::kOpPublishReply: {
      const auto reply = client::Read<PublishReply>(body);
      if (MayPass(reply.error())) {
        say_again_ms_ = now_ms_ + std::max(reply.error().after_ms(), kAgainMs);
        break;
      }
      if (unanswered_.erase(reply.client_id()) > 0 && events_.published) events_.published(reply);
      break;
    }
    case wire::kOpSyncReply: {
      const auto reply = client::Read<SyncReply>(body);
      const auto at = timelines_.find(reply.room());
      if (at != timelines_.end()) at->second.OnSync(reply);
      if (MayPass(reply.error())) Later(reply.error());
      break;
    }
    case wire::kOpBeatReply:
      OnHeads(body);
      break;
    case wire::kOpPush:
      Route(client::Read<Push>(body));
      break;
    case wire::kOpGap: {
      const auto gap = client::Read<Gap>(body);
      const auto at = timelines_.find(gap.room());
      if (gap.from() == 0 && events_.lost) events_.lost(gap);
      if (at != timelines_.end()) at->second.OnGap(gap);
      break;
    }
    case wire::kOpClose:
      return OnClose(body);
    default:
      break;
  }
  SendSyncs();
}

void Client::OnConnected(std::string_view body) {
  const auto reply = client::Read<ConnectReply>(body);
  up_ = true;
  up_ms_ = now_ms_;
  heartbeat_ms_ = std::max<std::int64_t>(reply.heartbeat_ms(), 1'000);
  beat_at_ms_ =
      now_ms_ + std::uniform_int_distribution<std::int64_t>(0, heartbeat_ms_ / 2)(random_);
  inbox_ = reply.inbox().room();
  if (reply.inbox().kept()) OnJoined(reply.inbox());
  for (const Joined& joined : reply.rooms())
    OnJoined(joined);
  if (events_.up) events_.up(reply);
  if (!join_again_.empty() && ask_again_ms_ == 0) AskAgain();
  SayAgain();
}

// Not all of us at the same moment.
void Client::Later(const Error& error) {
  const std::int64_t wait = std::max(error.after_ms(), kAgainMs);
  const auto more = std::uniform_int_distribution<std::int64_t>(0, wait)(random_);
  if (ask_again_ms_ == 0) ask_again_ms_ = now_ms_ + wait + more;
}

void Client::AskAgain() {
  ask_again_ms_ = 0;
  std::vector<Cursor> cursors;
  for (const std::string& room : std::exchange(join_again_, {}))
    cursors.push_back(cursor(room));
  SendJoins(cursors);
  for (auto& [room, timeline] : timelines_)
    timeline.Retry();
  SendSyncs();
}

// What was not answered; the server publishes it once.
void Client::SayAgain() {
  say_again_ms_ = 0;
  for (const auto& [id, publish] : unanswered_)
    Send(wire::kOpPublish, publish);
}

// A backend may put us into a room that we did not ask for.
void Client::OnJoined(const Joined& joined) {
  if (MayPass(joined.error()) && timelines_.contains(joined.room())) {
    join_again_.insert(joined.room());
    return Later(joined.error());
  }
  if (joined.has_error()) return;
  Make(joined.room(), 0, 0).OnJoined(joined);
}

void Client::OnHeads(std::string_view body) {
  const auto reply = client::Read<BeatReply>(body);
  for (const Head& head : reply.heads()) {
    const auto at = timelines_.find(head.room());
    if (at != timelines_.end()) at->second.OnHead(head.epoch(), head.seq());
  }
}

void Client::Route(const Push& push) {
  if (push.seq() == 0) return events_.push(push);
  if (push.room().starts_with("user://")) Make(push.room(), 0, 0);  // may overtake the first reply
  const auto at = timelines_.find(push.room());
  if (at != timelines_.end()) at->second.OnPush(push);
}

void Client::OnClose(std::string_view body) {
  const auto close = client::Read<Close>(body);
  over_ = !close.may_return();
  advised_ms_ = close.after_ms();
  Drop(close.name() + ": " + close.text());
}

void Client::SendSyncs() {
  if (!up_) return;
  for (auto& [room, timeline] : timelines_)
    if (const auto sync = timeline.TakeSync()) Send(wire::kOpSync, *sync);
}

}  // namespace encke::client
