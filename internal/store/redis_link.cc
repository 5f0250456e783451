#include "store/redis_link.h"

#include <algorithm>
#include <cassert>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <hiredis/async.h>
#include <poll.h>
#include <unistd.h>

#include "base/log.h"

namespace encke::store {

namespace {

constexpr Duration kBackOffMin{50};

std::int64_t Micros(Duration time) { return time.count() * 1000; }

Reply CopyReply(const redisReply& raw) {
  Reply reply;
  switch (raw.type) {
    case REDIS_REPLY_INTEGER:
      reply.kind = Reply::Kind::kInteger;
      reply.integer = raw.integer;
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:  // inside a list only: Read() makes an Error of one at the top
      reply.kind = Reply::Kind::kText;
      reply.text.assign(raw.str, raw.len);
      break;
    case REDIS_REPLY_ARRAY:
      reply.kind = Reply::Kind::kList;
      reply.list.reserve(raw.elements);
      for (std::size_t i = 0; i < raw.elements; ++i)
        reply.list.push_back(CopyReply(*raw.element[i]));
      break;
    default:
      break;
  }
  return reply;
}

bool StartsWith(const std::string& text, std::string_view head) {
  return text.compare(0, head.size(), head) == 0;
}

// "ERR" and "WRONGTYPE" are our mistakes; the other words say that the server cannot now.
Error ReadError(const std::string& text) {
  const bool ours = StartsWith(text, "ERR ") || StartsWith(text, "WRONGTYPE ");
  return {ours ? Errc::kInvalid : Errc::kUnavailable, text};
}

// host:port or [v6]:port.
bool SplitAddress(const std::string& address, std::string* host, int* port) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) return false;
  *host = address.substr(0, colon);
  if (host->size() > 2 && host->front() == '[') *host = host->substr(1, host->size() - 2);
  *port = std::atoi(address.c_str() + colon + 1);
  return true;
}

// hiredis writes without MSG_NOSIGNAL; on this thread a broken pipe is an error, not a signal.
void BlockBrokenPipe() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

struct RedisLink::Hooks {
  static RedisLink& Self(void* data) { return *static_cast<RedisLink*>(data); }

  static void Attach(redisAsyncContext* context, RedisLink* self) {
    context->data = self;
    context->ev.data = self;
    context->ev.addRead = [](void* data) { Self(data).want_read_ = true; };
    context->ev.delRead = [](void* data) { Self(data).want_read_ = false; };
    context->ev.addWrite = [](void* data) { Self(data).want_write_ = true; };
    context->ev.delWrite = [](void* data) { Self(data).want_write_ = false; };
    context->ev.cleanup = Cleanup;
  }

  // The one place where a context goes, whatever the reason; its callbacks were all called.
  static void Cleanup(void* data) {
    RedisLink& self = Self(data);
    self.context_ = nullptr;
    self.want_read_ = self.want_write_ = false;
    self.up_ = false;
    if (!self.shut_) self.BackOff();
  }

  static void OnConnected(const redisAsyncContext* context, int status) {
    RedisLink& self = Self(context->data);
    if (status == REDIS_OK) return self.HandShake();
    log::Warn("redis.connect address={} why=\"{}\"", self.options_.address, context->errstr);
  }

  static void OnDisconnected(const redisAsyncContext* context, int status) {
    if (status != REDIS_OK) log::Warn("redis.disconnect why=\"{}\"", context->errstr);
  }

  static void OnReply(redisAsyncContext* context, void* reply, void*) {
    Self(context->data).OnCommandReply(reply);
  }
};

RedisLink::RedisLink(const RedisOptions& options, int wake_fd)
    : options_(options), wake_fd_(wake_fd) {}

RedisLink::~RedisLink() { assert(context_ == nullptr && flying_.empty() && waiting_.empty()); }

void RedisLink::Take(Command command) {
  owner_.Check();
  if (up()) return Send(std::move(command));
  waiting_.push_back(std::move(command));
}

void RedisLink::OnConnect(std::function<void()> act) {
  owner_.Check();
  if (up()) act();
  on_connect_.push_back(std::move(act));
}

