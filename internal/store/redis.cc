#include "store/redis.h"

#include <cassert>
#include <thread>
#include <utility>

#include <openssl/evp.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/config.h"
#include "base/threads.h"
#include "store/redis_link.h"

namespace encke::store {

namespace {

struct Inbox {
  std::vector<RedisLink::Command> commands;
  std::vector<std::function<void()>> on_connect;
  bool stopped = false;
};

}  // namespace

void ReadRedis(ConfigReader& in, RedisOptions* out) {
  in.Key("redis.address", &out->address);
  in.Key("redis.password", &out->password);
  in.Key("redis.database", &out->database, 0, 1023);
  in.Key("redis.timeout", &out->timeout, Duration(10), Duration(60'000));
  in.Key("redis.reconnect_max", &out->reconnect_max, Duration(50), Duration(60'000));
  in.Key("redis.commands_max", &out->commands_max, 100, 10'000'000);
}

class Redis::Impl {
 public:
  explicit Impl(const RedisOptions& options)
      : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        commands_max_(options.commands_max),
        link_(options, wake_fd_),
        thread_([this] { Run(); }) {
    assert(wake_fd_ >= 0);
  }

  ~Impl() {
    Stop();
    close(wake_fd_);
  }

  void Stop() {
    inbox_.With([](Inbox& inbox) { inbox.stopped = true; });
    Wake();
    if (thread_.joinable()) thread_.join();
  }

  void Post(RedisLink::Command command) {
    command.posted_us = MonotonicUs();
    link_.counts().commands.Add();
    if (link_.load().fetch_add(1) >= commands_max_) {
      return Refuse(command, Errc::kOverloaded, "too many commands wait for Redis");
    }
    enum class Put : std::uint8_t { kFirst, kMore, kStopped };
    const Put put = inbox_.With([&](Inbox& inbox) {
      if (inbox.stopped) return Put::kStopped;
      inbox.commands.push_back(std::move(command));
      return inbox.commands.size() == 1 ? Put::kFirst : Put::kMore;
    });
    if (put == Put::kStopped) return Refuse(command, Errc::kClosed, "stopping");
    if (put == Put::kFirst) Wake();
  }

  void OnConnect(std::function<void()> act) {
    inbox_.With([&](Inbox& inbox) { inbox.on_connect.push_back(std::move(act)); });
    Wake();
  }

  RedisLink& link() { return link_; }

 private:
  void Refuse(RedisLink::Command& command, Errc code, const char* why) {
    link_.load().fetch_sub(1);
    link_.counts().errors.Add();
    command.done(Error{code, why});
  }

  void Wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wake_fd_, &one, sizeof(one));
  }

  void Run() {
    NameThread("redis");
    while (true) {
      Inbox taken;
      inbox_.With([&](Inbox& inbox) {
        taken.commands.swap(inbox.commands);
        taken.on_connect.swap(inbox.on_connect);
        taken.stopped = inbox.stopped;
      });
      for (auto& act : taken.on_connect)
        link_.OnConnect(std::move(act));
      for (auto& command : taken.commands)
        link_.Take(std::move(command));
      if (taken.stopped) break;
      link_.Turn();
    }
    link_.Shut();
  }

  const int wake_fd_;
  const std::size_t commands_max_;
  RedisLink link_;
  Guarded<Inbox> inbox_;
  std::thread thread_;  // last: it uses everything above
};

Redis::Redis(const RedisOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Redis::~Redis() = default;

void Redis::Stop() { impl_->Stop(); }

void Redis::Call(std::vector<std::string> arguments, OnReply done) {
  assert(!arguments.empty());
  RedisLink::Command command;
  command.arguments = std::move(arguments);
  command.done = std::move(done);
  impl_->Post(std::move(command));
}

Redis::Script Redis::MakeScript(std::string name, std::string text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  const int hashed =
      EVP_Digest(text.data(), text.size(), digest, &length, EVP_sha1(), /*engine=*/nullptr);
  assert(hashed == 1);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string sha;
  for (unsigned i = 0; i < length; ++i) {
    sha += kHex[digest[i] >> 4];
    sha += kHex[digest[i] & 15];
  }
  return {std::move(name), std::move(text), std::move(sha)};
}

void Redis::Eval(const Script& script,
                 std::vector<std::string> keys,
                 std::vector<std::string> arguments,
                 OnReply done) {
  RedisLink::Command command;
  command.arguments.reserve(3 + keys.size() + arguments.size());
  command.arguments.emplace_back();  // EVAL or EVALSHA, and the script or its hash: when it leaves
  command.arguments.emplace_back();
  command.arguments.push_back(std::to_string(keys.size()));
  for (auto& key : keys)
    command.arguments.push_back(std::move(key));
  for (auto& argument : arguments)
    command.arguments.push_back(std::move(argument));
  command.script = &script;
  command.done = std::move(done);
  impl_->Post(std::move(command));
}

bool Redis::connected() const { return impl_->link().up(); }
void Redis::OnConnect(std::function<void()> act) { impl_->OnConnect(std::move(act)); }
const RedisCounts& Redis::counts() const { return impl_->link().counts(); }

}  // namespace encke::store
