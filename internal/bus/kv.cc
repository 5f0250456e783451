#include "bus/kv.h"

#include <cassert>

namespace encke::bus {
namespace {

constexpr const char* kKvOperation = "KV-Operation";  // a header: this is a deletion mark

}  // namespace

Kv::Kv(Nats& nats, std::string_view bucket, Duration wait)
    : nats_(nats),
      stream_("KV_" + std::string(bucket)),
      prefix_("$KV." + std::string(bucket) + ".") {
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = wait.count();
  jsCtx* context = nullptr;
  const natsStatus s = natsConnection_JetStream(&context, NatsHandles::Connection(nats), &options);
  assert(s == NATS_OK);  // only memory can fail here
  js_.reset(context);
}

Result<Kv::Entry> Kv::Get(std::string_view key) {
  if (!nats_.connected()) return Error{Errc::kUnavailable, "nats is away"};
  natsMsg* raw = nullptr;
  jsErrCode code{};
  const std::string subject = prefix_ + std::string(key);
  const natsStatus s =
      js_GetLastMsg(&raw, js_.get(), stream_.c_str(), subject.c_str(), nullptr, &code);
  if (s != NATS_OK) return NatsError(s, "reading " + subject, code);
  const MsgHandle msg(raw);
  return Entry{std::string(DataOf(raw)), natsMsg_GetSequence(raw), natsMsg_GetTime(raw),
               IsDeletion(raw)};
}

Result<std::uint64_t> Kv::Put(std::string_view key, std::string_view value) {
  natsMsg* raw = nullptr;
  natsMsg_Create(&raw, (prefix_ + std::string(key)).c_str(), nullptr, value.data(),
                 static_cast<int>(value.size()));
  const MsgHandle msg(raw);
  return Publish(raw, key, nullptr);
}

Result<std::uint64_t> Kv::Write(std::string_view key,
                                std::string_view value,
                                std::uint64_t expected) {
  natsMsg* raw = nullptr;
  natsMsg_Create(&raw, (prefix_ + std::string(key)).c_str(), nullptr, value.data(),
                 static_cast<int>(value.size()));
  const MsgHandle msg(raw);
  jsPubOptions options;
  jsPubOptions_Init(&options);
  options.ExpectLastSubjectSeq = expected;
  options.ExpectNoMessage = expected == 0;
  return Publish(raw, key, &options);
}

Status Kv::Delete(std::string_view key) {
  natsMsg* raw = nullptr;
  natsMsg_Create(&raw, (prefix_ + std::string(key)).c_str(), nullptr, nullptr, 0);
  const MsgHandle msg(raw);
  natsMsgHeader_Set(raw, kKvOperation, "DEL");
  auto done = Publish(raw, key, nullptr);
  if (!done) return done.error();
  return Ok{};
}

Result<std::vector<std::string>> Kv::Keys() {
  if (!nats_.connected()) return Error{Errc::kUnavailable, "nats is away"};
  jsOptions options;
  jsOptions_Init(&options);
  options.Stream.Info.SubjectsFilter = ">";
  jsStreamInfo* raw = nullptr;
  jsErrCode code{};
  const natsStatus s = js_GetStreamInfo(&raw, js_.get(), stream_.c_str(), &options, &code);
  if (s != NATS_OK) return NatsError(s, "listing " + prefix_, code);
  const StreamInfoHandle info(raw);
  std::vector<std::string> keys;
  const jsStreamStateSubjects* subjects = raw->State.Subjects;
  for (int i = 0; subjects != nullptr && i < subjects->Count; ++i) {
    keys.emplace_back(std::string_view(subjects->List[i].Subject).substr(prefix_.size()));
  }
  return keys;
}

Result<std::int64_t> Kv::MadeNs() {
  if (!nats_.connected()) return Error{Errc::kUnavailable, "nats is away"};
  jsStreamInfo* raw = nullptr;
  jsErrCode code{};
  const natsStatus s = js_GetStreamInfo(&raw, js_.get(), stream_.c_str(), nullptr, &code);
  if (s != NATS_OK) return NatsError(s, "looking at " + prefix_, code);
  return StreamInfoHandle(raw)->Created;
}

bool Kv::IsDeletion(natsMsg* msg) { return !HeaderOf(msg, kKvOperation).empty(); }

Result<std::uint64_t> Kv::Publish(natsMsg* msg, std::string_view key, jsPubOptions* options) {
  if (!nats_.connected()) return Error{Errc::kUnavailable, "nats is away"};
  jsPubAck* ack = nullptr;
  jsErrCode code{};
  const natsStatus s = js_PublishMsg(&ack, js_.get(), msg, options, &code);
  if (s != NATS_OK) return NatsError(s, "writing " + prefix_ + std::string(key), code);
  const std::uint64_t revision = ack->Sequence;
  jsPubAck_Destroy(ack);
  return revision;
}

}  // namespace encke::bus
