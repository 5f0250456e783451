#include "bus/registry.h"

#include <atomic>
#include <cassert>
#include <cerrno>
#include <set>
#include <thread>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/threads.h"
#include "bus/kv.h"

namespace encke::bus {
namespace {

constexpr const char* kBucket = "encke_registry";
// How long a new watcher or an expiry may go unnoticed.  Watchers come when a daemon starts; later
// nobody waits, and an idle daemon sleeps.
constexpr std::int64_t kYoungSliceMs = 50;
constexpr std::int64_t kSliceMs = 250;
constexpr std::int64_t kYoungMs = 5'000;
constexpr int kMessagesPerTurn = 1000;  // then the clock is looked at again
constexpr Duration kPictureRetry{500};
constexpr int kKnockMs = 300;

// Nobody listens there any more: a killed process.  A host that does not answer proves nothing.
bool Refuses(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return true;  // it never had a door: nothing hangs on it
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string host = address.substr(0, colon);
  if (getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) != 0) return false;
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int error = 0;
  if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) error = errno;
  freeaddrinfo(found);
  pollfd door{fd, POLLOUT, 0};
  if (error == EINPROGRESS && poll(&door, 1, kKnockMs) > 0) {
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  close(fd);
  return error == ECONNREFUSED;
}

struct Watcher {
  std::string kind;
  std::function<void(const std::vector<Instance>&)> changed;
  bool called = false;
  std::string picture;  // what it was told last
};

struct Voice {
  std::function<Instance()> describe;  // empty: silent
  std::string key;                     // of what was put
};

}  // namespace

class Registry::Impl {
 public:
  Impl(Nats& nats, const RegistryOptions& options)
      : nats_(nats),
        options_(options),
        kv_(nats, kBucket, nats.options().call_timeout),
        roster_(fleet::Roster(options)) {
    natsSubscription* raw = nullptr;
    const natsStatus s = natsConnection_SubscribeSync(&raw, NatsHandles::Connection(nats),
                                                      (kv_.prefix() + Wanted() + ">").c_str());
    assert(s == NATS_OK);  // works without a connection too
    puts_.reset(raw);
    listener_ = std::thread([this] { Listen(); });
    speaker_ = std::thread([this] { Speak(); });
  }

  ~Impl() {
    stopping_ = true;
    pause_.Stop();
    rhythm_.Stop();
    speaker_.join();
    listener_.join();
    Withdraw();
    natsSubscription_Unsubscribe(puts_.get());
  }

  void Announce(std::function<Instance()> describe) {
    voice_.With([&](Voice& voice) { voice.describe = std::move(describe); });
    rhythm_.Wake();
  }
  void AnnounceNow() { rhythm_.Wake(); }

  // Waits for a put that is under way, so that the goodbye is the last word.
  void Withdraw() {
    voice_.With([&](Voice& voice) {
      voice.describe = nullptr;
      if (voice.key.empty()) return;
      if (auto s = kv_.Delete(voice.key); !s) {
        log::Warn("registry.goodbye_failed key={} why=\"{}\"", voice.key, s.error().text);
      }
      voice.key.clear();
    });
  }

  void Watch(const std::string& kind, std::function<void(const std::vector<Instance>&)> changed) {
    arriving_.With([&](auto& watchers) {
      watchers.push_back(Watcher{kind, std::move(changed), false, {}});
    });
  }
  std::vector<Instance> List(const std::string& kind) const {
    return roster_.With([&](const fleet::Roster& roster) { return roster.List(kind); });
  }
  bool synced() const { return synced_; }

 private:
  std::string Wanted() const { return options_.hear.empty() ? "" : options_.hear + "."; }

  void Speak() {
    NameThread("bus.announce");
    while (rhythm_.Wait(options_.put_interval)) {
      voice_.With([&](Voice& voice) {
        if (voice.describe) Put(voice);
      });
    }
  }

  void Put(Voice& voice) {
    Instance instance = voice.describe();
    instance.set_updated_ns(WallUs() * 1000);
    voice.key = fleet::RegistryKey(instance.kind(), instance.id());
    if (!nats_.connected()) return;
    if (auto stored = kv_.Put(voice.key, instance.SerializeAsString()); !stored) {
      log::WarnSome(put_lines_, "registry.put_failed key={} why=\"{}\"", voice.key,
                    stored.error().text);
    }
  }

  void Listen() {
    NameThread("bus.registry");
    std::vector<Watcher> watchers;
    std::int64_t next_try_ms = 0;
    while (!stopping_) {
      HearPuts();
      const std::int64_t now_ms = MonotonicMs();
      if (!nats_.connected()) {
        roster_.With([&](fleet::Roster& roster) { roster.Deaf(now_ms); });
      } else if (!synced_ && now_ms >= next_try_ms) {
        synced_ = LoadPicture();
        next_try_ms = now_ms + kPictureRetry.count();
      }
      Expire(now_ms);
      if (synced_) Tell(watchers);
    }
  }

