#include "presence/session_door.h"

#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/threads.h"
#include "presence/comet_stream.h"

namespace encke::presence {

class SessionDoor::Impl {
 public:
  Impl(auth::Auth& auth, SessionPorts& ports, const SessionDoorOptions& options)
      : world_{auth,
               ports,
               options,
               {},
               [this] { return MustAnnounce(); },
               [this](CometStream* stream) { Forget(stream); }} {
    if (options.tick.count() > 0) thread_ = std::thread([this] { Run(); });
  }

  ~Impl() { StopTicking(); }

  std::shared_ptr<rpc::SessionServerUser> Accept(std::shared_ptr<rpc::StreamHandle> handle) {
    auto stream = std::make_shared<CometStream>(world_, std::move(handle));
    const bool taken = streams_.With([&](Streams& streams) {
      if (!streams.closing) streams.open.emplace(stream.get(), stream);
      return !streams.closing;
    });
    if (!taken) return nullptr;
    world_.counts.streams_opened.Add();
    world_.counts.streams.Add(1);
    return stream;
  }

  void Tick() {
    world_.ports.CheckMemory([this](Result<store::Sessions::Memory> memory) {
      if (memory) OnMemory(*memory);
    });
    const RoomTotals::Sum rooms = world_.ports.Rooms();
    const std::int64_t now_ms = MonotonicMs();
    for (const auto& stream : Open())
      stream->Tick(rooms, now_ms);
  }

  bool Close(Duration patience) {
    StopTicking();
    streams_.With([](Streams& streams) { streams.closing = true; });
    for (const auto& stream : Open())
      stream->Close();
    const std::int64_t deadline_ms = MonotonicMs() + patience.count();
    while (!Open().empty()) {
      const std::int64_t left_ms = deadline_ms - MonotonicMs();
      if (left_ms <= 0) return false;
      gone_.Wait(Duration(left_ms));
    }
    return true;
  }

  const SessionCounts& counts() const { return world_.counts; }

 private:
  struct Streams {
    std::map<CometStream*, std::weak_ptr<CometStream>> open;
    bool closing = false;
  };
  struct Memory {
    std::string name;  // empty: Redis was not asked yet
    std::int64_t sure_since_ms = 0;
  };

  void Run() {
    NameThread("sessions");
    while (pulse_.Wait(world_.options.tick))
      Tick();
  }

  void StopTicking() {
    pulse_.Stop();
    if (thread_.joinable()) thread_.join();
  }

  // All sessions are in Redis again when it has been sure of itself for a session's whole life.
  bool MustAnnounce() {
    return memory_.With([&](const Memory& memory) {
      return !memory.name.empty() &&
             MonotonicMs() - memory.sure_since_ms < world_.options.session_expire.count();
    });
  }

  // A Redis that is younger than a session may have lost some before we came: it is the normal case
  // when everything is fresh.
  void OnMemory(const store::Sessions::Memory& seen) {
    enum class Loss : std::uint8_t { kNone, kPossible, kSeen };
    const Loss loss = memory_.With([&](Memory& memory) {
      if (memory.name == seen.name) return Loss::kNone;
      const bool known_before = !std::exchange(memory.name, seen.name).empty();
      memory.sure_since_ms = MonotonicMs() - seen.age.count();
      if (known_before) return Loss::kSeen;
      return seen.age < world_.options.session_expire ? Loss::kPossible : Loss::kNone;
    });
    const auto streams = Open();
    if (loss == Loss::kNone || streams.empty()) return;  // who comes later is told when it comes
    world_.counts.announces.Add();
    if (loss == Loss::kSeen) {
      log::Warn("session.announce why=\"Redis was restarted or emptied\"");
    } else {
      log::Info("session.announce why=\"Redis is {} s old, younger than a session may be\"",
                seen.age.count() / 1000);
    }
    for (const auto& stream : streams)
      stream->Announce();
  }

  std::vector<std::shared_ptr<CometStream>> Open() {
    return streams_.With([](const Streams& streams) {
      std::vector<std::shared_ptr<CometStream>> all;
      for (const auto& [raw, weak] : streams.open)
        if (auto stream = weak.lock()) all.push_back(std::move(stream));
      return all;
    });
  }

  void Forget(CometStream* stream) {
    streams_.With([&](Streams& streams) { streams.open.erase(stream); });
    world_.counts.streams.Add(-1);
    gone_.Wake();
  }

  CometStream::World world_;
  Guarded<Streams> streams_;
  Guarded<Memory> memory_;
  Pulse gone_, pulse_;
  std::thread thread_;
};

SessionDoor::SessionDoor(auth::Auth& auth, SessionPorts& ports, const SessionDoorOptions& options)
    : impl_(std::make_unique<Impl>(auth, ports, options)) {}
SessionDoor::~SessionDoor() = default;

std::shared_ptr<rpc::SessionServerUser> SessionDoor::Accept(
    std::shared_ptr<rpc::StreamHandle> stream) {
  return impl_->Accept(std::move(stream));
}
void SessionDoor::Tick() { impl_->Tick(); }
bool SessionDoor::Close(Duration patience) { return impl_->Close(patience); }
const SessionCounts& SessionDoor::counts() const { return impl_->counts(); }

}  // namespace encke::presence
