#include "bus/nats.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <optional>
#include <thread>

#include "base/log.h"
#include "base/threads.h"
#include "bus/kv.h"

namespace encke::bus {
namespace {

constexpr std::int64_t kPingIntervalMs = 2000;
constexpr int kPingsOutMax = 2;
constexpr std::int64_t kReconnectWaitMs = 250;
constexpr std::int64_t kReconnectJitterMs = 250;
constexpr std::int64_t kWriteDeadlineMs = 2000;
// What cnats may keep for us while the server is away.  Publishing is refused then, so this only
// holds what was under way.
constexpr int kReconnectBufferBytes = 8 << 20;
constexpr Duration kClosePatience{5000};
constexpr Duration kKeepInterval{5000};  // a stream may go without the connection going
constexpr Duration kKeepRetry{250};

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr Duration kRegistryEntryAge{60'000};

Errc CodeOf(natsStatus status, jsErrCode code) {
  if (code == JSStreamWrongLastSequenceErr) return Errc::kConflict;
  if (code == JSStreamNotFoundErr) return Errc::kUnavailable;
  if (status == NATS_NOT_FOUND || code == JSNoMessageFoundErr) return Errc::kNotFound;
  if (status == NATS_TIMEOUT) return Errc::kTimeout;
  return Errc::kUnavailable;
}

// The number of partitions is not visible in a wildcard subject, so the description carries it.
std::string DescribeLog(const LogOptions& options) {
  return "encke push log, " + std::to_string(options.partitions) + " partitions";
}

Result<StreamInfoHandle> StreamInfo(jsCtx* js, const std::string& stream) {
  jsStreamInfo* info = nullptr;
  jsErrCode code{};
  const natsStatus status = js_GetStreamInfo(&info, js, stream.c_str(), nullptr, &code);
  if (status == NATS_OK) return StreamInfoHandle(info);
  if (status == NATS_NOT_FOUND) return Error{Errc::kNotFound, "no stream " + stream};
  return NatsError(status, "looking for stream " + stream, code);
}

bool SameShape(const jsStreamConfig& have, const jsStreamConfig& want) {
  const std::string_view old_text = have.Description == nullptr ? "" : have.Description;
  const std::string_view new_text = want.Description == nullptr ? "" : want.Description;
  return have.SubjectsLen == 1 && std::string_view(have.Subjects[0]) == want.Subjects[0] &&
         have.Storage == want.Storage && have.Retention == want.Retention && old_text == new_text;
}

bool SameLimits(const jsStreamConfig& have, const jsStreamConfig& want) {
  return have.MaxAge == want.MaxAge && have.MaxBytes == want.MaxBytes &&
         have.Replicas == want.Replicas && have.Discard == want.Discard &&
         have.Duplicates == want.Duplicates && have.MaxMsgsPerSubject == want.MaxMsgsPerSubject;
}

Status EnsureBucket(
    jsCtx* js, const std::string& bucket, int replicas, Duration age, Existing existing) {
  const std::string name = "KV_" + bucket;
  const std::string subject = "$KV." + bucket + ".>";
  const char* subjects[] = {subject.c_str()};
  jsStreamConfig config = FileStream(name, subjects, replicas, age, -1);
  config.MaxMsgsPerSubject = 1;
  config.Discard = js_DiscardNew;
  config.AllowRollup = true;
  config.DenyDelete = true;
  config.AllowDirect = true;
  config.Duplicates =
      std::min<std::int64_t>(120'000, age.count() > 0 ? age.count() : 120'000) * kNsPerMs;
  return EnsureStream(js, config, existing);
}

Status MakeBuckets(jsCtx* js, int replicas, Existing existing) {
  // Entries of daemons that are long gone leave the registry by age; leases and checkpoints stay.
  const std::pair<const char*, Duration> all[] = {{"encke_registry", kRegistryEntryAge},
                                                  {"encke_leases", Duration(0)},
                                                  {"encke_checkpoints", Duration(0)}};
  for (const auto& [bucket, age] : all)
    if (auto made = EnsureBucket(js, bucket, replicas, age, existing); !made) return made;
  return Ok{};
}

Status MakeLog(jsCtx* js, const LogOptions& options, Existing existing) {
  const std::string subject = options.subject + ".*";
  const std::string description = DescribeLog(options);
  const char* subjects[] = {subject.c_str()};
  jsStreamConfig config =
      FileStream(options.stream, subjects, options.replicas, options.max_age, options.max_bytes);
  config.Description = description.c_str();
  config.Discard = js_DiscardNew;
  config.Duplicates = std::min(options.duplicate_window, options.max_age).count() * kNsPerMs;
  return EnsureStream(js, config, existing);
}

// Messages of one thread that are of no use any more.
class Handful {
 public:
  Handful() = default;
  Handful(const Handful&) = delete;
  Handful& operator=(const Handful&) = delete;
  ~Handful() { Empty(); }

  void Add(natsMsg* msg) {
    messages_[count_++] = msg;
    bytes_ += natsMsg_GetDataLength(msg);
    if (count_ == messages_.size() || bytes_ >= kBytes) Empty();
  }

 private:
  static constexpr int kBytes = 16 * 1024;

  void Empty() {
    for (std::size_t i = 0; i < count_; ++i)
      natsMsg_Destroy(messages_[i]);
    count_ = 0;
    bytes_ = 0;
  }

  std::array<natsMsg*, 32> messages_{};
  std::size_t count_ = 0;
  int bytes_ = 0;
};

}  // namespace

void LetGo(natsMsg* msg) {
  thread_local Handful handful;
  handful.Add(msg);
}

Result<OptionsHandle> BasicSettings(const NatsOptions& options) {
  natsOptions* raw = nullptr;
  natsStatus s = natsOptions_Create(&raw);
  OptionsHandle all(raw);
  std::vector<const char*> urls;
  for (const std::string& url : options.servers)
    urls.push_back(url.c_str());
  const auto set = [&s](natsStatus result) {
    if (s == NATS_OK) s = result;
  };
  set(natsOptions_SetServers(raw, urls.data(), static_cast<int>(urls.size())));
  if (!options.name.empty()) set(natsOptions_SetName(raw, options.name.c_str()));
  set(natsOptions_SetTimeout(raw, options.connect_timeout.count()));
  set(natsOptions_SetWriteDeadline(raw, kWriteDeadlineMs));
  // The flusher of cnats waits a millisecond before it writes; a lone push shall not.
  set(natsOptions_SetSendAsap(raw, true));
  if (s != NATS_OK) return NatsError(s, "nats options");
  return all;
}

jsStreamConfig FileStream(
    const std::string& name, const char** subject, int replicas, Duration age, std::int64_t bytes) {
  jsStreamConfig config;
  jsStreamConfig_Init(&config);
  config.Name = name.c_str();
  config.Subjects = subject;
  config.SubjectsLen = 1;
  config.Retention = js_LimitsPolicy;
  config.Storage = js_FileStorage;
  config.MaxAge = age.count() * kNsPerMs;
  config.MaxBytes = bytes;
  config.MaxMsgsPerSubject = -1;
  config.Replicas = replicas;
  return config;
}

Status EnsureStream(jsCtx* js, jsStreamConfig& want, Existing existing) {
  const std::string name = want.Name;
  jsErrCode code{};
  auto info = StreamInfo(js, name);
  if (!info && info.error().code == Errc::kNotFound) {
    const natsStatus status = js_AddStream(nullptr, js, &want, nullptr, &code);
    if (status == NATS_OK) {
      log::Info("bus.stream_made stream={}", name);
      return Ok{};
    }
    // Somebody else may have been faster: the server then says that the name or the subjects are
    // taken.
    info = StreamInfo(js, name);
    if (!info) return NatsError(status, "creating stream " + name, code);
  }
  if (!info) return info.error();
  if (existing == Existing::kLeave) return Ok{};
  jsStreamConfig& have = *(*info)->Config;
  if (!SameShape(have, want)) {
    return Error{Errc::kConflict, "stream " + name + " exists and is something else: " +
                                      (have.Description == nullptr ? "" : have.Description)};
  }
  if (SameLimits(have, want)) return Ok{};
  const natsStatus status = js_UpdateStream(nullptr, js, &want, nullptr, &code);
  if (status != NATS_OK) return NatsError(status, "changing stream " + name, code);
  log::Info("bus.stream_updated stream={}", name);
  return Ok{};
}

struct Nats::Impl {
  NatsOptions options;
  NatsCounts counts;
  natsConnection* connection = nullptr;
  JsHandle js;
  Pulse closed;
  log::RateLimit error_lines{2};
  // What was asked for, and who makes it again.
  struct Kept {
    std::optional<LogOptions> log;
    std::optional<int> bucket_replicas;
    std::vector<std::function<Status(jsCtx*)>> others;
  };
  Guarded<Kept> kept;
  Pulse keep;
  std::thread keeper;