void RedisLink::Turn() {
  owner_.Check();
  std::int64_t now = MonotonicUs();
  if (context_ == nullptr && now >= retry_at_us_) Connect(now);
  pollfd fds[2] = {{wake_fd_, POLLIN, 0}, {-1, 0, 0}};
  if (context_ != nullptr) {
    fds[1].fd = context_->c.fd;
    fds[1].events = static_cast<short>((want_read_ ? POLLIN : 0) | (want_write_ ? POLLOUT : 0));
  }
  poll(fds, 2, PollTimeout(now));
  if (fds[0].revents != 0) {
    std::uint64_t wakes = 0;
    [[maybe_unused]] const auto got = read(wake_fd_, &wakes, sizeof(wakes));
  }
  const short ready = fds[1].revents;
  if (context_ != nullptr && (ready & (POLLIN | POLLHUP | POLLERR)) != 0) {
    redisAsyncHandleRead(context_);
  }
  if (context_ != nullptr && (ready & POLLOUT) != 0) redisAsyncHandleWrite(context_);
  Expire(MonotonicUs());
}

void RedisLink::Shut() {
  owner_.Check();
  shut_ = true;
  if (context_ != nullptr) redisAsyncFree(context_);
  while (!waiting_.empty()) {
    Command command = std::move(waiting_.front());
    waiting_.pop_front();
    Answer(command, Error{Errc::kClosed, "stopping"});
  }
}

void RedisLink::Connect(std::int64_t now_us) {
  BlockBrokenPipe();
  std::string host;
  int port = 0;
  if (!SplitAddress(options_.address, &host, &port)) {
    log::Error("redis.connect address={} why=\"not host:port\"", options_.address);
    return BackOff();
  }
  timed_out_ = false;
  scripts_.clear();
  drop_.clear();
  connect_deadline_us_ = now_us + Micros(options_.timeout);
  redisAsyncContext* context = redisAsyncConnect(host.c_str(), port);
  if (context == nullptr) return BackOff();
  if (context->err != 0) {
    log::Warn("redis.connect address={} why=\"{}\"", options_.address, context->errstr);
    redisAsyncFree(context);
    return BackOff();
  }
  context_ = context;
  Hooks::Attach(context, this);
  redisAsyncSetConnectCallback(context, Hooks::OnConnected);  // this asks for the first write event
  redisAsyncSetDisconnectCallback(context, Hooks::OnDisconnected);
}

// PING goes last: a server that is still loading its data, or a replica without a master, says so.
void RedisLink::HandShake() {
  const auto greet = [this](std::vector<std::string> arguments, const char* step, bool last) {
    Command command;
    command.arguments = std::move(arguments);
    command.hand_shake = true;
    command.posted_us = MonotonicUs();
    command.done = [this, step, last](const Result<Reply>& reply) { Greeted(step, reply, last); };
    load_.fetch_add(1);
    Send(std::move(command));
  };
  if (!options_.password.empty()) greet({"AUTH", options_.password}, "auth", false);
  if (options_.database != 0) greet({"SELECT", std::to_string(options_.database)}, "select", false);
  greet({"PING"}, "ping", true);
}

void RedisLink::Greeted(const char* step, const Result<Reply>& reply, bool last) {
  if (!reply) return Drop(std::string(step) + ": " + reply.error().text);
  if (!last || !drop_.empty()) return;
  log::Info("redis.connected address={}", options_.address);
  up_ = true;
  back_off_ = Duration(0);
  counts_.reconnects.Add();
  while (!waiting_.empty()) {
    Command command = std::move(waiting_.front());
    waiting_.pop_front();
    Send(std::move(command));
  }
  for (auto& act : on_connect_)
    act();
}

void RedisLink::Drop(std::string why) {
  if (drop_.empty()) drop_ = std::move(why);
}

void RedisLink::BackOff() {
  back_off_ = std::clamp(back_off_ * 2, kBackOffMin, std::max(kBackOffMin, options_.reconnect_max));
  retry_at_us_ = MonotonicUs() + Micros(back_off_);
}