  void HearPuts() {
    std::int64_t wait_ms = MonotonicMs() - born_ms_ < kYoungMs ? kYoungSliceMs : kSliceMs;
    for (int i = 0; i < kMessagesPerTurn; ++i) {
      natsMsg* raw = nullptr;
      const natsStatus s = natsSubscription_NextMsg(&raw, puts_.get(), wait_ms);
      if (s == NATS_OK) {
        const MsgHandle msg(raw);
        const std::string_view subject = natsMsg_GetSubject(raw);
        Heard(std::string(subject.substr(kv_.prefix().size())), DataOf(raw), Kv::IsDeletion(raw));
        wait_ms = 0;  // then only what is here already
        continue;
      }
      // Closed for good (refused by the server): do not spin.
      if (s != NATS_TIMEOUT) pause_.Wait(Duration(wait_ms));
      return;
    }
  }

  void Heard(const std::string& key, std::string_view value, bool goodbye) {
    Instance instance;
    if (!goodbye && !instance.ParseFromArray(value.data(), static_cast<int>(value.size()))) return;
    roster_.With([&](fleet::Roster& roster) {
      if (goodbye) return roster.Goodbye(key);
      roster.Heard(key, std::move(instance), MonotonicMs());
    });
  }

  // What the bucket knows.  An entry much older than the newest one belongs to a daemon that died
  // before we came; both times are the server's, so no two clocks are compared.
  bool LoadPicture() {
    auto keys = kv_.Keys();
    if (!keys) return false;
    std::vector<std::pair<std::string, Kv::Entry>> entries;
    std::int64_t newest_ns = 0;
    for (const std::string& key : *keys) {
      if (!key.starts_with(Wanted())) continue;
      auto entry = kv_.Get(key);
      if (!entry && entry.error().code == Errc::kNotFound) continue;
      if (!entry) return false;
      newest_ns = std::max(newest_ns, entry->stored_ns);
      if (!entry->deleted) entries.emplace_back(key, std::move(*entry));
    }
    const std::int64_t expire_ns = options_.expire.count() * 1'000'000;
    for (const auto& [key, entry] : entries) {
      if (newest_ns - entry.stored_ns < expire_ns) Heard(key, entry.value, false);
    }
    HearPuts();  // what was said meanwhile is newer
    return true;
  }

  void Expire(std::int64_t now_ms) {
    const auto suspects =
        roster_.With([&](const fleet::Roster& roster) { return roster.Suspects(now_ms); });
    std::set<std::string> dead;
    for (const Instance& suspect : suspects)
      if (Refuses(suspect.grpc())) dead.insert(fleet::RegistryKey(suspect.kind(), suspect.id()));
    if (!dead.empty()) log::Info("registry.dead refused={}", dead.size());
    const int doubted =
        roster_.With([&](fleet::Roster& roster) { return roster.Expire(now_ms, dead); });
    if (doubted > 0) log::Warn("registry.distrusted silent={}", doubted);
  }

  void Tell(std::vector<Watcher>& watchers) {
    for (Watcher& fresh :
         arriving_.With([](auto& arrived) { return std::exchange(arrived, {}); })) {
      watchers.push_back(std::move(fresh));
    }
    for (Watcher& watcher : watchers) {
      std::string picture =
          roster_.With([&](const fleet::Roster& roster) { return roster.Picture(watcher.kind); });
      if (watcher.called && picture == watcher.picture) continue;
      watcher.called = true;
      watcher.picture = std::move(picture);
      watcher.changed(List(watcher.kind));  // only this thread changes the roster
    }
  }

  Nats& nats_;
  const RegistryOptions options_;
  Kv kv_;
  SubHandle puts_;
  Guarded<fleet::Roster> roster_;
  Guarded<std::vector<Watcher>> arriving_;
  Guarded<Voice> voice_;
  std::atomic<bool> synced_{false};
  const std::int64_t born_ms_ = MonotonicMs();
  std::atomic<bool> stopping_{false};
  log::RateLimit put_lines_{1};
  Pulse pause_;   // of the listener
  Pulse rhythm_;  // of the speaker
  std::thread listener_;
  std::thread speaker_;
};

Registry::Registry(Nats& nats, const RegistryOptions& options)
    : impl_(std::make_unique<Impl>(nats, options)) {}
Registry::~Registry() = default;

void Registry::Announce(std::function<Instance()> describe) {
  impl_->Announce(std::move(describe));
}
void Registry::AnnounceNow() { impl_->AnnounceNow(); }
void Registry::Withdraw() { impl_->Withdraw(); }
void Registry::Watch(const std::string& kind,
                     std::function<void(const std::vector<Instance>&)> changed) {
  impl_->Watch(kind, std::move(changed));
}
std::vector<Instance> Registry::List(const std::string& kind) const { return impl_->List(kind); }
bool Registry::synced() const { return impl_->synced(); }

}  // namespace encke::bus