  static Impl& From(void* closure) { return *static_cast<Impl*>(closure); }

  static void OnDisconnected(natsConnection*, void* closure) {
    From(closure).counts.disconnects.Add();
    log::Warn("bus.disconnected");
  }
  static void OnReconnected(natsConnection*, void* closure) {
    From(closure).counts.reconnects.Add();
    From(closure).keep.Wake();
    log::Info("bus.reconnected");
  }
  static void OnConnected(natsConnection*, void*) {}
  static void OnClosed(natsConnection*, void* closure) { From(closure).closed.Wake(); }
  static void OnError(natsConnection*, natsSubscription*, natsStatus status, void* closure) {
    From(closure).counts.errors.Add();
    log::WarnSome(From(closure).error_lines, "bus.error why=\"{}\"", natsStatus_GetText(status));
  }

  Result<OptionsHandle> Settings() {
    auto all = BasicSettings(options);
    if (!all) return all;
    natsOptions* const raw = all->get();
    natsStatus s = NATS_OK;
    const auto set = [&s](natsStatus result) {
      if (s == NATS_OK) s = result;
    };
    set(natsOptions_SetMaxReconnect(raw, -1));
    set(natsOptions_SetReconnectWait(raw, kReconnectWaitMs));
    set(natsOptions_SetReconnectJitter(raw, kReconnectJitterMs, kReconnectJitterMs));
    set(natsOptions_SetReconnectBufSize(raw, kReconnectBufferBytes));
    set(natsOptions_SetRetryOnFailedConnect(raw, true, &OnConnected, this));
    set(natsOptions_SetPingInterval(raw, kPingIntervalMs));
    set(natsOptions_SetMaxPingsOut(raw, kPingsOutMax));
    set(natsOptions_SetFailRequestsOnDisconnect(raw, true));
    set(natsOptions_SetDisconnectedCB(raw, &OnDisconnected, this));
    set(natsOptions_SetReconnectedCB(raw, &OnReconnected, this));
    set(natsOptions_SetClosedCB(raw, &OnClosed, this));
    set(natsOptions_SetErrorHandler(raw, &OnError, this));
    if (s != NATS_OK) return NatsError(s, "nats options");
    return all;
  }