void RedisLink::Send(Command command) {
  if (command.script != nullptr) {
    command.by_text = scripts_.insert(command.script->sha).second;
    command.arguments[0] = command.by_text ? "EVAL" : "EVALSHA";
    command.arguments[1] = command.by_text ? command.script->text : command.script->sha;
  }
  std::vector<const char*> pointers;
  std::vector<std::size_t> lengths;
  pointers.reserve(command.arguments.size());
  lengths.reserve(command.arguments.size());
  for (const std::string& argument : command.arguments) {
    pointers.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  flying_.push_back(std::move(command));
  const int sent =
      redisAsyncCommandArgv(context_, Hooks::OnReply, nullptr, static_cast<int>(pointers.size()),
                            pointers.data(), lengths.data());
  assert(sent == REDIS_OK);  // refused only while disconnecting, and then up() is false
}

// Replies come in the order of the commands; null when the connection went.
void RedisLink::OnCommandReply(void* raw) {
  assert(!flying_.empty());
  Command command = std::move(flying_.front());
  flying_.pop_front();
  if (raw == nullptr) {
    up_ = false;  // what the callback below asks for must wait for the next connection
    return Answer(command, WhyLost());
  }
  const auto& reply = *static_cast<redisReply*>(raw);
  if (reply.type != REDIS_REPLY_ERROR) return Answer(command, CopyReply(reply));
  const std::string text(reply.str, reply.len);
  if (command.script != nullptr && !command.by_text && StartsWith(text, "NOSCRIPT")) {
    scripts_.erase(command.script->sha);
    return Send(std::move(command));
  }
  // The master became a replica: perhaps the address leads to another server by now.
  if (StartsWith(text, "READONLY")) Drop(text);
  Answer(command, ReadError(text));
}

Error RedisLink::WhyLost() const {
  if (shut_) return {Errc::kClosed, "stopping"};
  if (timed_out_) return {Errc::kTimeout, "Redis did not answer in time"};
  return {Errc::kUnavailable, "the connection to Redis was lost"};
}

void RedisLink::Answer(const Command& command, Result<Reply> reply) {
  load_.fetch_sub(1);
  if (!command.hand_shake) {
    counts_.latency_us.Observe(static_cast<std::uint64_t>(MonotonicUs() - command.posted_us));
    if (!reply) counts_.errors.Add();
    if (!reply && reply.error().code == Errc::kTimeout) counts_.timeouts.Add();
  }
  command.done(std::move(reply));
}

// All commands have the same patience, so the oldest is the first of each queue.
void RedisLink::Expire(std::int64_t now_us) {
  const std::int64_t patience = Micros(options_.timeout);
  if (context_ != nullptr && !up() && now_us >= connect_deadline_us_) Drop("connect: timeout");
  if (!flying_.empty() && now_us - flying_.front().posted_us >= patience) {
    timed_out_ = true;
    Drop("a command was not answered in time");
  }
  if (context_ != nullptr && !drop_.empty()) {
    log::Warn("redis.drop address={} why=\"{}\"", options_.address, drop_);
    redisAsyncFree(context_);
  }
  while (!waiting_.empty() && now_us - waiting_.front().posted_us >= patience) {
    Command command = std::move(waiting_.front());
    waiting_.pop_front();
    Answer(command, Error{Errc::kUnavailable, "Redis is away"});
  }
}

int RedisLink::PollTimeout(std::int64_t now_us) const {
  std::int64_t next = now_us + 60'000'000;
  const std::int64_t patience = Micros(options_.timeout);
  if (context_ == nullptr) next = std::min(next, retry_at_us_);
  if (context_ != nullptr && !up()) next = std::min(next, connect_deadline_us_);
  if (!flying_.empty()) next = std::min(next, flying_.front().posted_us + patience);
  if (!waiting_.empty()) next = std::min(next, waiting_.front().posted_us + patience);
  return static_cast<int>(std::max<std::int64_t>(0, (next - now_us + 999) / 1000));
}

}  // namespace encke::store