  bool Connected() const { return natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED; }

  Status Open() {
    auto settings = Settings();
    if (!settings) return settings.error();
    const natsStatus s = natsConnection_Connect(&connection, settings->get());
    if (s != NATS_OK && s != NATS_NOT_YET_CONNECTED) return NatsError(s, "connecting to nats");
    const std::int64_t until = MonotonicMs() + options.connect_timeout.count();
    while (!Connected()) {
      if (MonotonicMs() > until) return Error{Errc::kUnavailable, "no nats server answers"};
      closed.Wait(Duration(10));
    }
    jsOptions js_options;
    jsOptions_Init(&js_options);
    js_options.Wait = options.call_timeout.count();
    jsCtx* context = nullptr;
    const natsStatus made = natsConnection_JetStream(&context, connection, &js_options);
    if (made != NATS_OK) return NatsError(made, "jetstream");
    js.reset(context);
    return Ok{};
  }

  void Keep() {
    NameThread("bus.keep");
    log::RateLimit lines{1};
    for (Duration wait = kKeepInterval; keep.Wait(wait);) {
      const Status made = Connected() ? MakeAgain() : Ok{};
      if (!made) log::WarnSome(lines, "bus.not_made why=\"{}\"", made.error().text);
      wait = made ? kKeepInterval : kKeepRetry;
    }
  }

  Status MakeAgain() {
    const Kept wanted = kept.With([](const Kept& all) { return all; });
    if (wanted.log) {
      if (auto made = MakeLog(js.get(), *wanted.log, Existing::kLeave); !made) return made;
    }
    if (wanted.bucket_replicas) {
      const int replicas = *wanted.bucket_replicas;
      if (auto made = MakeBuckets(js.get(), replicas, Existing::kLeave); !made) return made;
    }
    for (const auto& make : wanted.others)
      if (auto made = make(js.get()); !made) return made;
    return Ok{};
  }

  // Callbacks of cnats carry a pointer to us, and the last of them says that it is closed.
  void Close() {
    keep.Stop();
    if (keeper.joinable()) keeper.join();
    js.reset();
    if (connection == nullptr) return;
    natsConnection_Close(connection);
    closed.Wait(kClosePatience);
    natsConnection_Destroy(connection);
  }
};

Nats::Nats() : impl_(std::make_unique<Impl>()) {}
Nats::~Nats() { impl_->Close(); }

Result<std::unique_ptr<Nats>> Nats::Connect(const NatsOptions& options) {
  // The library's locks would spin two thousand times before they sleep, against whoever holds
  // them.
  static const natsStatus library = nats_Open(0);
  if (library != NATS_OK) return NatsError(library, "nats library");
  std::unique_ptr<Nats> nats(new Nats());
  nats->impl_->options = options;
  if (auto opened = nats->impl_->Open(); !opened) return opened.error();
  nats->impl_->keeper = std::thread([impl = nats->impl_.get()] { impl->Keep(); });
  return nats;
}

Status Nats::EnsureLog(const LogOptions& options) {
  if (!connected()) return Error{Errc::kUnavailable, "nats is away"};
  auto made = MakeLog(impl_->js.get(), options, Existing::kChange);
  if (made) impl_->kept.With([&](Impl::Kept& kept) { kept.log = options; });
  return made;
}

Status Nats::EnsureBuckets(int replicas) {
  if (!connected()) return Error{Errc::kUnavailable, "nats is away"};
  auto made = MakeBuckets(impl_->js.get(), replicas, Existing::kChange);
  if (made) impl_->kept.With([&](Impl::Kept& kept) { kept.bucket_replicas = replicas; });
  return made;
}

Status Nats::Tell(const std::string& subject, std::string_view payload) const {
  const natsStatus status = natsConnection_Publish(
      impl_->connection, subject.c_str(), payload.data(), static_cast<int>(payload.size()));
  if (status == NATS_OK) return Ok{};
  impl_->counts.untold.Add();
  return NatsError(status, "telling " + subject);
}

bool Nats::connected() const { return impl_->Connected(); }
const NatsOptions& Nats::options() const { return impl_->options; }
const NatsCounts& Nats::counts() const { return impl_->counts; }

natsConnection* NatsHandles::Connection(const Nats& nats) { return nats.impl_->connection; }
jsCtx* NatsHandles::Js(const Nats& nats) { return nats.impl_->js.get(); }
void NatsHandles::KeepMade(const Nats& nats, std::function<Status(jsCtx*)> make) {
  nats.impl_->kept.With([&](Nats::Impl::Kept& kept) { kept.others.push_back(std::move(make)); });
}

Error NatsError(natsStatus status, std::string_view what, jsErrCode code) {
  natsStatus last = NATS_OK;  // of this thread, maybe of an older call
  const char* detail = nats_GetLastError(&last);
  const bool fresh = last == status && detail != nullptr && *detail != '\0';
  std::string text(what);
  text += ": ";
  text += fresh ? detail : natsStatus_GetText(status);
  return Error{CodeOf(status, code), std::move(text)};
}

std::string NewInbox() {
  natsInbox* inbox = nullptr;
  const natsStatus s = natsInbox_Create(&inbox);
  assert(s == NATS_OK);  // only memory can fail here
  std::string subject = inbox;
  natsInbox_Destroy(inbox);
  return subject;
}

std::string_view DataOf(const natsMsg* msg) {
  return {natsMsg_GetData(msg), static_cast<std::size_t>(natsMsg_GetDataLength(msg))};
}

std::string_view HeaderOf(natsMsg* msg, const char* name) {
  const char* value = nullptr;
  return natsMsgHeader_Get(msg, name, &value) == NATS_OK && value != nullptr ? value : "";
}

}  // namespace encke::bus
